"""Registry polls and events against the emulator: an approval takes effect in seconds, and many models cost no more."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from timers_by_hand import HandTimer

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.adapters.sqs import SqsQueue, in_daemon, region_of
from psm_operator.errors import Retryable
from psm_operator.polls import SharedPolls
from psm_operator.queue import Backoff
from psm_operator.registry_events import RegistryEvents
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import Approval, GroupRef, ObjectRef, Snapshot

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
GROUP = GroupRef("prices", REGION)
SOON_S = 60.0
"""Long before the next poll without events, and slow enough for a busy machine."""
NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Lab:
    """A group with one pending version, a rule that sends its events to a queue, and the queue's URL."""

    clients: AwsClients
    registry: EmulatorControl
    queue_url: str

    def register(self) -> str:
        """Register the next version."""
        client = self.clients.client("sagemaker", REGION)
        return str(client.create_model_package(ModelPackageGroupName=GROUP.name)["ModelPackageArn"])

    def approve(self, arn: str) -> None:
        """A person approves."""
        client = self.clients.client("sagemaker", REGION)
        client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    def send(self, *bodies: str) -> None:
        """Somebody else writes into the queue."""
        for body in bodies:
            self.clients.client("sqs", REGION).send_message(QueueUrl=self.queue_url, MessageBody=body)

    def waiting(self) -> int:
        """Messages that are in the queue, those received and not deleted too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.clients.client("sqs", REGION).get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


@pytest.fixture
def lab(account: AwsClients, registry: EmulatorControl) -> Lab:
    """As docs/aws-access.md sets it up."""
    account.client("sagemaker", REGION).create_model_package_group(ModelPackageGroupName=GROUP.name)
    sqs, events = account.client("sqs", REGION), account.client("events", REGION)
    url = sqs.create_queue(QueueName="registry-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
    events.put_rule(Name="registry", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="registry", Targets=[{"Id": "queue", "Arn": arn}])
    return Lab(account, registry, url)


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until it is so, or fail naming what was waited for."""
    async with asyncio.timeout(SOON_S):
        while not await asyncio.to_thread(is_so):  # noqa: ASYNC110  # what is waited for is in another process
            await asyncio.sleep(0.02)
    assert is_so(), what


@asynccontextmanager
async def polling(lab: Lab, *, with_events: bool) -> AsyncIterator[SharedPolls]:
    """Polls of the group every ten minutes; with a consumer of its events beside them."""
    loop, telemetry = asyncio.get_running_loop(), PrometheusTelemetry(version="test")
    source = SageMakerRegistry(lab.clients, clock=SystemClock())
    polls = SharedPolls(source, timer=loop, metrics=telemetry, on_poll=lambda _: None)
    polls.watch(ObjectRef("mlops", "a"), GROUP, interval_s=600, versions=NONE)
    await until(lambda: isinstance(polls.view(GROUP), Snapshot), "the first read")
    queue = SqsQueue(lab.queue_url, AwsLimits(attempts=1), region=REGION, endpoint=lab.registry.url)
    backoff = Backoff(lambda: 0.5, 0.1, 0.1)
    events = RegistryEvents(queue, polls, timer=loop, backoff=backoff, metrics=telemetry)
    task = asyncio.create_task(events.run()) if with_events else None
    yield polls
    if task is not None:
        task.cancel()
    await polls.close()


def approval(polls: SharedPolls, version: int) -> Approval | None:
    """What the last read said of a version."""
    view = polls.view(GROUP)
    assert isinstance(view, Snapshot)
    return next((row.approval for row in view.summaries if row.version == version), None)


async def test_with_events_an_approval_takes_effect_within_five_seconds(lab: Lab) -> None:
    """Although the next poll is ten minutes away; the message is deleted."""
    arn = lab.register()
    async with polling(lab, with_events=True) as polls:
        await until(lambda: lab.registry.calls()["ListModelPackages"] >= 2, "the read after the registration")
        assert approval(polls, 1) is Approval.PENDING
        await asyncio.to_thread(lab.approve, arn)
        await until(lambda: approval(polls, 1) is Approval.APPROVED, "the approval to be read")
        await until(lambda: lab.waiting() == 0, "the messages to be deleted")


async def test_a_storm_of_events_and_rubbish_costs_few_reads(lab: Lab) -> None:
    """Fifty changes of one group, some told twice, with rubbish between: all deleted, the last change read."""
    arns = [lab.register() for _ in range(10)]
    for arn in arns * 5:
        lab.approve(arn)
    lab.send("{}", "not JSON")
    before = lab.registry.calls().get("ListModelPackages", 0)
    async with polling(lab, with_events=True) as polls:
        await until(lambda: lab.waiting() == 0, "the queue to be empty")
        await asyncio.to_thread(lab.approve, lab.register())
        await until(lambda: approval(polls, 11) is Approval.APPROVED, "the last change")
    assert lab.registry.calls()["ListModelPackages"] - before <= 5


