"""Liveness that knows whether watches live. kopf's own `/healthz` says 200 while nothing is watched any more.

Three proofs, none of which blames us for an API server that is away:
- every kind we watch still has its watcher task; kopf only logs it when one dies;
- renewals of our own Lease, which the election reads or writes directly, also arrive through a watch: the canary;
- no pass and no waiting key is older than it can be.
What it says goes to `/healthz`; the kubelet then restarts the process.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from psm_operator.timers import Timer


class QueueAge(Protocol):
    """What the watchdog asks the queue."""

    @property
    def oldest_wait_s(self) -> float:
        """How long the first key has waited."""

    @property
    def longest_pass_s(self) -> float:
        """How long the longest pass under way has taken."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may be so before the process counts as dead.

    Attributes:
        start_s: from the start until every watcher must run.
        canary_s: between a renewal that was read directly and any sight of one through the watch. Longer than a watch
            that hangs (70 s until kopf reconnects) and its back-off.
        pass_s: of one pass; passes cut themselves off earlier.
        wait_s: of a key for a worker.
    """

    start_s: float = 60.0
    canary_s: float = 180.0
    pass_s: float = 300.0
    wait_s: float = 600.0


class Watchdog:
    """Collects signs of life.

    Args:
        expected: name of each watcher task that must run.
        running: names of the tasks that run now.
    """

    def __init__(
        self,
        *,
        expected: Iterable[str],
        running: Callable[[], Iterable[str]],
        queue: QueueAge,
        timer: Timer,
        patience: Patience,
    ) -> None:
        self._expected = frozenset(expected)
        self._running = running
        self._queue = queue
        self._timer = timer
        self._patience = patience
        self._started = timer.time()
        self._watched_version = 0
        self._owed_since: float | None = None
        self._owed_version = 0
        self._last_events: dict[str, float] = {}

    def renewed(self, resource_version: str) -> None:
        """The election read or wrote a renewal: the watch owes us the sight of it."""
        version = int(resource_version)
        if version > self._watched_version:
            self._owed_version = max(self._owed_version, version)
            if self._owed_since is None:
                self._owed_since = self._timer.time()

    def saw_lease(self, resource_version: str) -> None:
        """The watch showed the Lease: it is alive, whatever it may still owe."""
        self._watched_version = max(self._watched_version, int(resource_version))
        self._owed_since = None if self._watched_version >= self._owed_version else self._timer.time()

    def postpone(self) -> None:
        """Watches cannot start yet, and nobody can help that from here: the time that they are given begins now."""
        self._started = self._timer.time()
        self._owed_since = None if self._owed_since is None else self._started

    def saw_event(self, kind: str) -> None:
        """The watch of a kind delivered something."""
        self._last_events[kind] = self._timer.time()

    def watch_age_s(self, kind: str) -> float:
        """Seconds since the watch of a kind last delivered anything; since our start if it never did."""
        return self._timer.time() - self._last_events.get(kind, self._started)

    def complaints(self) -> tuple[str, ...]:
        """Why the process should be restarted; empty while it lives."""
        return tuple(filter(None, (self._watchers(), self._canary(), self._passes(), self._waits())))

    def unwatched(self) -> tuple[str, ...]:
        """Why a change could go unseen now: every watcher that does not run, in one sentence; empty if all run."""
        dead = self.not_running(self._expected)
        if not dead:
            return ()
        return (f"not running: {', '.join(sorted(dead))}; is the CRD installed, may the operator list and watch?",)

    def not_running(self, watchers: Iterable[str]) -> frozenset[str]:
        """Those of the named watcher tasks that do not run."""
        return frozenset(watchers) - frozenset(self._running())

    def _watchers(self) -> str | None:
        is_patient = self._timer.time() - self._started < self._patience.start_s
        return None if is_patient else next(iter(self.unwatched()), None)

    def _canary(self) -> str | None:
        silent_s = 0.0 if self._owed_since is None else self._timer.time() - self._owed_since
        if silent_s <= self._patience.canary_s:
            return None
        return f"the watch has shown no renewal of our Lease for {silent_s:.0f} s although it is renewed"

    def _passes(self) -> str | None:
        longest_s = self._queue.longest_pass_s
        return f"a pass has been running for {longest_s:.0f} s" if longest_s > self._patience.pass_s else None

    def _waits(self) -> str | None:
        oldest_s = self._queue.oldest_wait_s
        return f"a key has waited for {oldest_s:.0f} s" if oldest_s > self._patience.wait_s else None
