"""Teardown with Terraform itself: a small configuration with an environment's names and tags, in the emulator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from planted import garden, plant_watching

from psm_cloud.provider import attached
from psm_cloud.settings import read_settings
from psm_cloud.teardown.account import account
from psm_cloud.teardown.adapters.terraform import EnvironmentDestroyer
from psm_cloud.teardown.decide import Keep
from psm_cloud.teardown.run import Run
from psm_cloud.teardown.scope import Scope
from psm_cloud.terraform import Root, Terraform
from psm_local.aws import ACCOUNT, REGION
from psm_local.emulator.control import EmulatorControl

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("cloud-emulator")]

CONFIGURATION = """
provider "aws" {
  max_retries = 4
  default_tags {
    tags = { Project = "PriceSensitivityMLOps", Environment = "dev" }
  }
}

resource "aws_s3_bucket" "this" {
  for_each = toset(["lake", "logs"])
  bucket   = "mlops-dev-${each.key}-123456789012"
  tags     = { Component = "lake" }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.bucket
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_ecr_repository" "api" {
  name = "mlops/dev/api"
  tags = { Component = "registry" }
}

resource "aws_kms_key" "lake" {
  deletion_window_in_days = 30
  tags                    = { Component = "lake" }
}
"""


@pytest.fixture
def applied(registry: EmulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """The configuration, applied."""
    variables = {
        "AWS_ENDPOINT_URL": registry.url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "main.tf").write_text(CONFIGURATION, encoding="utf-8")
    with attached(Terraform.found(read_settings()).having(variables)) as terraform:
        root = terraform.at(tmp_path).init()
        try:
            root.apply()
            yield root
        finally:
            root.forget()


def buckets_of(at: Any) -> list[str]:
    """Return the names of what buckets there are."""
    return [one["Name"] for one in at.s3.list_buckets()["Buckets"]]


def test_terraform_destroys_what_teardown_emptied_and_the_audit_trail_stays(applied: Root) -> None:
    scope, keep = Scope("dev", ACCOUNT, REGION), Keep()
    with garden() as at, account(scope) as opened:
        for bucket in buckets_of(at):
            at.s3.put_object(Bucket=bucket, Key="a", Body=b"1")
            at.s3.put_object(Bucket=bucket, Key="a", Body=b"2")
        plant_watching(at, "dev", "uk-grocery")
        run = Run(opened, scope, keep, lambda _: None, lambda _: None)
        outcome = run.execute(EnvironmentDestroyer(applied, scope, keep))
        assert outcome.is_clean, (outcome.failures, outcome.left)
        assert buckets_of(at) == ["mlops-dev-logs-123456789012"]
        assert len(at.s3.list_object_versions(Bucket="mlops-dev-logs-123456789012")["Versions"]) == 2
        assert not at.ecr.describe_repositories()["repositories"]
    assert not applied.outputs()
    told = {one.what: one.reason for one in outcome.left}
    assert told.pop("arn:aws:s3:::mlops-dev-logs-123456789012") == "keeps the audit trail (--include-audit)"
    assert [reason.startswith("goes on 20") for reason in told.values()] == [True]  # the key, in thirty days
    assert "No state" in applied.run("show") or "empty" in applied.run("show")
