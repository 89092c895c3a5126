"""One test per correction of moto's model registry, over HTTP with boto3; each names the source of the behaviour.

Sources: [B] botocore's service model, [A] the ACK SageMaker controller, [C] code written against live AWS, [D] AWS's
documentation, [I] inference that nobody has checked on AWS.
"""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from psm_local.emulator.control import EmulatorControl

GROUP = "price-sensitivity"
IMAGE = "123456789012.dkr.ecr.ap-southeast-1.amazonaws.com/api:1"


@pytest.fixture
def sagemaker(registry: EmulatorControl) -> Any:
    """A SageMaker client of the emulator that does not retry, with one empty group."""
    client = boto3.client(
        "sagemaker",
        endpoint_url=registry.url,
        region_name="ap-southeast-1",
        aws_access_key_id="local",
        aws_secret_access_key="local-secret",  # noqa: S106  # the emulator checks none
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.create_model_package_group(ModelPackageGroupName=GROUP, ModelPackageGroupDescription="first")
    return client


def register(client: Any, **fields: Any) -> str:
    """Register a package in the group and return its ARN."""
    specification = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://mlops-dev-models/m.tar.gz"}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    request = {"ModelPackageGroupName": GROUP, "InferenceSpecification": specification, **fields}
    arn: str = client.create_model_package(**request)["ModelPackageArn"]
    return arn


def code_of(err: ClientError) -> str:
    """Return the error code that a caller of boto3 matches on."""
    return str(err.response["Error"]["Code"])


def test_approval_keeps_what_the_call_does_not_name(sagemaker: Any) -> None:
    """UpdateModelPackage is partial [C]: approving keeps metadata, and metadata keeps the approval."""
    arn = register(sagemaker, CustomerMetadataProperties={"psm.accuracy": "0.81"})
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="reviewed by the data team"
    )
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"psm.live.accuracy": "0.79"})
    seen = sagemaker.describe_model_package(ModelPackageName=arn)
    assert seen["ModelApprovalStatus"] == "Approved"
    assert seen["ApprovalDescription"] == "reviewed by the data team"
    assert seen["CustomerMetadataProperties"] == {"psm.accuracy": "0.81", "psm.live.accuracy": "0.79"}


def test_metadata_is_removed_by_its_own_list(sagemaker: Any) -> None:
    """CustomerMetadataPropertiesToRemove removes keys, also without other changes in the call [B]."""
    arn = register(sagemaker, CustomerMetadataProperties={"keep": "1", "drop": "2"})
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["drop", "never-there"])
    assert sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"] == {"keep": "1"}


@pytest.mark.refused_request
@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({f"k{number}": "v" for number in range(51)}, id="51 entries"),
        pytest.param({"k" * 129: "v"}, id="a key of 129 characters"),
        pytest.param({"k": "v" * 257}, id="a value of 257 characters"),
    ],
)
def test_metadata_beyond_the_limits_is_refused(sagemaker: Any, properties: dict[str, str]) -> None:
    """At most 50 entries, keys of 128 and values of 256 characters [B]."""
    with pytest.raises(ClientError, match="CustomerMetadataProperties") as refused:
        register(sagemaker, CustomerMetadataProperties=properties)
    assert code_of(refused.value) == "ValidationException"


def test_versions_grow_and_are_never_reused(sagemaker: Any) -> None:
    """1, 2, then 3 although 2 was deleted [I]."""
    register(sagemaker)
    second = register(sagemaker)
    sagemaker.delete_model_package(ModelPackageName=second)
    third = register(sagemaker)
    assert [second.rpartition("/")[2], third.rpartition("/")[2]] == ["2", "3"]
    listed = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert sorted(summary["ModelPackageVersion"] for summary in listed) == [1, 3]


