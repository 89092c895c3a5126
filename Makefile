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

.PHONY: test-spark
test-spark: setup ## The lake's expressions run by Spark (needs Java 17 or later; brings pyspark, 400 MB)
	$(RUN) --with 'pyspark==4.0.5' pytest tests/component/training/test_training_spark.py

.PHONY: test-terraform
test-terraform: setup ## The account: each module, each environment's plan, tflint, checkov, policies, an apply to the emulator (part of `make test`)
	$(RUN) pytest -n $(WORKERS) --dist loadgroup tests/component/terraform

.PHONY: test-argocd
test-argocd: setup ## A real Argo CD syncs models and charts on the embedded control plane (builds it first, minutes; root, for redis)
	$(RUN) pytest tests/neighbours/test_argocd_itself.py

.PHONY: test-training-image
test-training-image: setup ## The training container's contract in the built image itself (root; builds it first, minutes)
	PYTHONPATH=tests $(RUN) pytest -p training_image tests/component/training/test_training_container.py

FUZZ_SECONDS ?= 60

.PHONY: fuzz
fuzz: setup ## Fuzz what the predictor reads: bodies, archives, connections (FUZZ_SECONDS=60 for each target; crashes go to build/fuzz)
	$(UV) sync --frozen --quiet --group fuzz
	PYTHONPATH=tests $(RUN) python -m fuzz --seconds $(FUZZ_SECONDS)

.PHONY: lint-pipelines
lint-pipelines: setup ## Workflows, Jenkinsfile and the others: actionlint, zizmor, schemas, syntax (part of `make test`)
	$(RUN) pytest tests/component/pipelines/test_pipeline_checks.py

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

##@ Account

.PHONY: terraform-check
terraform-check: ## Format of every .tf file, and each environment is valid (no account needed)
	terraform fmt -check -recursive terraform
	for folder in terraform/envs/*/; do terraform -chdir="$$folder" init -backend=false -input=false && terraform -chdir="$$folder" validate; done

# a plan is read-only, and so is the role that makes it for a pull request: it takes no lock
.PHONY: terraform-plan
terraform-plan: ## Plan ENV=dev|prod into build/terraform, also as text and JSON (TF_STATE_BUCKET=)
	mkdir -p build/terraform
	terraform -chdir=terraform/envs/$(environment) init -input=false -backend-config="bucket=$$TF_STATE_BUCKET"
	terraform -chdir=terraform/envs/$(environment) plan -input=false -lock=false -out="$(CURDIR)"/build/terraform/$(environment).tfplan
	terraform -chdir=terraform/envs/$(environment) show -no-color "$(CURDIR)"/build/terraform/$(environment).tfplan > build/terraform/$(environment).txt
	terraform -chdir=terraform/envs/$(environment) show -json "$(CURDIR)"/build/terraform/$(environment).tfplan > build/terraform/$(environment).json

.PHONY: terraform-summary
terraform-summary: ## The plan that `make terraform-plan` left for ENV=dev|prod as Markdown, cut where GitHub would
	@printf '### %s\n```text\n' $(environment) && head -c 900000 build/terraform/$(environment).txt && printf '\n```\n'

.PHONY: terraform-apply
terraform-apply: ## Apply the plan that `make terraform-plan` left for ENV=dev|prod; refused when the state has moved on
	terraform -chdir=terraform/envs/$(environment) init -input=false -backend-config="bucket=$$TF_STATE_BUCKET"
	terraform -chdir=terraform/envs/$(environment) apply -input=false -lock-timeout=5m "$(CURDIR)"/build/terraform/$(environment).tfplan

.PHONY: cost
cost: setup ## What dev and prod cost a month, from their plans (build/cost.json, docs/cost.md); fails if prod is not below its limit
	$(RUN) psm-cloud cost --docs docs/cost.md --chart docs/img/cost.svg

ENV ?= dev
TEARDOWN ?=

.PHONY: teardown
teardown: setup ## Show what would be deleted of ENV=dev; TEARDOWN=--execute asks for its name and deletes (docs/teardown.md)
	$(RUN) psm-cloud teardown --env $(ENV) $(if $(TF_STATE_BUCKET),--state-bucket $(TF_STATE_BUCKET)) $(TEARDOWN)

##@ Model (what the pipelines run; docs/ci.md explains the variables)

# What a pipeline sets is read by the shell, never by make: make would run a $(shell …) inside a value.
data_source = "$${DATA_SOURCE:-complete-journey}" $${DATA:+--data "$$DATA"} $${LAKE:+--lake "$$LAKE"}
recipe = "$${RECIPE:-v2}"
group = --group "$${GROUP:-price-sensitivity}"
model = "$${MODEL:-price-sensitivity}"
namespace = "$${NAMESPACE:-mlops}"
timeout = "$${TIMEOUT:-1200}"
environment = "$${ENV:-dev}"
version = "$${VERSION:-$$(cat build/model/version)}"

.PHONY: model-validate
model-validate: setup ## Bring the data and judge it (DATA_SOURCE=source-files DATA=s3://… LAKE=s3://…)
	$(RUN) psm-train ingest --out build/model --source $(data_source)
	$(RUN) psm-train validate --out build/model

.PHONY: model-train
model-train: setup ## Train, evaluate and package (RECIPE=v2); what was trained of the same data before is taken
	$(RUN) psm-train run --out build/model --recipe $(recipe) --source $(data_source)

.PHONY: model-register
model-register: setup ## Into bucket and registry (GROUP=, BUCKET=, IMAGE=); the version's number goes to build/model/version
	$(RUN) psm-train register --model build/model/$(recipe) $(group) $${BUCKET:+--bucket "$$BUCKET"} $${IMAGE:+--image "$$IMAGE"} > build/model/package.json
	sed -n 's/^ *"version": \([0-9]*\).*/\1/p' build/model/package.json | tee build/model/version

