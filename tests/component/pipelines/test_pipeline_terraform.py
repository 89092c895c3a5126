"""The terraform workflow's commands: the real provider, answers of an account that exists nowhere, a state bucket in the emulator."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from pipeline_runner import Job, Sandbox
from pipeline_steps import github_job

from psm_cloud.offline import offline
from psm_cloud.settings import read_settings
from psm_cloud.terraform import Terraform
from psm_local.aws import REGION
from psm_local.emulator.control import EmulatorControl

pytestmark = pytest.mark.component

BUCKET = "mlops-state"


def context(**more: Any) -> dict[str, Any]:
    return {
        "github": {"event_name": "push"},
        "vars": {"TF_STATE_BUCKET_DEV": BUCKET, "TF_STATE_BUCKET_PROD": ""},
        **more,
    }


def test_the_account_is_checked_and_planned(registry: EmulatorControl, tmp_path: Path) -> None:
    """Of the two environments of the matrix dev is planned; what a reviewer reads and what would be applied are there."""
    with offline(Terraform.found(read_settings())) as terraform:
        # an emulator on an address has no host name for each bucket
        path_style = "-backend-config=use_path_style=true"
        state = {"AWS_ENDPOINT_URL_S3": registry.url}
        sandbox = Sandbox(tmp_path, {**terraform.environment, **state}).prepare()
        _make_bucket(registry.url)
        checked = Job(sandbox, context()).run(github_job("terraform.yml", "check"))
        assert not checked.has_failed, checked.report
        planned = Job(sandbox, context()).run(
            github_job("terraform.yml", "plan", env="dev"), TF_CLI_ARGS_init=path_style
        )
        assert not planned.has_failed, planned.report
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert summary.startswith("### dev\n```text\n")
    assert " to add, 0 to change, 0 to destroy." in summary
    built = sandbox.tree / "build" / "terraform"
    assert json.loads((built / "dev.json").read_text())["errored"] is False
    assert (built / "dev.tfplan").stat().st_size > 0


def test_what_is_not_formatted_fails(tmp_path: Path) -> None:
    """Before anything is planned."""
    sandbox = Sandbox(tmp_path, {}).prepare()
    path = sandbox.tree / "terraform" / "envs" / "dev" / "main.tf"
    path.write_text(path.read_text().replace("  region ", "      region ", 1))
    checks = [step for step in github_job("terraform.yml", "check") if "terraform-check" in step.targets]
    assert Job(sandbox, context()).run(checks).has_failed
    assert "main.tf" in sandbox.done[-1].said


def _make_bucket(url: str) -> None:
    keys = {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=url, **keys)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.close()
