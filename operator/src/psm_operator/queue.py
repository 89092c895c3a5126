"""The work queue: one key per model, each worked on by one worker at a time, retried with backoff.

Handlers, polls and passes add keys; workers call `reconcile` for them. A key is in the queue at most once; a key added
while it is being worked on runs once more afterwards. The queue alone decides what follows a failure: `Retryable` is
tried again with exponential backoff and full jitter, `Stalled` waits for an event, anything else is our bug: logged
with its traceback and backed off. While the gate is closed keys collect and nobody works: that is how a standby waits.
Time and randomness are arguments.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from psm_operator.errors import Retryable, Stalled
from psm_operator.timers import Timer, TimerHandle
from psm_operator.values import ObjectRef

log = logging.getLogger(__name__)


class PassResult(Protocol):
    """What a pass that went well says."""

    @property
    def requeue_after_s(self) -> float | None:
        """When to look again though nothing happens; None if never."""


class QueueMetrics(Protocol):
    """What the queue tells telemetry."""

    def queue_added(self, ahead: int) -> None:
        """A key was added that was not waiting yet, behind `ahead` others."""

    def queue_waited(self, seconds: float) -> None:
        """A worker took a key that had waited so long for one; time behind a closed gate does not count."""

    def queue_retried(self, why: str) -> None:
        """A key failed and will be tried again."""

    def pass_finished(self, outcome: str, seconds: float) -> None:
        """One pass ended."""


class Uncounted:
    """Queue metrics of a queue that nobody measures."""

    def queue_added(self, ahead: int) -> None:
        """Not counted."""

    def queue_waited(self, seconds: float) -> None:
        """Not counted."""

    def queue_retried(self, why: str) -> None:
        """Not counted."""

    def pass_finished(self, outcome: str, seconds: float) -> None:
        """Not counted."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter (AWS Architecture Blog, 2015): uniform(0, min(cap, base * 2^n)).

    Attributes:
        draw: uniform over [0, 1).
    """

    draw: Callable[[], float]
    base_s: float = 1.0
    cap_s: float = 300.0

    def delay_s(self, failures: int) -> float:
        """How long to wait after the n-th failure in a row, n >= 1."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        return ceiling * self.draw()


class WorkQueue:
    """Rate-limited, deduplicating, per-key serial.

    Args:
        work: one pass over one key; raises Retryable or Stalled.
        timer: the event loop's clock, or a test's.
        workers: how many keys are worked on at once.
        pass_timeout_s: a pass that takes longer is cut off and retried: one hung call must not hold a key for ever.
    """

    def __init__(
        self,
        work: Callable[[ObjectRef], Awaitable[PassResult]],
        *,
        timer: Timer,
        backoff: Backoff,
        metrics: QueueMetrics,
        workers: int = 8,
        pass_timeout_s: float = 120.0,
    ) -> None:
        self._work = work
        self._timer = timer
        self._backoff = backoff
        self._metrics = metrics
        self._workers = workers
        self._pass_timeout_s = pass_timeout_s
        self._waiting: dict[ObjectRef, float] = {}
        self._working: dict[ObjectRef, float] = {}
        self._again: set[ObjectRef] = set()
        self._later: dict[ObjectRef, tuple[float, TimerHandle]] = {}
        self._failures: dict[ObjectRef, int] = {}
        self._changed = asyncio.Event()
        self._is_open = False
        self._opened_at = 0.0
        self._is_draining = False

    # --- adding ---------------------------------------------------------------------------------------------------

    def add(self, key: ObjectRef) -> None:
        """Work on `key` as soon as a worker is free."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._metrics.queue_added(len(self._waiting))
            self._waiting[key] = self._timer.time()
            self._changed.set()

    def add_after(self, key: ObjectRef, delay_s: float) -> None:
        """Work on `key` in `delay_s`; of several such wishes the earliest wins."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._timer.time() + delay_s
        before = self._later.get(key)
        if before is not None:
            if before[0] <= due:
                return
            before[1].cancel()
        self._later[key] = (due, self._timer.call_later(delay_s, self._ripen, key))

    def _ripen(self, key: ObjectRef) -> None:
        self._later.pop(key, None)
        self.add(key)

    # --- the gate and the end -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Let workers work: we lead and our caches are warm."""
        self._is_open = True
        self._opened_at = self._timer.time()
        self._changed.set()

    def close(self) -> None:
        """Let no worker take another key."""
        self._is_open = False

    async def run(self) -> None:
        """Work until `drain` is called; cancelling cuts passes off."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._serve(), name=f"queue worker {number}")

    def drain(self) -> None:
        """Take no more keys; `run` returns once the passes under way have ended."""
        self._is_draining = True
        for _, handle in self._later.values():
            handle.cancel()
        self._later.clear()
        self._changed.set()

    # --- what others may ask --------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Keys waiting for a worker."""
        return len(self._waiting)

    @property
    def oldest_wait_s(self) -> float:
        """How long the first key has waited for a worker; waiting while the gate is closed is right and does not count."""
        if not self._is_open:
            return 0.0
        return min(self._age(self._waiting), self._timer.time() - self._opened_at)

    @property
    def longest_pass_s(self) -> float:
        """How long the longest pass under way has taken."""
        return self._age(self._working)

    def _age(self, since: dict[ObjectRef, float]) -> float:
        return self._timer.time() - min(since.values()) if since else 0.0

    # --- working --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while not self._is_draining:
            if self._is_open and self._waiting:
                await self._pass(next(iter(self._waiting)))
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _pass(self, key: ObjectRef) -> None:
        added = self._waiting.pop(key)
        started = self._working[key] = self._timer.time()
        self._metrics.queue_waited(started - max(added, self._opened_at))
        later = self._later.pop(key, None)
        if later is not None:
            later[1].cancel()  # this pass will say anew when to look again
        outcome = "cancelled"
        try:
            outcome = await self._attempt(key)
        finally:
            del self._working[key]
            self._metrics.pass_finished(outcome, self._timer.time() - started)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _attempt(self, key: ObjectRef) -> str:
        try:
            async with asyncio.timeout(self._pass_timeout_s):
                result = await self._work(key)
        except Retryable as err:
            self._retry(key, err.reason.value, str(err), err.retry_after_s)
            return "retryable"
        except Stalled as err:
            self._failures.pop(key, None)
            log.info("stalled: %s", err, extra={"model": str(key), "reason": err.reason.value})
            if err.look_again_s is not None:
                self.add_after(key, err.look_again_s)
            return "stalled"
        except TimeoutError:
            self._retry(key, "PassTimeout", f"a pass took longer than {self._pass_timeout_s:g} s and was cut off", None)
            return "timeout"
        except Exception:  # the edge of the process: one model's bug must not stop the others
            log.exception("a pass failed unexpectedly; this is a bug", extra={"model": str(key)})
            self._retry(key, "Unexpected", "see the traceback above", None)
            return "error"
        self._failures.pop(key, None)
        if result.requeue_after_s is not None:
            self.add_after(key, result.requeue_after_s)
        return "success"

    def _retry(self, key: ObjectRef, why: str, message: str, retry_after_s: float | None) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay_s = max(self._backoff.delay_s(failures), retry_after_s or 0.0)
        log.warning(
            "will retry: %s",
            message,
            extra={"model": str(key), "reason": why, "failures": failures, "delay_s": delay_s},
        )
        self._metrics.queue_retried(why)
        self.add_after(key, delay_s)
