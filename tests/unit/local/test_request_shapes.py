"""The suite's own guard: a request that AWS would refuse fails the test that makes it, whatever the code under test does."""

import contextlib

import boto3
import pytest
import request_shapes
from botocore.config import Config

from psm_local.emulator.shapes import refusals, request_shape

NOWHERE = Config(retries={"max_attempts": 0}, connect_timeout=1)


@pytest.mark.parametrize(
    ("service", "operation", "request_", "said"),
    [
        pytest.param(
            "sagemaker",
            "CreateModelPackageGroup",
            {"ModelPackageGroupName": "uk grocery"},
            "does not match",
            id="pattern",
        ),
        pytest.param("sqs", "ReceiveMessage", {"QueueUrl": "u", "MaxNumberOfMessages": "10"}, "no number", id="type"),
        pytest.param("scheduler", "GetSchedule", {"Name": "n" * 65}, "above 64", id="length"),
        pytest.param("sagemaker", "ListModelPackages", {"MaxResults": 101}, "above 100", id="range"),
        pytest.param("sagemaker", "ListModelPackages", {"SortOrder": "Newest"}, "none of", id="enum"),
        pytest.param("sagemaker", "DescribeModelPackage", {}, "missing", id="required"),
        pytest.param(
            "iam", "TagRole", {"RoleName": "r", "Tags": [{"Key": "a<b", "Value": ""}]}, "does not match", id="unicode"
        ),
    ],
)
def test_what_the_service_model_forbids_is_found(
    service: str, operation: str, request_: dict[str, object], said: str
) -> None:
    assert any(said in found for found in refusals(request_, request_shape(service, operation)))


@pytest.mark.refused_request
def test_a_request_is_held_where_boto3_makes_it() -> None:
    """Also where the caller swallows the error of the connection that there is not."""
    client = boto3.client(
        "sagemaker",
        region_name="ap-southeast-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106  # goes nowhere
        config=NOWHERE,
    )
    with contextlib.suppress(Exception):  # as code under test might
        client.list_model_packages(SortOrder="Newest")
    assert [found for found in request_shapes._FOUND if "SortOrder" in found]
    client.close()
