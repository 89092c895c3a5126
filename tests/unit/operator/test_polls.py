"""Shared registry polls: one task per group, whoever follows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from timers_by_hand import HandTimer, settle

from psm_operator.adapters.memory import MemoryClock, MemoryRegistry
from psm_operator.api.conditions import Reason
from psm_operator.errors import OperatorError, Retryable, Stalled
from psm_operator.polls import FIRST_SPREAD_S, SharedPolls
from psm_operator.values import Approval, GroupRef, ObjectRef, RegistryUnknown, Snapshot

GROUP = GroupRef("price-sensitivity", "ap-southeast-1")
OTHER = GroupRef("baskets", "ap-southeast-1")
A, B = ObjectRef("mlops", "a"), ObjectRef("mlops", "b")
NONE: frozenset[int] = frozenset()


@dataclass
class Tally:
    """What the polls told telemetry."""

    polls: int = 0
    unknown_minutes: float = 0.0
    forgotten: list[GroupRef] = field(default_factory=list)

    def polled(self, seconds: float) -> None:
        """One more poll."""
        assert seconds >= 0
        self.polls += 1

    def registry_unknown(self, group: GroupRef, minutes: float) -> None:  # noqa: ARG002  # the Protocol's signature
        """So many minutes more."""
        self.unknown_minutes += minutes

    def group_forgotten(self, group: GroupRef) -> None:
        """One group less."""
        self.forgotten.append(group)


@dataclass
class Bench:
    """Polls under test."""

    polls: SharedPolls
    registry: MemoryRegistry
    timer: HandTimer
    tally: Tally
    told: list[frozenset[ObjectRef]]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Polls over a registry with one approved version in each group."""
    timer, tally = HandTimer(), Tally()
    told: list[frozenset[ObjectRef]] = []
    registry = MemoryRegistry(MemoryClock())
    for group in (GROUP, OTHER):
        registry.register(group, approval=Approval.APPROVED)
    polls = SharedPolls(registry, timer=timer, metrics=tally, on_poll=told.append)
    yield Bench(polls, registry, timer, tally, told)
    await polls.close()


async def test_a_new_group_is_read_at_once_and_its_followers_are_told() -> None:
    """A new model must not wait an interval for its first answer."""
    async with bench() as b:
        assert b.polls.view(GROUP) == RegistryUnknown(
            Reason.NOT_CHECKED, "model package group price-sensitivity in ap-southeast-1 has not been read yet"
        )
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        view = b.polls.view(GROUP)
        assert isinstance(view, Snapshot)
        assert view.number == 1
        assert b.told == [{A}]


async def test_reads_do_not_grow_with_the_number_of_followers() -> None:
    """A hundred models of one group cost one read per interval; all are told."""
    async with bench() as b:
        followers = [ObjectRef("mlops", f"m{number}") for number in range(100)]
        for ref in followers:
            b.polls.watch(ref, GROUP, interval_s=60, versions=NONE)
        await b.timer.advance(600)
        assert 10 <= b.registry.reads <= 12
        assert b.told[-1] == frozenset(followers)


async def test_a_model_at_rest_is_woken_by_what_is_new_and_by_nothing_else() -> None:
    """A read that says the same wakes who did not rest; a change, an outage and its end wake everybody."""
    async with bench() as b:
        for ref in (A, B):
            b.polls.watch(ref, GROUP, interval_s=15, versions=NONE)
        await settle()
        b.polls.rest(A, b.polls.view(GROUP))
        b.told.clear()
        await b.timer.advance(15)
        assert b.told == [{B}]
        b.polls.rest(B, b.polls.view(GROUP))
        await b.timer.advance(60)
        assert b.told == [{B}]
        b.registry.register(GROUP)
        await b.timer.advance(15)
        assert b.told[1:] == [{A, B}]
        for ref in (A, B):
            b.polls.rest(ref, b.polls.view(GROUP))
        b.registry.fault = Retryable("away", reason=Reason.REGISTRY_UNAVAILABLE)
        await b.timer.advance(15)
        assert b.told[2:] == [{A, B}]


