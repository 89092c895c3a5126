"""Documentation says what is there: links, names, commands, settings and reasons are compared with the code."""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import exposed
import pytest
import yaml

from psm_local import __main__ as local_cli
from psm_local.demo.story import STEPS
from psm_operator.api.conditions import Reason
from psm_operator.api.names import KIND
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import Phase
from psm_operator.decide.release import RULES
from psm_operator.preflight import parser as operator_parser
from psm_operator.settings import PREFIX, Settings, SettingsError
from psm_predictor.batch.cli import parser as batch_parser
from psm_training.__main__ import parser as training_parser

ROOT = Path(__file__).parents[2]
PACKAGE_ROOTS = tuple(ROOT / name / "src" / f"psm_{name}" for name in ("operator", "predictor", "training", "local"))
NOT_OURS = {".venv", "build", "node_modules", ".pytest_cache", ".hypothesis"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pages() -> list[Path]:
    """Every page of documentation, by its path from the repository's root."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not NOT_OURS.intersection(path.parts))


def read(page: str | Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str | Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)


def table(page: str, header: str) -> list[list[str]]:
    """Rows of the table whose header line begins with `| header |`, as cells without back-quotes."""
    lines = read(page).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return rows


def anchors(page: Path) -> set[str]:
    """The ids that headings get: lower case, spaces as hyphens, everything else but letters and digits dropped."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """Targets of a page's links that are not addresses on the web."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_relative_link_resolves(page: Path) -> None:
    """Files exist, and headings too."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page.parent / path).resolve() if path else ROOT / page
        assert target.exists(), f"{page} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors(target.relative_to(ROOT)), f"{page} links to {link}, which has no such heading"


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_make_target_exists(page: Path) -> None:
    """`make x` in back-quotes or in a console block is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ |CLUSTER=\w+ )make ([a-z][a-z-]*)", read(page), flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_subcommand_exists(page: Path) -> None:
    """`psm-train x`, `psm-local x`, `psm-predict x` and `psm-operator preflight` are what the command lines know."""
    parsers = {
        "psm-train": training_parser(),
        "psm-local": local_cli._parser(),
        "psm-predict": batch_parser(),
        "bin/psm-operator": operator_parser(),
    }
    for program, parser in parsers.items():
        named = set(re.findall(rf"{program} ([a-z][a-z-]*)", read(page)))
        assert named <= subcommands(parser), page


def subcommands(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.choices or () if isinstance(action.choices, dict)}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_model_shown_is_valid(page: Path) -> None:
    """What people copy is admitted; also in a here-document."""
    blocks = re.findall(
        r"^apiVersion: retail\.mlops/v1alpha1\n.*?(?=^(?:```|EOF))", read(page), re.DOTALL | re.MULTILINE
    )
    for block in blocks:
        manifest: dict[str, Any] = yaml.safe_load(block)
        assert manifest["kind"] == KIND
        ModelSpec.model_validate(manifest["spec"], extra="forbid")


def test_every_path_named_in_the_architecture_exists() -> None:
    """A back-quoted word that ends with .py or has a slash is a path below the repository or below a package."""
    spans = re.findall(r"`([^`\s]+)`", prose("docs/architecture.md"))
    paths = [span for span in spans if re.fullmatch(r"[\w./-]+", span) and ("/" in span or span.endswith(".py"))]
    routes = {"/predict", "/status"}
    missing = [p for p in paths if p not in routes and not any((root / p).exists() for root in (ROOT, *PACKAGE_ROOTS))]
    assert len(paths) > len(PACKAGE_ROOTS)
    assert missing == [path for path in missing if path == "__init__.py"]


def test_the_architecture_quotes_every_import_contract() -> None:
    """The same words in the contracts and in the page, layer by layer."""
    page = read("docs/architecture.md")
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    assert [contract["name"] for contract in contracts if f'"{contract["name"]}"' not in page] == []
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert "```text\n" + "\n".join(layers) + "\n```" in page


def test_the_architecture_names_every_package_and_rule() -> None:
    """A package of the workspace, or a rule of the state machine, that nobody described."""
    page = read("docs/architecture.md")
    assert [name for name in PROJECT["tool"]["uv"]["workspace"]["members"] if f"| `{name}/` |" not in page] == []
    described = [row[0] for row in table("docs/architecture.md", "Rule")]
    assert described == [rule.__name__ for rule in RULES]


def test_contributing_sends_nobody_to_a_place_that_is_not() -> None:
    """The rooms of "where new code goes" exist."""
    rooms = re.findall(
        r"`((?:contract|operator|predictor|training|local|tests|docs)/[\w./-]*)`", read("CONTRIBUTING.md")
    )
    assert rooms
    assert [room for room in rooms if room != "operator/__init__.py" and not (ROOT / room).exists()] == []


def test_every_reason_and_phase_is_explained_for_people_on_call() -> None:
    """Alerts and people match on them."""
    reasons = [row[0] for row in table("docs/release-and-rollback.md", "Reason")]
    assert sorted(reasons) == sorted(reason.value for reason in Reason)
    assert len(set(reasons)) == len(reasons)
    phases = {row[0] for row in table("docs/release-and-rollback.md", "PHASE")}
    assert phases == {phase.value for phase in Phase}


def test_every_setting_is_listed_with_its_default() -> None:
    """A default that is written down changes nothing when it is set."""
    with pytest.raises(SettingsError) as refused:
        Settings.read({f"{PREFIX}NO_SUCH_SETTING": "1"})
    known = set(str(refused.value).partition("known are ")[2].split(", "))
    rows = table("docs/settings.md", "Variable")
    assert {row[0] for row in rows} == known
    default = Settings.read({})
    fixed = {row[0]: row[1] for row in rows if " " not in row[1]}
    assert replace(Settings.read(fixed), lease=default.lease) == replace(default, lease=default.lease)
    assert Settings.read(fixed).lease.name == default.lease.name


def test_every_metric_of_the_operator_is_listed() -> None:
    """With its labels: dashboards and alerts are written from the list."""
    page = read("operator/README.md")
    rows = re.findall(r"^\| (`psm_.*?) \|", page, flags=re.MULTILINE)
    listed = {name: labels for row in rows for name, labels in re.findall(r"`(psm_[a-z_]+)(?:\{([a-z,]+)\})?`", row)}
    assert listed.keys() == exposed.families()
    samples = exposed.labels_by_sample()
    for name, labels in listed.items():
        found = samples.get(name) or samples.get(f"{name}_count") or frozenset()
        own = {"namespace", "name"} if name.startswith("psm_model_") else set()
        assert found - own == set(filter(None, labels.split(","))), name


def test_the_readme_tells_the_story_of_the_demo() -> None:
    """Step by step, in the demo's words; the first one is the cluster's start."""
    told = [row[1] for row in table("README.md", "#")]
    assert told[1:] == [step.name for step in STEPS]
    assert f'"{told[0]}"' in read("local/src/psm_local/demo/run.py")


def test_the_operators_folder_shadows_nothing() -> None:
    """With an operator/__init__.py, Python would take the folder for the standard library's module."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import collections"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_of_one_machine_is_in_the_documentation() -> None:
    """No home folder, no absolute path of somebody's checkout."""
    found = [str(page) for page in pages() if re.search(r"(?<![\w.~/])/(?:root|home|Users|work)/", read(page))]
    assert found == []
