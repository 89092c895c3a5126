# Every task of this repository. `make help` lists them. A fresh machine needs make and Python >= 3.11; the rest comes by itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/psm
UV := $(or $(shell command -v uv 2>/dev/null),$(CACHE)/uv/bin/uv)
RUN := $(UV) run --no-sync
STAMP := .venv/.synced

##@ Use

.PHONY: demo
demo: setup ## Run the whole product on real Kubernetes, step by step (CLUSTER=auto|embedded|kind|current chooses where)
	$(RUN) psm-local demo

.PHONY: down
down: setup ## Stop what `make demo` left running
	$(RUN) psm-local down

##@ Develop

.PHONY: setup
setup: $(STAMP) ## Make .venv from the lock (brings uv if it is missing)

$(STAMP): pyproject.toml uv.lock $(wildcard */pyproject.toml */hatch_build.py predictor/src/psm_predictor/engines/*.c) | $(UV)
	$(UV) sync --frozen --quiet
	@touch $@

$(CACHE)/uv/bin/uv:
	python3 -m venv $(CACHE)/uv
	$(CACHE)/uv/bin/pip install --quiet 'uv>=0.9'

.PHONY: check
check: setup ## Lint, format, types, import boundaries, generated files (fast; what every commit passes)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) python -m psm_operator.api.crd --check

.PHONY: fix
fix: setup ## Let the linter and the formatter put right what they can
	$(RUN) ruff check --fix
	$(RUN) ruff format

.PHONY: crds
crds: setup ## Write the CRD and its copy in the chart from the API types
	$(RUN) python -m psm_operator.api.crd

.PHONY: golden
golden: setup ## Rewrite the golden manifests and charts; review them in the diff
	$(RUN) pytest tests/golden --golden-rewrite

##@ Test

WORKERS ?= 2

.PHONY: test
test: check ## Every check and test: unit, laws, scenarios, golden, component (real API server), e2e (real node; needs root)
	$(RUN) psm-local build >/dev/null
	$(RUN) pytest -n $(WORKERS) --dist loadgroup
	@if [ -n "$${CI:-}" ]; then git diff --exit-code; test -z "$$(git status --porcelain)"; fi

.PHONY: test-fast
test-fast: setup ## What needs no cluster: unit, laws, scenarios, golden manifests
	$(RUN) pytest -m 'not component and not e2e'

.PHONY: test-faults
test-faults: setup ## Every fault of docs/faults.md, counted in build/faults.json (part of `make test`; real pods need root)
	$(RUN) psm-local build >/dev/null
	$(RUN) pytest tests/faults tests/e2e/test_faults.py

FUZZ_SECONDS ?= 60

.PHONY: fuzz
fuzz: setup ## Fuzz what the predictor reads: bodies, archives, connections (FUZZ_SECONDS=60 for each target; crashes go to build/fuzz)
	$(UV) sync --frozen --quiet --group fuzz
	PYTHONPATH=tests $(RUN) python -m fuzz --seconds $(FUZZ_SECONDS)

##@ Measure

CRS ?= 100,500,1000,2000
CHURN_MINUTES ?= 30
SERVERS ?= all
ENGINES ?= all
SECONDS ?= 3
REPEAT ?= 3
LINES ?= 2670000
SCALES ?= 1,4,16

.PHONY: bench-predictor
bench-predictor: setup ## The predictor beside its peers (SERVERS=psm,mlserver ENGINES=none SECONDS=1 REPEAT=1 make it shorter)
	PYTHONPATH=tests $(RUN) python -m bench.predictor --servers $(SERVERS) --engines $(ENGINES) --seconds $(SECONDS) --repeat $(REPEAT)

MINUTES ?= 10

.PHONY: soak-predictor
soak-predictor: setup ## Full load for MINUTES=10: no request fails, memory stays flat
	PYTHONPATH=tests $(RUN) python -m bench.predictor.soak --minutes $(MINUTES)

.PHONY: bench-serving
bench-serving: setup ## One pod with 250m CPU behind a real Ingress at 100 requests/s, and a rolling update under it (root)
	$(RUN) psm-local build >/dev/null
	PYTHONPATH=tests $(RUN) python -m bench.serving

.PHONY: bench-operator
bench-operator: setup ## The operator beside a naive handler, 100 to 2000 models (CRS=100,500 CHURN_MINUTES=5 make it shorter)
	$(RUN) psm-local build control-plane kwok >/dev/null
	GOGC=300 PYTHONPATH=tests $(RUN) python -m bench.operator --crs $(CRS) --churn-minutes $(CHURN_MINUTES)

.PHONY: bench-data
bench-data: setup ## Raw to gold beside pandas, Polars and DuckDB; formats, S3, scaling (LINES=100000 SCALES=1,4 make it shorter)
	PYTHONPATH=tests $(RUN) python -m bench.data --lines $(LINES) --scales $(SCALES) --repeat $(REPEAT)

##@ Release

.PHONY: changelog
changelog: setup ## Collect changelog.d into CHANGELOG.md (VERSION=x.y.z)
	$(RUN) towncrier build --yes --version $(VERSION)

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile
