"""The work queue: dedupe, per-key serial, backoff, delays, the gate, the end."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from timers_by_hand import HandTimer, settle

from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable, Stalled
from psm_operator.queue import Backoff, WorkQueue
from psm_operator.values import ObjectRef

A, B, C = (ObjectRef("mlops", name) for name in "abc")


@dataclass(frozen=True)
class Done:
    """A pass that went well."""

    requeue_after_s: float | None = None


@dataclass
class Tally:
    """What the queue told telemetry."""

    adds: int = 0
    ahead: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    retries: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def queue_added(self, ahead: int) -> None:
        """One more key."""
        self.adds += 1
        self.ahead.append(ahead)

    def queue_waited(self, seconds: float) -> None:
        """One more key found a worker."""
        self.waits.append(seconds)

    def queue_retried(self, why: str) -> None:
        """One more retry."""
        self.retries[why] += 1

    def pass_finished(self, outcome: str, seconds: float) -> None:
        """One more pass."""
        assert seconds >= 0
        self.outcomes[outcome] += 1


@dataclass
class Bench:
    """A queue under test, with passes that the test scripts."""

    queue: WorkQueue
    timer: HandTimer
    tally: Tally
    passes: list[ObjectRef]
    draws: list[float]


Work = Callable[[ObjectRef], Awaitable[Done]]


async def well(_: ObjectRef) -> Done:
    """A pass that has nothing to say."""
    return Done()


@asynccontextmanager
async def bench(work: Work = well, *, workers: int = 2, is_open: bool = True) -> AsyncIterator[Bench]:
    """A running queue; drained at the end, so that no worker outlives its test."""
    timer, tally, passes, draws = HandTimer(), Tally(), [], [1.0]

    async def recorded(key: ObjectRef) -> Done:
        passes.append(key)
        return await work(key)

    queue = WorkQueue(recorded, timer=timer, backoff=Backoff(lambda: draws[0]), metrics=tally, workers=workers)
    if is_open:
        queue.open()
    task = asyncio.create_task(queue.run())
    yield Bench(queue, timer, tally, passes, draws)
    queue.drain()
    await asyncio.wait_for(task, 5)


async def test_a_key_added_twice_while_waiting_is_worked_on_once() -> None:
    """Events come in bursts; one pass serves them all."""
    async with bench(is_open=False) as b:
        for _ in range(3):
            b.queue.add(A)
        b.queue.open()
        await settle()
        assert b.passes == [A]
        assert b.tally.adds == 1


async def test_a_key_added_while_worked_on_runs_once_more_and_never_beside_itself() -> None:
    """What happened during a pass may have been missed by it."""
    gate, under_way, most = asyncio.Event(), 0, 0

    async def slow(_: ObjectRef) -> Done:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return Done()

    async with bench(slow, workers=4) as b:
        b.queue.add(A)
        await settle()
        b.queue.add(A)
        b.queue.add(A)
        await settle()
        assert b.passes == [A]
        gate.set()
        await settle()
        assert b.passes == [A, A]
        assert most == 1


async def test_several_keys_are_worked_on_at_once_up_to_the_number_of_workers() -> None:
    """Two workers, three keys: the third waits."""
    gate = asyncio.Event()

    async def slow(_: ObjectRef) -> Done:
        await gate.wait()
        return Done()

    async with bench(slow, workers=2) as b:
        for key in (A, B, C):
            b.queue.add(key)
        await settle()
        assert b.passes == [A, B]
        assert b.queue.depth == 1
        gate.set()
        await settle()
        assert b.passes == [A, B, C]


@pytest.mark.parametrize(("failures", "ceiling_s"), [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (400, 300)], ids=str)
def test_backoff_doubles_from_a_second_to_five_minutes_with_full_jitter(failures: int, ceiling_s: float) -> None:
    """The delay is uniform between nothing and the ceiling."""
    assert Backoff(lambda: 1.0).delay_s(failures) == ceiling_s
    assert Backoff(lambda: 0.25).delay_s(failures) == ceiling_s / 4


async def test_a_retryable_failure_is_tried_again_later_and_success_forgets_it() -> None:
    """Two failures back off 1 s and 2 s; after a success the next failure starts at 1 s again."""
    script = [Retryable("away"), Retryable("away"), None, Retryable("away"), None]

    async def scripted(_: ObjectRef) -> Done:
        step = script.pop(0)
        if step is not None:
            raise step
        return Done()

    async with bench(scripted) as b:
        b.queue.add(A)
        await settle()
        await b.timer.advance(0.9)
        assert len(b.passes) == 1
        await b.timer.advance(0.1)
        assert len(b.passes) == 2
        await b.timer.advance(2)
        assert len(b.passes) == 3
        b.queue.add(A)
        await settle()
        await b.timer.advance(1)
        assert len(b.passes) == 5
        assert b.tally.retries == {Reason.DEPENDENCY_UNAVAILABLE.value: 3}


async def test_retry_after_is_honoured_when_it_is_longer_than_the_backoff() -> None:
    """The other side asked for 30 s."""

    async def busy(_: ObjectRef) -> Done:
        raise Retryable("busy", retry_after_s=30)

    async with bench(busy) as b:
        b.queue.add(A)
        await b.timer.advance(29)
        assert len(b.passes) == 1
        await b.timer.advance(1)
        assert len(b.passes) == 2


async def test_a_stalled_key_waits_for_an_event() -> None:
    """No timer brings it back, an add does."""

    async def stuck(_: ObjectRef) -> Done:
        raise Stalled(Reason.ADOPTION_CONFLICT, "Service/a exists and is not ours")

    async with bench(stuck) as b:
        b.queue.add(A)
        await b.timer.advance(100_000)
        assert len(b.passes) == 1
        b.queue.add(A)
        await settle()
        assert len(b.passes) == 2
        assert b.tally.outcomes == {"stalled": 2}


async def test_a_bug_in_one_pass_is_logged_with_its_traceback_and_backed_off(caplog: pytest.LogCaptureFixture) -> None:
    """The other keys go on."""

    async def buggy(key: ObjectRef) -> Done:
        if key == A:
            raise ZeroDivisionError
        return Done()

    async with bench(buggy) as b:
        with caplog.at_level(logging.ERROR):
            b.queue.add(A)
            b.queue.add(B)
            await settle()
        assert "ZeroDivisionError" in caplog.text
        assert b.passes == [A, B]
        await b.timer.advance(1)
        assert b.passes == [A, B, A]


async def test_of_several_delays_the_earliest_wins() -> None:
    """A later wish does not postpone, an earlier one advances; only one pass follows."""
    async with bench() as b:
        b.queue.add_after(A, 60)
        b.queue.add_after(A, 10)
        b.queue.add_after(A, 30)
        await b.timer.advance(10)
        assert b.passes == [A]
        await b.timer.advance(100)
        assert b.passes == [A]


async def test_a_pass_says_when_to_look_again() -> None:
    """Time alone may change the decision."""

    async def in_five(_: ObjectRef) -> Done:
        return Done(5.0)

    async with bench(in_five) as b:
        b.queue.add(A)
        await b.timer.advance(11)
        assert len(b.passes) == 3


async def test_a_pass_supersedes_what_was_arranged_before_it() -> None:
    """An event before the delay is over leaves no second pass behind."""
    async with bench() as b:
        b.queue.add_after(A, 10)
        b.queue.add(A)
        await b.timer.advance(20)
        assert b.passes == [A]


async def test_while_the_gate_is_closed_keys_collect() -> None:
    """A standby holds what a leader would do, and its waiting is no sign of death."""
    async with bench(is_open=False) as b:
        b.queue.add(A)
        b.queue.add(B)
        await b.timer.advance(1000)
        assert b.passes == []
        assert b.queue.oldest_wait_s == 0
        b.queue.open()
        await settle()
        assert b.passes == [A, B]


async def test_draining_lets_the_pass_under_way_end_and_starts_no_other() -> None:
    """The end is graceful and bounded by what is under way."""
    gate = asyncio.Event()

    async def slow(_: ObjectRef) -> Done:
        await gate.wait()
        return Done(1.0)

    async with bench(slow, workers=1) as b:
        b.queue.add(A)
        b.queue.add(B)
        await settle()
        b.queue.drain()
        gate.set()
        await settle()
        assert b.passes == [A]
        assert b.tally.outcomes == {"success": 1}


async def test_ages_tell_how_long_keys_wait_and_passes_take() -> None:
    """What the watchdog looks at."""
    gate = asyncio.Event()

    async def slow(_: ObjectRef) -> Done:
        await gate.wait()
        return Done()

    async with bench(slow, workers=1) as b:
        b.queue.add(A)
        await settle()
        b.queue.add(B)
        await b.timer.advance(7)
        assert (b.queue.longest_pass_s, b.queue.oldest_wait_s) == (7, 7)
        gate.set()
        await settle()
        assert (b.queue.longest_pass_s, b.queue.oldest_wait_s) == (0, 0)


async def test_waiting_is_told_when_it_ends_and_a_closed_gate_is_not_waiting() -> None:
    """A standby's keys may be days old when it takes over; neither telemetry nor the watchdog takes that for a jam."""
    gate = asyncio.Event()

    async def slow(_: ObjectRef) -> Done:
        await gate.wait()
        return Done()

    async with bench(slow, workers=1, is_open=False) as b:
        b.queue.add(A)
        b.queue.add(B)
        await b.timer.advance(86_400)
        b.queue.open()
        assert b.queue.oldest_wait_s == 0
        await settle()
        await b.timer.advance(3)
        assert b.queue.oldest_wait_s == 3
        gate.set()
        await settle()
        assert b.tally.ahead == [0, 1]
        assert b.tally.waits == [0, 3]
