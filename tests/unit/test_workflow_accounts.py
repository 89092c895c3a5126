"""Which account and which state a workflow works on: an environment is an account of its own (docs/adr/0022)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import yaml
from pipeline_expressions import filled
from pipeline_steps import WORKFLOWS

VARIABLES: Final = {
    "AWS_ACCOUNT_ID_DEV": "111111111111",
    "AWS_ACCOUNT_ID_PROD": "222222222222",
    "TF_STATE_BUCKET_DEV": "mlops-dev-terraform-state",
    "TF_STATE_BUCKET_PROD": "mlops-prod-terraform-state",
    "AWS_REGION": "ap-southeast-1",
}


def credentials() -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """File, job, step and context of every step that takes a role, once for each environment."""
    for path in sorted(WORKFLOWS.glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for environment in ("dev", "prod"):
                context = {
                    "vars": VARIABLES,
                    "matrix": {"env": environment},
                    "inputs": {"environment": environment},
                    "env": {"ENV": str(job.get("env", {}).get("ENV", environment))},
                }
                for step in job.get("steps", []):
                    if "configure-aws-credentials" in step.get("uses", ""):
                        yield path.name, job, step, context


def role_of(step: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, str, str]:
    """Account, environment and name of the role that a step takes."""
    said = filled(step["with"]["role-to-assume"], context)
    found = re.fullmatch(r"arn:aws:iam::(\w*):role/mlops-(dev|prod)-([a-z-]+)", said)
    assert found, said
    return found[1], found[2], found[3]


@pytest.mark.parametrize(("file", "job", "step", "context"), list(credentials()))
def test_a_role_is_of_its_environments_account(
    file: str, job: Mapping[str, Any], step: Mapping[str, Any], context: Mapping[str, Any]
) -> None:
    """And so is the state that the job works on; what is not set is never the other environment's."""
    account, environment, _ = role_of(step, context)
    suffix = environment.upper()
    assert account == VARIABLES[f"AWS_ACCOUNT_ID_{suffix}"], file
    states = str(job.get("env", {}).get("TF_STATE_BUCKET", ""))
    if states:
        assert filled(states, context) == VARIABLES[f"TF_STATE_BUCKET_{suffix}"]
        forgotten = {**context, "vars": {k: "" if k.endswith(suffix) else v for k, v in VARIABLES.items()}}
        assert filled(states, forgotten) in {"", "false"}
        assert role_of(step, forgotten)[0] in {"", "false"}


def test_workflows_take_every_role_that_is_for_them() -> None:
    names = {role_of(step, context)[2] for _, _, step, context in credentials()}
    assert names == {"github-plan", "github-apply", "github-release", "github-model"}