async def test_a_pass_that_saw_an_older_read_or_has_just_begun_does_not_rest() -> None:
    """What was read meanwhile is still to be looked at."""
    async with bench() as b:
        b.polls.watch(A, GROUP, interval_s=15, versions=NONE)
        await settle()
        seen = b.polls.view(GROUP)
        b.registry.register(GROUP)
        await b.timer.advance(15)
        b.told.clear()
        b.polls.rest(A, seen)
        await b.timer.advance(15)
        assert b.told == [{A}]
        b.polls.rest(A, b.polls.view(GROUP))
        b.polls.watch(A, GROUP, interval_s=15, versions=NONE)
        await b.timer.advance(15)
        assert b.told == [{A}, {A}]


async def test_the_shortest_interval_counts_and_never_below_fifteen_seconds() -> None:
    """One impatient follower hastens for all; nobody is allowed to starve the account."""
    async with bench() as b:
        b.polls.watch(A, GROUP, interval_s=300, versions=NONE)
        await b.timer.advance(1)
        b.polls.watch(B, GROUP, interval_s=1, versions=NONE)
        await b.timer.advance(13)
        assert b.registry.reads == 1
        await b.timer.advance(1)
        assert b.registry.reads == 2
        await b.timer.advance(30)
        assert b.registry.reads == 4


async def test_versions_that_followers_need_are_described_together() -> None:
    """The interest is the union; a version that appears later is asked for at once and only once."""
    async with bench() as b:
        b.registry.register(GROUP)
        b.registry.register(GROUP, approval=Approval.APPROVED)
        b.polls.watch(A, GROUP, interval_s=60, versions=frozenset({1}))
        await settle()
        view = b.polls.view(GROUP)
        assert isinstance(view, Snapshot)
        assert set(view.packages) == {1, 3}
        b.polls.watch(B, GROUP, interval_s=60, versions=frozenset({2, 99}))
        await b.timer.advance(1)
        view = b.polls.view(GROUP)
        assert isinstance(view, Snapshot)
        assert set(view.packages) == {1, 2, 3}
        for _ in range(3):
            b.polls.watch(B, GROUP, interval_s=60, versions=frozenset({2, 99}))
            await b.timer.advance(1)
        assert b.registry.reads == 2


@pytest.mark.parametrize(
    "fault",
    [
        Retryable("throttled", reason=Reason.REGISTRY_THROTTLED),
        Retryable("denied", reason=Reason.ACCESS_DENIED),
        Stalled(Reason.MODEL_PACKAGE_GROUP_NOT_FOUND, "no such group"),
    ],
    ids=str,
)
async def test_what_cannot_be_read_is_unknown_within_one_poll(fault: OperatorError) -> None:
    """The last good snapshot is not served as news; followers are told; the next good read ends it."""
    async with bench() as b:
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        b.registry.fault = fault
        await b.timer.advance(60)
        assert isinstance(fault, Retryable | Stalled)
        assert b.polls.view(GROUP) == RegistryUnknown(fault.reason, str(fault))
        assert b.polls.unknown_groups == 1
        told = len(b.told)
        b.registry.fault = None
        await b.timer.advance(300)
        assert isinstance(b.polls.view(GROUP), Snapshot)
        assert len(b.told) > told
        assert b.polls.unknown_groups == 0


async def test_a_failed_read_is_repeated_sooner_than_the_interval_and_slows_down() -> None:
    """15 s, 30 s, then the interval."""
    async with bench() as b:
        b.registry.fault = Retryable("away", reason=Reason.REGISTRY_UNAVAILABLE)
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        for passed_s, reads in ((14, 1), (1, 2), (29, 2), (1, 3), (59, 3), (1, 4)):
            await b.timer.advance(passed_s)
            assert b.registry.reads == reads


