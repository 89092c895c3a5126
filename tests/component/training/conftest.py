"""The stand-ins of AWS as a data team's shell would name them."""

from dataclasses import replace
from typing import Any

import boto3
import pytest

from psm_local.aws import AwsEndpoints
from psm_local.emulator.control import EmulatorControl


@pytest.fixture
def storage(
    registry: EmulatorControl, s3: AwsEndpoints, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Any:
    """boto3's client of S3, where the file's BUCKET exists; the standard variables name registry and S3."""
    for name, value in replace(s3, host_url=registry.url).environment().items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", region_name=s3.region)
    bucket = request.module.BUCKET
    if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.region})
    return client