def test_a_group_that_exists_is_not_replaced(sagemaker: Any) -> None:
    """CreateModelPackageGroup of an existing name is a ValidationException [C]; the group stays as it was."""
    with pytest.raises(ClientError, match="already exists") as refused:
        sagemaker.create_model_package_group(ModelPackageGroupName=GROUP, ModelPackageGroupDescription="second")
    assert code_of(refused.value) == "ValidationException"
    seen = sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)
    assert seen["ModelPackageGroupDescription"] == "first"


@pytest.mark.refused_request
def test_a_group_name_outside_the_pattern_is_refused(sagemaker: Any) -> None:
    """ModelPackageGroupName matches [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62} [B]."""
    with pytest.raises(ClientError) as refused:
        sagemaker.create_model_package_group(ModelPackageGroupName="bad_name!")
    assert code_of(refused.value) == "ValidationException"


def test_a_group_may_be_named_by_its_arn(sagemaker: Any) -> None:
    """ArnOrName: describe, create and list accept the group's ARN [B pattern]."""
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)["ModelPackageGroupArn"]
    package = register(sagemaker, ModelPackageGroupName=arn)
    assert sagemaker.describe_model_package_group(ModelPackageGroupName=arn)["ModelPackageGroupName"] == GROUP
    listed = sagemaker.list_model_packages(ModelPackageGroupName=arn)["ModelPackageSummaryList"]
    assert [summary["ModelPackageArn"] for summary in listed] == [package]


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/price-sensitivity", "ValidationException"),
        (
            "arn:aws:sagemaker:ap-southeast-1:222222222222:model-package-group/price-sensitivity",
            "AccessDeniedException",
        ),
    ],
    ids=["of another region", "of another account"],
)
def test_an_arn_reaches_no_other_region_and_no_other_account(sagemaker: Any, arn: str, code: str) -> None:
    """The group of the same name here is not meant [C for the region, I for the account]."""
    with pytest.raises(ClientError) as refused:
        sagemaker.list_model_packages(ModelPackageGroupName=arn)
    assert code_of(refused.value) == code


def test_a_client_token_makes_registration_idempotent(sagemaker: Any) -> None:
    """The same ClientToken returns the same package [B]."""
    first, again, other = (register(sagemaker, ClientToken=token) for token in ("job-1", "job-1", "job-2"))
    assert first == again
    assert other != first


def test_a_versioned_package_waits_for_approval_by_default(sagemaker: Any) -> None:
    """Without a status it is PendingManualApproval [C]."""
    seen = sagemaker.describe_model_package(ModelPackageName=register(sagemaker))
    assert seen["ModelApprovalStatus"] == "PendingManualApproval"


def test_fields_that_moto_drops_are_kept(sagemaker: Any) -> None:
    """SourceUri, ModelLifeCycle and SkipModelValidation come back [B], and an update changes them."""
    life = {"Stage": "Development", "StageStatus": "Approved"}
    arn = register(sagemaker, SourceUri="s3://b/source", ModelLifeCycle=life, SkipModelValidation="All")
    sagemaker.update_model_package(ModelPackageArn=arn, SourceUri="s3://b/newer")
    seen = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (seen["SourceUri"], seen["ModelLifeCycle"], seen["SkipModelValidation"]) == ("s3://b/newer", life, "All")


def test_a_versioned_package_has_empty_status_details(sagemaker: Any) -> None:
    """ValidationStatuses and ImageScanStatuses are empty lists [D, the example event]."""
    seen = sagemaker.describe_model_package(ModelPackageName=register(sagemaker))
    assert seen["ModelPackageStatusDetails"] == {"ValidationStatuses": [], "ImageScanStatuses": []}


def test_a_versioned_package_takes_no_tags(sagemaker: Any) -> None:
    """Tags on a versioned package are refused [A]."""
    with pytest.raises(ClientError, match="Tags") as refused:
        register(sagemaker, Tags=[{"Key": "team", "Value": "pricing"}])
    assert code_of(refused.value) == "ValidationException"


@pytest.mark.parametrize("operation", ["describe_model_package", "delete_model_package"])
def test_a_missing_package_does_not_exist(sagemaker: Any, operation: str) -> None:
    """The message ends as ACK matches it [A]."""
    arn = "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/9"
    with pytest.raises(ClientError, match=r"does not exist\.$") as refused:
        getattr(sagemaker, operation)(ModelPackageName=arn)
    assert code_of(refused.value) == "ValidationException"


