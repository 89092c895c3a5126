"""Roles of other accounts: assumed, kept, renewed, and named when they cannot be."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from timers_by_hand import HandTimer

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.memory import MemoryClock, MemoryRegistry
from psm_operator.adapters.roles import RoleNotAssumable
from psm_operator.adapters.s3 import S3Artifacts
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable, Stalled
from psm_operator.values import ArtifactState, GroupRef, ModelPackage, Snapshot

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
ROLE = "arn:aws:iam::222222222222:role/psm-operator-reads-models"
OTHER_ROLE = "arn:aws:iam::333333333333:role/psm-operator-reads-models"
ARN = f"arn:aws:sagemaker:{REGION}:222222222222:model-package-group/prices"
OURS = GroupRef("prices", REGION)
THEIRS = GroupRef("prices", REGION, ROLE)


async def read(clients: AwsClients, group: GroupRef) -> Snapshot:
    """One read of a group."""
    port = SageMakerRegistry(clients, clock=SystemClock())
    return await port.read_group(group, frozenset(), 1)


@pytest.fixture
def theirs(account: AwsClients) -> Any:
    """The other account's SageMaker, with a group of one version."""
    client = account.client("sagemaker", REGION, ROLE)
    client.create_model_package_group(ModelPackageGroupName="prices")
    client.create_model_package(ModelPackageGroupName="prices")
    return client


@pytest.mark.usefixtures("theirs")
async def test_a_role_sees_the_registry_of_its_own_account(account: AwsClients) -> None:
    """With the role the group is there; without it, and with another account's, it does not exist."""
    seen = await read(account, THEIRS)
    assert [row.arn for row in seen.summaries] == [f"arn:aws:sagemaker:{REGION}:222222222222:model-package/prices/1"]
    with pytest.raises(Stalled, match=f"prices does not exist in region {REGION} \\("):
        await read(account, OURS)
    with pytest.raises(Stalled, match=f"does not exist in region {REGION} as seen by role {OTHER_ROLE}"):
        await read(account, replace(OURS, role_arn=OTHER_ROLE))


@pytest.mark.usefixtures("theirs")
async def test_a_group_may_be_named_by_the_arn_of_another_account(account: AwsClients) -> None:
    """With a role of that account it is read; without one the message says which account's role is needed."""
    assert len((await read(account, replace(THEIRS, name=ARN))).summaries) == 1
    with pytest.raises(Retryable, match=r"set spec\.registry\.roleARN to a role of account 222222222222") as denied:
        await read(account, replace(OURS, name=ARN))
    assert denied.value.reason is Reason.ACCESS_DENIED
    with pytest.raises(Retryable, match="the role is of account 333333333333, the group of 222222222222"):
        await read(account, GroupRef(ARN, REGION, OTHER_ROLE))


@pytest.mark.usefixtures("theirs")
async def test_an_arn_of_another_region_is_named(account: AwsClients) -> None:
    """Else one would look for a group that is there."""
    with pytest.raises(Stalled, match=f"its ARN names region {REGION}: correct spec.registry.region"):
        await read(account, replace(THEIRS, name=ARN, region="eu-west-1"))


@pytest.mark.usefixtures("theirs")
async def test_a_role_is_assumed_once_for_all_calls_and_regions(account: AwsClients, registry: EmulatorControl) -> None:
    """Under our session name; an hour's credentials serve SageMaker, S3 and CloudWatch."""
    before = registry.calls()["AssumeRole"]
    for _ in range(3):
        await read(account, THEIRS)
    account.client("s3", "eu-west-1", ROLE).list_buckets()
    account.client("cloudwatch", REGION, ROLE).list_metrics()
    assert registry.calls()["AssumeRole"] == before == 1
    assert account.client("sts", REGION, ROLE).get_caller_identity()["Arn"].endswith("/psm-operator")


async def test_credentials_are_renewed_before_they_end(
    registry: EmulatorControl, account: AwsClients, theirs: Any
) -> None:
    """The SDK renews in the last quarter of an hour: a session of that length is renewed at every use."""
    assert theirs
    brief = AwsClients(
        AwsLimits(attempts=1, role_session_s=900), endpoints={"sagemaker": registry.url, "sts": registry.url}
    )
    before = registry.calls()["AssumeRole"]
    for _ in range(2):
        await read(brief, THEIRS)
    assert registry.calls()["AssumeRole"] > before + 1
    registry.set_faults(refused={"AssumeRole": "AccessDenied"})
    assert await read(brief, THEIRS)  # those it has are good until they end
    brief.close()
    account.close()


@pytest.mark.parametrize(
    ("code", "reason", "advice"),
    [
        (
            "AccessDenied",
            Reason.ACCESS_DENIED,
            "allow sts:AssumeRole on it to the operator's own role, and let its trust policy name that",
        ),
        ("ValidationError", Reason.ACCESS_DENIED, "correct spec.registry.roleARN"),
        ("Throttling", Reason.REGISTRY_THROTTLED, "STS asks to slow down"),
        ("InternalFailure", Reason.REGISTRY_UNAVAILABLE, "the service has trouble"),
    ],
    ids=["not trusted", "no such thing", "throttled", "STS in trouble"],
)
async def test_a_role_that_cannot_be_assumed_is_named(
    account: AwsClients, registry: EmulatorControl, code: str, reason: Reason, advice: str
) -> None:
    """Which role, where, why, what to do; nothing is concluded about the group."""
    registry.set_faults(refused={"AssumeRole": code})
    with pytest.raises(RoleNotAssumable) as refused:
        await read(account, THEIRS)
    assert refused.value.reason is reason
    assert str(refused.value).startswith(f"role {ROLE} cannot be assumed at {registry.url} ({code})")
    assert advice in str(refused.value)
    registry.set_faults()
    with pytest.raises(Stalled):
        await read(account, THEIRS)


async def test_without_credentials_of_its_own_the_operator_says_so(
    registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role is assumed with something."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    clients = AwsClients(AwsLimits(attempts=1), endpoints={"sagemaker": registry.url, "sts": registry.url})
    with pytest.raises(RoleNotAssumable, match=r"NoCredentialsError.*the operator has no AWS credentials") as denied:
        await read(clients, THEIRS)
    assert denied.value.reason is Reason.ACCESS_DENIED
    clients.close()


def package(url: str) -> ModelPackage:
    """A package with an artifact at `url`."""
    return MemoryRegistry(MemoryClock()).register(THEIRS, sha256="", model_data_url=url)


async def test_artifacts_are_looked_at_with_the_role(account: AwsClients, registry: EmulatorControl) -> None:
    """And a role that cannot be assumed is no missing artifact."""
    bucket = f"models-{uuid.uuid4().hex[:8]}"
    client = account.client("s3", REGION, ROLE)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket=bucket, Key="model.tar.gz", Body=b"a model")
    port = S3Artifacts(account, timer=HandTimer())
    model = package(f"s3://{bucket}/model.tar.gz")
    assumed = registry.calls()["AssumeRole"]
    assert (await port.look(model, THEIRS)).state is ArtifactState.PRESENT
    registry.set_faults(refused={"AssumeRole": "AccessDenied"})
    found = await port.look(model, replace(THEIRS, role_arn=OTHER_ROLE))
    assert found.state is ArtifactState.UNKNOWN
    assert f"role {OTHER_ROLE} cannot be assumed" in found.message
    assert registry.calls()["AssumeRole"] == assumed + 1