async def test_a_throttled_group_is_read_less_often_and_followers_cannot_change_that() -> None:
    """Asking more often when told to slow down makes it worse."""
    async with bench() as b:
        b.registry.fault = Retryable("slow down", reason=Reason.REGISTRY_THROTTLED)
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        for _ in range(119):
            await b.timer.advance(1)
            b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        assert b.registry.reads == 1
        await b.timer.advance(1)
        assert b.registry.reads == 2


async def test_minutes_unknown_are_counted() -> None:
    """An alert on the counter's rate sees an outage."""
    async with bench() as b:
        b.registry.fault = Retryable("away", reason=Reason.REGISTRY_UNAVAILABLE)
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await b.timer.advance(600)
        assert b.tally.unknown_minutes == pytest.approx(10, abs=1)


async def test_hasten_brings_the_next_read_forward_and_never_delays_it() -> None:
    """The second look at a revoked approval comes after five seconds, not after a minute."""
    async with bench() as b:
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        b.polls.hasten(GROUP, 5)
        b.polls.hasten(GROUP, 30)
        await b.timer.advance(4)
        assert b.registry.reads == 1
        await b.timer.advance(1)
        assert b.registry.reads == 2


async def test_a_group_nobody_follows_is_not_read() -> None:
    """Polling ends with the last follower, also when it moves to another group."""
    async with bench() as b:
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        b.polls.watch(A, OTHER, interval_s=60, versions=NONE)
        await settle()
        assert b.tally.forgotten == [GROUP]
        b.polls.unwatch(A)
        b.polls.unwatch(A)
        reads = b.registry.reads
        await b.timer.advance(600)
        assert b.registry.reads == reads
        assert b.polls.groups == 0


async def test_after_a_restart_first_reads_of_many_groups_are_spread() -> None:
    """Two hundred groups do not hit the registry in the same instant, and all are read within seconds."""
    async with bench() as b:
        for number in range(200):
            group = b.registry.add_group(GroupRef(f"group-{number}", "ap-southeast-1"))
            b.polls.watch(ObjectRef("mlops", f"m{number}"), group, interval_s=60, versions=NONE)
        await settle()
        assert b.registry.reads < 20
        await b.timer.advance(FIRST_SPREAD_S)
        assert b.registry.reads == 200


async def test_polls_of_many_groups_drift_apart() -> None:
    """Groups read in the same second for the first time are not read together for ever."""
    async with bench() as b:
        for number in range(100):
            group = b.registry.add_group(GroupRef(f"group-{number}", "ap-southeast-1"))
            b.polls.watch(ObjectRef("mlops", f"m{number}"), group, interval_s=60, versions=NONE)
        await b.timer.advance(120)
        most = 0
        for _ in range(60):
            before = b.registry.reads
            await b.timer.advance(1)
            most = max(most, b.registry.reads - before)
        assert most <= 15


async def test_a_version_that_does_not_exist_brings_no_read_forward() -> None:
    """A pin to a version of the future waits like everybody."""
    async with bench() as b:
        b.polls.watch(A, GROUP, interval_s=60, versions=NONE)
        await settle()
        b.polls.watch(A, GROUP, interval_s=60, versions=frozenset({99}))
        await b.timer.advance(10)
        assert b.registry.reads == 1


async def test_a_version_that_cannot_be_described_is_asked_for_early_only_once() -> None:
    """Else every pass would bring the next read forward, and every read the next pass."""

    class Forgetful(MemoryRegistry):
        """Lists version 1 and never describes it."""

        def read(self, group: GroupRef, describe: frozenset[int], number: int) -> Snapshot:
            """Without packages."""
            return replace(super().read(group, describe, number), packages={})

    timer, told = HandTimer(), list[frozenset[ObjectRef]]()
    registry = Forgetful(MemoryClock())
    registry.register(GROUP)
    polls = SharedPolls(registry, timer=timer, metrics=Tally(), on_poll=told.append)
    polls.watch(A, GROUP, interval_s=60, versions=NONE)
    await settle()
    for _ in range(20):
        polls.watch(A, GROUP, interval_s=60, versions=frozenset({1}))
        await timer.advance(1)
    assert registry.reads == 2
    await polls.close()
