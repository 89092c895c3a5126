"""Formatter, validation, linter, security scanner and generated pages of `terraform/`."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terraform_plans import ENVIRONMENTS, ROOT, TREE
from tool_environment import python_of

from psm_cloud.__main__ import main
from psm_cloud.terraform import Plan, Terraform
from psm_local import gobuild
from psm_local.settings import read_settings

pytestmark = pytest.mark.component

CHECKOV = Path(__file__).with_name("checkov.txt")


def test_every_file_is_formatted(terraform: Terraform) -> None:
    terraform.at(TREE).run("fmt", "-check", "-recursive", "-diff")


@pytest.mark.parametrize("directory", [*(f"envs/{name}" for name in ENVIRONMENTS), "bootstrap"])
def test_what_people_apply_is_valid(directory: str, terraform: Terraform) -> None:
    """And ready for the backend and the provider that its lock file names."""
    root = terraform.at(TREE / directory).init(backend=False)
    root.validate()
    assert 'version     = "5.' in (root.directory / ".terraform.lock.hcl").read_text()


def test_tflint_finds_nothing() -> None:
    """With the ruleset that it brings: types, unused declarations, versions, deprecated syntax."""
    tflint = gobuild.programs(gobuild.TFLINT, read_settings(), print) / "tflint"
    done = subprocess.run(
        [tflint, "--recursive", "--format", "compact"], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_checkov_finds_nothing_in_what_is_written() -> None:
    """An exception stands beside its resource with its reason."""
    assert findings("--directory", str(TREE), "--framework", "terraform") == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_checkov_finds_nothing_in_what_would_be_made(environment: str, plans: dict[str, Plan], tmp_path: Path) -> None:
    """Of the plan it sees what variables, loops and modules come to; exceptions are those of the files."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(plans[environment]))
    enriched = ("--framework", "terraform_plan", "--repo-root-for-plan-enrichment", str(TREE))
    assert findings("--file", str(plan), *enriched) == []


def findings(*arguments: str) -> list[str]:
    """What checkov finds, one line each."""
    checkov = python_of(CHECKOV).with_name("checkov")
    quiet = ("--skip-download", "--quiet", "--compact", "--output", "json")
    done = subprocess.run([checkov, *arguments, *quiet], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["summary"]["passed"] > 0
    assert said["summary"]["parsing_errors"] == 0
    failed = said["results"]["failed_checks"]
    return sorted(f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in failed)


def test_every_modules_readme_is_up_to_date() -> None:
    """`psm-cloud module-docs` writes them from the files."""
    assert main(["module-docs", "--check", "--tree", str(TREE)]) == 0