async def test_without_its_queue_polling_goes_on_and_events_come_back_with_it(lab: Lab) -> None:
    """The message names the queue and the setting."""
    gone = SqsQueue(lab.queue_url + "-gone", AwsLimits(attempts=1), region=REGION, endpoint=lab.registry.url)
    with pytest.raises(Retryable, match=r"registry-events-gone in region .* PSM_OPERATOR_REGISTRY_EVENTS_QUEUE_URL"):
        await gone.receive()
    lab.registry.set_faults(refused={"ReceiveMessage": "AccessDenied"})
    arn = lab.register()
    async with polling(lab, with_events=True) as polls:
        await asyncio.to_thread(lab.approve, arn)
        denied = SqsQueue(lab.queue_url, AwsLimits(attempts=1), region=REGION, endpoint=lab.registry.url)
        with pytest.raises(Retryable, match="allow sqs:ReceiveMessage and sqs:DeleteMessage"):
            await denied.receive()
        polls.hasten(GROUP, 0)
        await until(lambda: approval(polls, 1) is Approval.APPROVED, "the poll without events")
        second = lab.register()
        lab.registry.set_faults()
        await asyncio.to_thread(lab.approve, second)
        await until(lambda: approval(polls, 2) is Approval.APPROVED, "events to come again")


async def test_a_long_poll_under_way_keeps_nobody_waiting(lab: Lab) -> None:
    """Cancelled at once, though SQS answers in twenty seconds only; nor does its thread keep the process from ending."""
    others = set(threading.enumerate())
    queue = SqsQueue(lab.queue_url, AwsLimits(attempts=1), region=REGION, endpoint=lab.registry.url)
    receiving = asyncio.create_task(queue.receive())
    await until(lambda: lab.registry.calls().get("ReceiveMessage", 0) == 1, "the long poll")
    [thread] = [one for one in set(threading.enumerate()) - others if one.name.startswith("aws")]
    assert thread.daemon
    receiving.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait({receiving})
    assert receiving.cancelled()


async def test_what_goes_wrong_in_a_thread_is_raised_to_the_caller() -> None:
    """Whatever it is."""

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await in_daemon(fail)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/q", ""),
        ("http://127.0.0.1:5000/123456789012/q", ""),
    ],
    ids=["AWS", "China", "a VPC endpoint's own name", "an emulator"],
)
def test_the_region_of_a_queue_is_in_its_url(url: str, region: str) -> None:
    """Else boto3's own region holds."""
    assert region_of(url) == region


async def test_two_hundred_models_of_five_groups_cost_what_five_models_cost(lab: Lab) -> None:
    """Calls per round of polls depend on groups and on versions in play, never on the number of models."""
    groups = [GroupRef(f"group-{number}", REGION) for number in range(5)]
    client: Any = lab.clients.client("sagemaker", REGION)
    for group in groups:
        client.create_model_package_group(ModelPackageGroupName=group.name)
        for status in ("Approved", "PendingManualApproval", "Approved"):
            client.create_model_package(ModelPackageGroupName=group.name, ModelApprovalStatus=status)
    for models in (5, 200):
        await poll_for(lab, groups, models=models)


async def poll_for(lab: Lab, groups: list[GroupRef], *, models: int) -> None:
    """Three polls or more of every group, followed by so many models that serve version 1: one List, two Describe each."""
    timer, ended = HandTimer(), list[frozenset[ObjectRef]]()
    source = SageMakerRegistry(lab.clients, clock=SystemClock())
    polls = SharedPolls(source, timer=timer, metrics=PrometheusTelemetry(version="test"), on_poll=ended.append)
    before = lab.registry.calls()
    for number in range(models):
        group = groups[number % len(groups)]
        polls.watch(ObjectRef("mlops", f"m{number}"), group, interval_s=60, versions=frozenset({1}))

    def is_exact() -> bool:
        after = lab.registry.calls()
        spent = {name: after[name] - before.get(name, 0) for name in after}
        return (spent["ListModelPackages"], spent["DescribeModelPackage"]) == (len(ended), 2 * len(ended))

    for wanted in (1, 2, 3):
        await timer.advance(60)
        await until(lambda: len(ended) >= wanted * len(groups), f"{wanted} polls of every group")  # noqa: B023  # awaited here
    await until(is_exact, f"three calls per poll with {models} models")
    await polls.close()
    assert frozenset().union(*ended) == {ObjectRef("mlops", f"m{number}") for number in range(models)}


async def test_a_throttled_read_is_tried_again_within_the_same_poll(lab: Lab) -> None:
    """The SDK's adaptive mode slows down by itself, so that a busy account costs time and not a failed poll."""
    lab.approve(lab.register())
    patient = AwsClients(AwsLimits(attempts=5), endpoints={"sagemaker": lab.registry.url})
    source = SageMakerRegistry(patient, clock=SystemClock())
    lab.registry.set_faults(throttle_rps=2)
    before = lab.registry.calls().get("ListModelPackages", 0)
    for number in range(3):
        assert (await source.read_group(GROUP, NONE, number)).packages[1].approval is Approval.APPROVED
    assert lab.registry.calls()["ListModelPackages"] - before > 3 - 1
    patient.close()
