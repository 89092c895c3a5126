"""Registry events: an event means "look now", and whatever else comes does no harm."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from timers_by_hand import HandTimer, settle

from psm_operator.adapters.memory import MemoryClock, MemoryRegistry
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable
from psm_operator.polls import FLOOR_S, SharedPolls
from psm_operator.queue import Backoff
from psm_operator.registry_events import DETAIL_TYPE, GATHER_S, Change, Message, RegistryEvents, change_of, is_about
from psm_operator.values import GroupRef, ObjectRef

REGION = "ap-southeast-1"
GROUP = GroupRef("prices", REGION)
ROLE = "arn:aws:iam::222222222222:role/reader"
A = ObjectRef("mlops", "a")
NONE: frozenset[int] = frozenset()


def event(group: str = "prices", account: str = "111111111111", region: str = REGION) -> str:
    """One event as EventBridge writes it."""
    arn = f"arn:aws:sagemaker:{region}:{account}:model-package/{group.lower()}/7"
    detail = {"ModelPackageGroupName": group, "ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}
    return json.dumps({"detail-type": DETAIL_TYPE, "region": region, "account": account, "detail": detail})


@dataclass
class Queue:
    """A queue in memory, which waits for messages as SQS does, and can be away.

    Attributes:
        fault: raised by the next receive while set.
    """

    timer: HandTimer
    waiting: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    received: int = 0
    fault: Exception | None = None

    async def receive(self) -> Sequence[Message]:
        """Up to ten messages; the next turn of the loop if there are none."""
        self.received += 1
        if self.fault is not None:
            raise self.fault
        batch, self.waiting = self.waiting[:10], self.waiting[10:]
        if not batch:
            await self._pause()
        return [Message(body, body) for body in batch]

    async def _pause(self) -> None:
        done = asyncio.Event()
        self.timer.call_later(0.1, done.set)
        await done.wait()

    async def delete(self, messages: Sequence[Message]) -> None:
        """Forget."""
        self.deleted += [message.body for message in messages]


@dataclass
class Tally:
    """What telemetry was told."""

    outcomes: list[str] = field(default_factory=list)

    def registry_event(self, outcome: str) -> None:
        """One message."""
        self.outcomes.append(outcome)

    def polled(self, seconds: float) -> None:
        """One poll."""

    def registry_unknown(self, group: GroupRef, seconds: float) -> None:
        """Time unknown."""

    def group_forgotten(self, group: GroupRef) -> None:
        """A group less."""


@dataclass
class Bench:
    """A consumer beside polls of one group that was just read."""

    queue: Queue
    registry: MemoryRegistry
    polls: SharedPolls
    timer: HandTimer
    tally: Tally


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Polls every 5 minutes, so that whatever is sooner comes from events."""
    timer, tally = HandTimer(), Tally()
    registry = MemoryRegistry(MemoryClock())
    registry.register(GROUP)
    polls = SharedPolls(registry, timer=timer, metrics=tally, on_poll=lambda _: None)
    queue = Queue(timer)
    consumer = RegistryEvents(queue, polls, timer=timer, backoff=Backoff(lambda: 1.0, 1.0, 60.0), metrics=tally)
    polls.watch(A, GROUP, interval_s=300, versions=NONE)
    task = asyncio.create_task(consumer.run())
    await timer.advance(FLOOR_S + 1)
    yield Bench(queue, registry, polls, timer, tally)
    task.cancel()
    await polls.close()


async def test_an_event_brings_the_next_read_forward() -> None:
    """Half a second instead of five minutes; the message is deleted."""
    async with bench() as b:
        assert b.registry.reads == 1
        b.queue.waiting.append(event())
        await b.timer.advance(0.1 + GATHER_S)
        assert b.registry.reads == 2
        assert b.queue.deleted == [event()]
        assert b.tally.outcomes == ["followed"]


async def test_fifty_events_of_one_group_give_one_read() -> None:
    """EventBridge sends duplicates, and a pipeline that registers changes a package several times."""
    async with bench() as b:
        for _ in range(10):
            b.queue.waiting += [event()] * 5
            await b.timer.advance(GATHER_S / 20)
        await b.timer.advance(60)
        assert b.registry.reads == 2
        assert len(b.queue.deleted) == 50


async def test_events_without_end_give_no_more_reads_than_the_floor_allows() -> None:
    """A storm of an hour is one read per second at most, not one per event."""
    async with bench() as b:
        for _ in range(100):
            b.queue.waiting += [event()] * 5
            await b.timer.advance(0.1)
        assert b.registry.reads <= 1 + 10 / FLOOR_S + 1


async def test_events_do_not_wear_down_a_registry_that_throttles() -> None:
    """The polls have been told to slow down."""
    async with bench() as b:
        b.registry.fault = Retryable("slow down", reason=Reason.REGISTRY_THROTTLED)
        b.queue.waiting.append(event())
        await b.timer.advance(2)
        reads = b.registry.reads
        b.queue.waiting += [event()] * 20
        await b.timer.advance(60)
        assert b.registry.reads == reads


async def test_events_of_groups_that_nobody_follows_are_deleted() -> None:
    """A queue may serve several operators' groups."""
    async with bench() as b:
        b.queue.waiting += [event("another"), event(region="eu-west-1")]
        await b.timer.advance(60)
        assert b.registry.reads == 1
        assert len(b.queue.deleted) == 2
        assert b.tally.outcomes == ["ignored", "ignored"]


RUBBISH = [
    "",
    "hello",
    "[]",
    "null",
    "7",
    "{}",
    '{"detail": null}',
    '{"detail": {"ModelPackageGroupName": 7, "ModelPackageArn": "arn:aws:a:b:c:d"}}',
    json.dumps(
        {"detail-type": DETAIL_TYPE, "detail": {"ModelPackageGroupName": 7, "ModelPackageArn": "arn:a:b:c:d:e"}}
    ),
    json.dumps(
        {"detail-type": DETAIL_TYPE, "detail": {"ModelPackageGroupName": "prices", "ModelPackageArn": "prices"}}
    ),
    json.dumps({"detail-type": DETAIL_TYPE, "detail": {"ModelPackageGroupName": "prices", "ModelPackageArn": 7}}),
    event().replace(DETAIL_TYPE, "SageMaker Endpoint State Change"),
    "[" * 100_000,
]


async def test_rubbish_is_deleted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is, the next event is as good as ever."""
    caplog.set_level(logging.WARNING)
    async with bench() as b:
        b.queue.waiting += [*RUBBISH, event()]
        await b.timer.advance(5)
        assert b.queue.waiting == []
        assert len(b.queue.deleted) == len(RUBBISH) + 1
        assert b.registry.reads == 2
        assert b.tally.outcomes == ["unreadable"] * len(RUBBISH) + ["followed"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is no 'SageMaker Model Package State Change'" in caplog.text


@pytest.mark.parametrize(
    "fault", [Retryable("queue x does not exist; create it"), RuntimeError("boom")], ids=["away", "a bug"]
)
async def test_while_the_queue_is_away_polling_goes_on(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked less and less often, said once, and heard again when it is back."""
    caplog.set_level(logging.INFO)
    async with bench() as b:
        b.queue.fault = fault
        await b.timer.advance(600)
        assert b.registry.reads >= 2
        assert b.queue.received < 40
        told = [record.message for record in caplog.records if "polling goes on" in record.message]
        assert len(told) == 1
        assert str(fault) in told[0]
        b.queue.fault = None
        b.queue.waiting.append(event())
        reads = b.registry.reads
        await b.timer.advance(62)
        assert b.registry.reads == reads + 1
        assert "registry events come again" in caplog.text


OURS = Change("111111111111", REGION, "prices")


@pytest.mark.parametrize(
    ("change", "group", "expected"),
    [
        (OURS, GROUP, True),
        (Change("111111111111", "eu-west-1", "prices"), GROUP, False),
        (Change("111111111111", REGION, "Prices"), GROUP, False),
        (OURS, GroupRef("prices", REGION, ROLE), False),
        (Change("222222222222", REGION, "prices"), GroupRef("prices", REGION, ROLE), True),
        (OURS, GroupRef(f"arn:aws:sagemaker:{REGION}:111111111111:model-package-group/prices", REGION), True),
        (OURS, GroupRef(f"arn:aws:sagemaker:{REGION}:222222222222:model-package-group/prices", REGION), False),
    ],
    ids=[
        "ours",
        "another region's",
        "another name's",
        "not the role's account",
        "the role's account",
        "named by ARN",
        "named by another account's ARN",
    ],
)
def test_which_groups_an_event_is_about(change: Change, group: GroupRef, expected: bool) -> None:  # noqa: FBT001
    """By region, name, and account where one is known."""
    assert is_about(change, group) is expected


def test_account_and_region_come_from_the_arn() -> None:
    """The envelope may be forwarded from elsewhere."""
    assert change_of(event(account="222222222222")) == Change("222222222222", REGION, "prices")


async def test_a_cancelled_consumer_ends_at_once() -> None:
    """Also in the middle of its backoff."""
    async with bench() as b:
        b.queue.fault = Retryable("away")
        await b.timer.advance(1)
    await settle()
