"""Calls to AWS as telemetry counts them, against the emulator: whichever adapter makes them."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.roles import RoleNotAssumable

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
ROLE = "arn:aws:iam::210987654321:role/reader"


@dataclass
class Tally:
    """What telemetry was told: (service, operation, outcome, retries)."""

    calls: list[tuple[str, str, str, int]] = field(default_factory=list)

    def aws_called(self, service: str, operation: str, outcome: str, seconds: float, retries: int) -> None:
        """One more call."""
        assert seconds > 0
        self.calls.append((service, operation, outcome, retries))


@pytest.fixture
def tally(account: AwsClients) -> Tally:
    """Told of every call of `account`."""
    found = Tally()
    account.measure(found)
    return found


def attempt(call: Callable[[], Any]) -> None:
    """Make a call whose failure is what the test is about."""
    with contextlib.suppress(ClientError, BotoCoreError, RoleNotAssumable):
        call()


def test_every_service_is_counted_by_operation_and_outcome(account: AwsClients, tally: Tally) -> None:
    """Good calls, and an object that does not exist."""
    account.client("sagemaker", REGION).list_model_package_groups()
    account.client("cloudwatch", REGION).list_metrics()
    attempt(lambda: account.client("s3", REGION).head_bucket(Bucket="no-such-bucket"))
    assert tally.calls == [
        ("sagemaker", "ListModelPackageGroups", "ok", 0),
        ("cloudwatch", "ListMetrics", "ok", 0),
        ("s3", "HeadBucket", "missing", 0),
    ]


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"throttle_rps": 0}, "throttled"),
        ({"outage": True}, "away"),
        ({"refused": {"*": "AccessDeniedException"}}, "denied"),
    ],
    ids=["throttled", "away", "denied"],
)
def test_what_went_wrong_is_told_apart(
    account: AwsClients, tally: Tally, registry: EmulatorControl, faults: dict[str, Any], outcome: str
) -> None:
    """By AWS' error code, not by its words."""
    registry.set_faults(**faults)
    attempt(lambda: account.client("sagemaker", REGION).list_model_packages(ModelPackageGroupName="a"))
    assert [call[:3] for call in tally.calls] == [("sagemaker", "ListModelPackages", outcome)]


def test_a_server_that_is_not_there_is_away(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer at all is counted too."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    clients = AwsClients(AwsLimits(connect_timeout_s=0.2, attempts=1), endpoints={"s3": "http://127.0.0.1:9"})
    clients.measure(tally)
    attempt(lambda: clients.client("s3", REGION).list_buckets())
    assert tally.calls == [("s3", "ListBuckets", "away", 0)]


@pytest.mark.usefixtures("account")  # for the credentials in its environment
def test_retries_within_a_call_are_counted(registry: EmulatorControl) -> None:
    """Throttling that adaptive retries ride out shows only here."""
    tally, patient = Tally(), AwsClients(AwsLimits(attempts=2), endpoints={"sagemaker": registry.url})
    patient.measure(tally)
    registry.set_faults(error_rate={"ListModelPackageGroups": 0.5})
    for _ in range(2):
        attempt(lambda: patient.client("sagemaker", REGION).list_model_package_groups())
    assert max(tally.calls) == ("sagemaker", "ListModelPackageGroups", "ok", 1)
    assert {call[2] for call in tally.calls} == {"ok"}


def test_a_role_that_cannot_be_assumed_is_denied(account: AwsClients, tally: Tally, registry: EmulatorControl) -> None:
    """AssumeRole itself, and the call that needed it."""
    registry.set_faults(refused={"AssumeRole": "AccessDenied"})
    attempt(lambda: account.client("sagemaker", REGION, ROLE).list_model_package_groups())
    assert [call[:3] for call in tally.calls] == [
        ("sts", "AssumeRole", "denied"),
        ("sagemaker", "ListModelPackageGroups", "denied"),
    ]