def test_a_groups_name_is_no_packages_name(sagemaker: Any) -> None:
    """A versioned package is addressed by its ARN, not by its group [I]."""
    register(sagemaker)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package(ModelPackageName=GROUP)


def test_registering_in_a_missing_group_says_so(sagemaker: Any) -> None:
    """ValidationException that names the group [A]."""
    with pytest.raises(ClientError, match=r"ModelPackageGroup arn:.*/none does not exist\."):
        register(sagemaker, ModelPackageGroupName="none")


def test_a_group_with_packages_is_not_deleted(sagemaker: Any) -> None:
    """DeleteModelPackageGroup is a ConflictException until the group is empty [B]."""
    arn = register(sagemaker)
    with pytest.raises(ClientError) as refused:
        sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)
    assert code_of(refused.value) == "ConflictException"
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)


@pytest.mark.refused_request
def test_a_page_holds_at_most_a_hundred(sagemaker: Any) -> None:
    """MaxResults above 100 is a ValidationException [B]."""
    with pytest.raises(ClientError) as refused:
        sagemaker.list_model_packages(ModelPackageGroupName=GROUP, MaxResults=101)
    assert code_of(refused.value) == "ValidationException"


def test_throttling_lets_the_named_rate_through(sagemaker: Any, registry: EmulatorControl) -> None:
    """ThrottlingException 'Rate exceeded' with HTTP 400 [B] beyond the rate; healed at once."""
    registry.set_faults(throttle_rps=1)
    sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    with pytest.raises(ClientError, match="Rate exceeded") as refused:
        sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    assert code_of(refused.value) == "ThrottlingException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    registry.set_faults()
    sagemaker.list_model_packages(ModelPackageGroupName=GROUP)


def test_an_error_rate_fails_evenly(sagemaker: Any, registry: EmulatorControl) -> None:
    """A rate of 0.5 fails every second call of that operation and no other operation."""
    registry.set_faults(error_rate={"ListModelPackages": 0.5})
    outcomes = []
    for _ in range(4):
        try:
            sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
            outcomes.append("ok")
        except ClientError as err:
            outcomes.append(code_of(err))
    assert outcomes == ["ok", "InternalFailure", "ok", "InternalFailure"]
    sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)


def test_a_stale_list_shows_what_was(sagemaker: Any, registry: EmulatorControl) -> None:
    """Eventual consistency: list answers as before while describe already knows the new package."""
    first = register(sagemaker)
    listed = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    registry.set_faults(stale_list=True)
    second = register(sagemaker)
    assert sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"] == listed
    assert sagemaker.describe_model_package(ModelPackageName=second)["ModelPackageVersion"] == 2
    registry.set_faults()
    fresh = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert {summary["ModelPackageArn"] for summary in fresh} == {first, second}


def test_an_outage_fails_every_call(sagemaker: Any, registry: EmulatorControl) -> None:
    """ServiceUnavailable until healed."""
    registry.set_faults(outage=True)
    with pytest.raises(ClientError) as refused:
        sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    registry.set_faults()
    sagemaker.list_model_packages(ModelPackageGroupName=GROUP)


def test_faults_may_be_kept_to_one_group(sagemaker: Any, registry: EmulatorControl) -> None:
    """Calls that name another group pass as if nothing were wrong."""
    registry.set_faults(throttle_rps=0, naming=GROUP)
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    sagemaker.create_model_package_group(ModelPackageGroupName="another")
    assert sagemaker.list_model_packages(ModelPackageGroupName="another")["ModelPackageSummaryList"] == []


def test_calls_are_counted_by_operation(sagemaker: Any, registry: EmulatorControl) -> None:
    """The count begins anew with each reset."""
    sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    assert registry.calls() == {"CreateModelPackageGroup": 1, "ListModelPackages": 2}
    registry.reset()
    assert registry.calls() == {}