.PHONY: model-evaluate
model-evaluate: setup ## Rule on a version as automatic approval would: KPIs, and surely better; writes nothing (VERSION=)
	$(RUN) psm-train approve --auto --dry-run $(version) $(group) | tee build/model/ruling.json

.PHONY: model-approve
model-approve: setup ## Approve a version that meets every KPI and surely beats the approved one; else it waits (VERSION=)
	$(RUN) psm-train approve --auto $(version) $(group)

.PHONY: model-approved
model-approved: setup ## Return once a version is approved (VERSION=, TIMEOUT= seconds)
	$(RUN) psm-train wait-approved $(version) $(group) --timeout $(timeout)

.PHONY: model-deployed
model-deployed: setup ## Return once the cluster serves a version (MODEL=, NAMESPACE=, VERSION=, TIMEOUT= seconds)
	$(RUN) kubectl-psm await $(model) $(version) -n $(namespace) --timeout $(timeout)

.PHONY: model-smoke
model-smoke: setup ## Ask the serving model what its archive says it must answer (URL=, VERSION=)
	$(RUN) psm-train smoke --url "$$URL" --version $(version) $(group) $${URL_HOST:+--host "$$URL_HOST"} --timeout "$${SMOKE_TIMEOUT:-120}"

.PHONY: model-rollback
model-rollback: setup ## Go back to the version before, and reject the one that serves (MODEL=, NAMESPACE=)
	$(RUN) kubectl-psm rollback $(model) -n $(namespace) --wait

.PHONY: kubeconfig
kubeconfig: ## Let kubectl reach the cluster of ENV=dev|prod (needs the AWS CLI)
	aws eks update-kubeconfig --name mlops-$(environment)

##@ Release

reference = "$$(cat build/release/$$IMAGE.ref)"

.PHONY: release-check
release-check: setup ## The version that packages and charts have is VERSION=
	$(RUN) psm-local release check --version "$$VERSION"

.PHONY: release-image
release-image: setup ## Build one image: IMAGE=psm-operator|api-price-sensitivity|train-price-sensitivity, VERSION=
	$(RUN) psm-local release image --image "$$IMAGE" --version "$$VERSION"

.PHONY: release-scan
release-scan: ## Refuse an image with a known, fixable vulnerability of high or critical severity (needs grype; IMAGE=)
	"$${GRYPE:-grype}" "docker-archive:build/release/$$IMAGE.tar" --only-fixed --fail-on high

.PHONY: release-sbom
release-sbom: ## List what is in an image as SPDX (needs syft; IMAGE=)
	"$${SYFT:-syft}" scan "docker-archive:build/release/$$IMAGE.tar" --output "spdx-json=build/release/$$IMAGE.spdx.json"

.PHONY: registry-login
registry-login: ## Let crane, cosign and helm push to REGISTRY=, where no action of the pipeline does it (needs the AWS CLI and docker)
	aws ecr get-login-password | docker login --username AWS --password-stdin "$$REGISTRY"

.PHONY: release-push
release-push: setup ## Push one image; its address by digest goes to build/release/IMAGE.ref (IMAGE=, VERSION=, REGISTRY=)
	$(RUN) psm-local release push --image "$$IMAGE" --version "$$VERSION" --registry "$$REGISTRY"

.PHONY: release-sign
release-sign: ## Sign an image and its SBOM by digest with the pipeline's own identity (needs cosign; IMAGE=)
	cosign sign --yes $(reference)
	cosign attest --yes --type spdxjson --predicate "build/release/$$IMAGE.spdx.json" $(reference)

.PHONY: release-outputs
release-outputs: ## Name and digest of a pushed image as lines that a workflow step appends to its outputs (IMAGE=)
	@sed -E 's/^(.*)@(.*)$$/name=\1\ndigest=\2/' "build/release/$$IMAGE.ref"

.PHONY: release-charts
release-charts: setup ## Package and push the charts, which name the images by digest (VERSION=, REGISTRY=)
	$(RUN) psm-local release charts --version "$$VERSION"
	$(RUN) psm-local release push-charts --version "$$VERSION" --registry "$$REGISTRY"

.PHONY: changelog
changelog: setup ## Collect changelog.d into CHANGELOG.md (VERSION=x.y.z)
	$(RUN) towncrier build --yes --version $(VERSION)

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile
