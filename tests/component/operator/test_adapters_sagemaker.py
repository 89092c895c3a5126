"""The Registry port: one suite, on the in-memory registry and on the emulator; then what only AWS does."""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.memory import MemoryClock, MemoryRegistry
from psm_operator.adapters.sagemaker import SageMakerRegistry, model_data_url_of
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable, Stalled
from psm_operator.ports import Registry
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import Approval, DataValidation, GroupRef

pytestmark = pytest.mark.component

GROUP = GroupRef("price-sensitivity", "ap-southeast-1")
DIGEST = "ab" * 32
URL = f"s3://models/{DIGEST}/model.tar.gz"
NONE: frozenset[int] = frozenset()


class Bench(Protocol):
    """A Registry under test, and what training and people do to it."""

    port: Registry

    def add_group(self) -> None:
        """Create the group."""

    def register(self, approval: Approval, metrics: Mapping[str, str]) -> None:
        """Register the next version."""

    def approve(self, version: int, approval: Approval, note: str) -> None:
        """Change a version's approval."""

    def measure(self, version: int, metric: str, value: str) -> None:
        """An evaluation job writes a live metric."""


class InMemory:
    """The in-memory registry."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry(MemoryClock())
        self.port: Registry = self.registry

    def add_group(self) -> None:
        """Create the group."""
        self.registry.add_group(GROUP)

    def register(self, approval: Approval, metrics: Mapping[str, str]) -> None:
        """Register the next version."""
        self.registry.register(GROUP, approval=approval, metrics=metrics, sha256=DIGEST, model_data_url=URL)

    def approve(self, version: int, approval: Approval, note: str) -> None:
        """Change a version's approval."""
        self.registry.update(GROUP, version, approval=approval, approval_note=note)

    def measure(self, version: int, metric: str, value: str) -> None:
        """An evaluation job writes a live metric."""
        before = self.registry.package(GROUP, version).metrics
        self.registry.update(GROUP, version, metrics={**before, metric: value})


class OnEmulator:
    """SageMaker as the emulator has it."""

    def __init__(self, clients: AwsClients) -> None:
        self.telemetry = PrometheusTelemetry(version="test")
        clients.measure(self.telemetry)
        self.port: Registry = SageMakerRegistry(clients, clock=SystemClock())
        self.client = clients.client("sagemaker", GROUP.region)
        self.arns: list[str] = []

    def add_group(self) -> None:
        """Create the group."""
        self.client.create_model_package_group(ModelPackageGroupName=GROUP.name)

    def register(self, approval: Approval, metrics: Mapping[str, str]) -> None:
        """Register the next version."""
        container = {"Image": "predictor", "ModelDataUrl": URL}
        answer = self.client.create_model_package(
            ModelPackageGroupName=GROUP.name,
            ModelApprovalStatus=approval.value,
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                "psm.protocol": "1",
                "psm.sha256": DIGEST,
                "psm.data_validation": "passed",
                "psm.training_window": "weeks 1-80",
                **{f"psm.{name}": value for name, value in metrics.items()},
            },
        )
        self.arns.append(answer["ModelPackageArn"])

    def approve(self, version: int, approval: Approval, note: str) -> None:
        """Change a version's approval."""
        self.update(version, ModelApprovalStatus=approval.value, ApprovalDescription=note)

    def measure(self, version: int, metric: str, value: str) -> None:
        """An evaluation job writes a live metric."""
        self.update(version, CustomerMetadataProperties={f"psm.live.{metric}": value})

    def update(self, version: int, **changes: Any) -> None:
        """UpdateModelPackage."""
        self.client.update_model_package(ModelPackageArn=self.arns[version - 1], **changes)


@pytest.fixture(params=["memory", "emulator"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each implementation in turn."""
    if request.param == "memory":
        return InMemory()
    return OnEmulator(request.getfixturevalue("sagemaker"))


@pytest.fixture
def aws(sagemaker: AwsClients) -> OnEmulator:
    """What only AWS does."""
    return OnEmulator(sagemaker)


async def test_versions_come_newest_first_and_the_newest_approved_is_described(bench: Bench) -> None:
    """With those that somebody asked for; versions that do not exist are passed over."""
    bench.add_group()
    for approval in (Approval.APPROVED, Approval.APPROVED, Approval.PENDING, Approval.REJECTED):
        bench.register(approval, {"accuracy": "0.780000"})
    seen = await bench.port.read_group(GROUP, frozenset({1, 99}), 7)
    assert seen.number == 7
    assert [(row.version, row.approval) for row in seen.summaries] == [
        (4, Approval.REJECTED),
        (3, Approval.PENDING),
        (2, Approval.APPROVED),
        (1, Approval.APPROVED),
    ]
    assert set(seen.packages) == {1, 2}


async def test_a_package_is_read_in_our_words(bench: Bench) -> None:
    """Digest, artifact, metrics, validation, protocol."""
    bench.add_group()
    bench.register(Approval.APPROVED, {"accuracy": "0.780000", "macro_f1": "0.770000"})
    package = (await bench.port.read_group(GROUP, NONE, 1)).packages[1]
    assert package.arn == "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/1"
    assert (package.model_data_url, package.sha256) == (URL, DIGEST)
    assert package.metrics == {"accuracy": "0.780000", "macro_f1": "0.770000"}
    assert package.data_validation is DataValidation.PASSED
    assert package.modified_at.tzinfo is not None


async def test_a_list_and_a_description_agree_on_when_a_package_was_made(bench: Bench) -> None:
    """What serves is known by it: two answers that differ would be two packages."""
    bench.add_group()
    bench.register(Approval.APPROVED, {"accuracy": "0.780000"})
    seen = await bench.port.read_group(GROUP, NONE, 1)
    assert seen.summaries[0].created_at is not None
    assert seen.summaries[0].created_at.microsecond == 0
    assert seen.summaries[0].created_at == seen.packages[1].created_at


async def test_live_metrics_override_and_do_not_change_the_fingerprint(bench: Bench) -> None:
    """The newer truth counts; it is no new approval. A changed note is one."""
    bench.add_group()
    bench.register(Approval.APPROVED, {"accuracy": "0.780000"})
    before = (await bench.port.read_group(GROUP, NONE, 1)).packages[1]
    bench.measure(1, "accuracy", "0.610000")
    after = (await bench.port.read_group(GROUP, NONE, 2)).packages[1]
    assert after.metrics == {"accuracy": "0.610000"}
    assert after.fingerprint == before.fingerprint
    bench.approve(1, Approval.APPROVED, "looked at it again")
    noted = (await bench.port.read_group(GROUP, NONE, 3)).packages[1]
    assert noted.approval_note == "looked at it again"
    assert noted.fingerprint != before.fingerprint


async def test_an_empty_group_is_no_error(bench: Bench) -> None:
    """It exists and has nothing to serve."""
    bench.add_group()
    seen = await bench.port.read_group(GROUP, NONE, 1)
    assert (seen.summaries, dict(seen.packages)) == ((), {})


async def test_a_missing_group_is_named(bench: Bench) -> None:
    """Whether AWS answers with an error or with an empty list."""
    with pytest.raises(Stalled, match="price-sensitivity does not exist in region ap-southeast-1") as missing:
        await bench.port.read_group(GROUP, NONE, 1)
    assert missing.value.reason is Reason.MODEL_PACKAGE_GROUP_NOT_FOUND


async def test_every_page_is_read(aws: OnEmulator) -> None:
    """More versions than one page holds."""
    aws.add_group()
    for _ in range(103):
        aws.register(Approval.PENDING, {})
    seen = await aws.port.read_group(GROUP, NONE, 1)
    assert [row.version for row in seen.summaries] == list(range(103, 0, -1))


async def test_a_throttled_read_says_so(aws: OnEmulator, registry: EmulatorControl) -> None:
    """Nothing may be concluded; polling slows down by itself."""
    aws.add_group()
    registry.set_faults(throttle_rps=0)
    with pytest.raises(Retryable, match="SageMaker throttles reads of model package group price-sensitivity") as slow:
        await aws.port.read_group(GROUP, NONE, 1)
    assert slow.value.reason is Reason.REGISTRY_THROTTLED
    assert b'outcome="throttled"' in aws.telemetry.exposition()


async def test_a_broken_describe_makes_the_whole_read_unknown(aws: OnEmulator, registry: EmulatorControl) -> None:
    """A snapshot is complete or there is none."""
    aws.add_group()
    aws.register(Approval.APPROVED, {})
    registry.set_faults(error_rate={"DescribeModelPackage": 1.0})
    with pytest.raises(Retryable) as broken:
        await aws.port.read_group(GROUP, NONE, 1)
    assert broken.value.reason is Reason.REGISTRY_UNAVAILABLE


async def test_an_outage_names_the_endpoint(aws: OnEmulator, registry: EmulatorControl) -> None:
    """One can see where the operator looked."""
    registry.set_faults(outage=True)
    with pytest.raises(Retryable, match=f"could not be read at {registry.url}") as away:
        await aws.port.read_group(GROUP, NONE, 1)
    assert away.value.reason is Reason.REGISTRY_UNAVAILABLE


@pytest.mark.usefixtures("sagemaker")  # for its credentials
async def test_a_registry_that_hangs_is_given_up(registry: EmulatorControl) -> None:
    """The read timeout of the client ends it."""
    hasty = AwsClients(AwsLimits(read_timeout_s=0.5, attempts=1), endpoints={"sagemaker": registry.url})
    registry.set_faults(latency_ms=3000)
    with pytest.raises(Retryable) as hanging:
        await SageMakerRegistry(hasty, clock=SystemClock()).read_group(GROUP, NONE, 1)
    hasty.close()
    assert hanging.value.reason is Reason.REGISTRY_UNAVAILABLE


async def test_missing_credentials_say_which_rights_are_needed(
    registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hour on a new cluster: no role was given to the pod."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    clients = AwsClients(AwsLimits(attempts=1), endpoints={"sagemaker": registry.url})
    port = SageMakerRegistry(clients, clock=SystemClock())
    with pytest.raises(Retryable, match=r"NoCredentialsError.*sagemaker:ListModelPackages") as denied:
        await port.read_group(GROUP, NONE, 1)
    assert denied.value.reason is Reason.ACCESS_DENIED
    clients.close()


def test_the_newer_way_to_name_model_data_is_understood() -> None:
    """ModelDataSource.S3DataSource where ModelDataUrl is absent."""
    assert model_data_url_of({"ModelDataSource": {"S3DataSource": {"S3Uri": URL}}}) == URL
    assert model_data_url_of({}) == ""