def test_an_operation_that_is_missing_is_named(sagemaker: Any, registry: EmulatorControl) -> None:
    """Not an HTML page that clients retry: one clear error, and a list for the test run to look at."""
    with pytest.raises(ClientError, match="does not have GetModelPackageGroupPolicy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=GROUP)
    assert "GetModelPackageGroupPolicy" in registry.missing()


@pytest.fixture
def told(registry: EmulatorControl) -> Callable[[], list[dict[str, Any]]]:
    """What EventBridge sent to a queue since it was asked last; a rule for the group's events feeds it."""
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local-secret"}
    sqs, events = (
        boto3.client(name, endpoint_url=registry.url, region_name="ap-southeast-1", **keys)
        for name in ("sqs", "events")
    )
    queue = sqs.create_queue(QueueName="registry-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
    events.put_rule(Name="registry", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="registry", Targets=[{"Id": "queue", "Arn": arn}])

    def ask() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return ask


def test_a_new_package_is_told_to_eventbridge(sagemaker: Any, told: Callable[[], list[dict[str, Any]]]) -> None:
    """Source, detail type, region, ARN and the described package [D]; moto leaves the account to the ARN."""
    arn = register(sagemaker)
    [event] = told()
    assert (event["source"], event["detail-type"]) == ("aws.sagemaker", "SageMaker Model Package State Change")
    assert (event["region"], event["resources"]) == ("ap-southeast-1", [arn])
    detail = event["detail"]
    assert (detail["ModelPackageGroupName"], detail["ModelPackageVersion"]) == (GROUP, 1)
    assert detail["ModelApprovalStatus"] == "PendingManualApproval"
    assert "UpdatedModelPackageFields" not in detail


def test_an_update_is_told_with_the_fields_that_changed(
    sagemaker: Any, told: Callable[[], list[dict[str, Any]]]
) -> None:
    """UpdatedModelPackageFields [C]; metadata alone tells the approval that was there before [C]; sometimes twice [D]."""
    arn = register(sagemaker)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"psm.live.accuracy": "0.7"})
    details = [event["detail"] for event in told()]
    seen = [(detail.get("UpdatedModelPackageFields"), detail["ModelApprovalStatus"]) for detail in details]
    metadata = (["CustomerMetadataProperties"], "Approved")
    assert seen == [(None, "PendingManualApproval"), (["ModelApprovalStatus"], "Approved"), metadata, metadata]


def test_a_rule_without_its_queue_does_not_fail_the_update(registry: EmulatorControl, sagemaker: Any) -> None:
    """EventBridge drops what it cannot deliver; SageMaker does not wait for it [I]."""
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local-secret"}
    events = boto3.client("events", endpoint_url=registry.url, region_name="ap-southeast-1", **keys)
    events.put_rule(Name="registry", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    gone = "arn:aws:sqs:ap-southeast-1:123456789012:gone"
    events.put_targets(Rule="registry", Targets=[{"Id": "queue", "Arn": gone}])
    assert register(sagemaker)


@pytest.mark.parametrize(("service", "operation"), [("sts", "GetCallerIdentity"), ("cloudwatch", "ListMetrics")])
def test_an_operation_may_be_refused_with_a_code(registry: EmulatorControl, service: str, operation: str) -> None:
    """In the query protocol and in JSON; other operations pass, and both are counted."""
    client = boto3.client(
        service,
        endpoint_url=registry.url,
        region_name="ap-southeast-1",
        aws_access_key_id="local",
        aws_secret_access_key="local-secret",  # noqa: S106  # the emulator checks none
    )
    method = getattr(client, xform_name(operation))
    registry.set_faults(refused={operation: "AccessDenied"})
    with pytest.raises(ClientError) as refused:
        method()
    assert code_of(refused.value) == "AccessDenied"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    registry.set_faults(refused={"AnotherOperation": "AccessDenied"})
    method()
    assert registry.calls()[operation] == 2
