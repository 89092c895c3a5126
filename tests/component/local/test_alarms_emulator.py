"""One test per correction of moto's alarms, over HTTP with boto3; each names the source of the behaviour.

Sources: [B] botocore's service model, [I] inference that nobody has checked on AWS.
"""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from psm_local.emulator.control import EmulatorControl

REGION = "ap-southeast-1"
ALARM = {
    "AlarmName": "psm-mlops-uk-grocery-silent",
    "Namespace": "PSM/Predictor",
    "MetricName": "Requests",
    "Statistic": "SampleCount",
    "Period": 60,
    "EvaluationPeriods": 10,
    "Threshold": 1.0,
    "ComparisonOperator": "LessThanThreshold",
}


@pytest.fixture
def cloudwatch(registry: EmulatorControl) -> Iterator[Any]:
    """A CloudWatch client of the emulator."""
    client = boto3.client(
        "cloudwatch",
        endpoint_url=registry.url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local-secret",  # noqa: S106  # the emulator checks none
    )
    yield client
    client.close()


def put(client: Any, **tags: str) -> None:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    client.put_metric_alarm(**ALARM, Tags=listed)


def tags_of(client: Any) -> dict[str, str]:
    (row,) = client.describe_alarms(AlarmNames=[ALARM["AlarmName"]])["MetricAlarms"]
    listed = client.list_tags_for_resource(ResourceARN=row["AlarmArn"])["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def test_an_alarm_that_exists_keeps_its_tags(cloudwatch: Any) -> None:
    """If you are using this operation to update an existing alarm, any tags you specify are ignored [B]."""
    put(cloudwatch, Owner="first")
    put(cloudwatch, Owner="second", More="tags")
    assert tags_of(cloudwatch) == {"Owner": "first"}


def test_tags_of_an_alarm_can_be_set_apart(cloudwatch: Any) -> None:
    """TagResource adds to them and replaces them [B]."""
    put(cloudwatch, Owner="first", Kept="yes")
    (row,) = cloudwatch.describe_alarms()["MetricAlarms"]
    cloudwatch.tag_resource(ResourceARN=row["AlarmArn"], Tags=[{"Key": "Owner", "Value": "second"}])
    assert tags_of(cloudwatch) == {"Owner": "second", "Kept": "yes"}


def test_a_deleted_alarm_takes_its_tags_along(cloudwatch: Any) -> None:
    """Its successor has only its own [I]."""
    put(cloudwatch, Owner="first")
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])
    put(cloudwatch)
    assert tags_of(cloudwatch) == {}
