"""Gauges and counters that are read from their owners at each scrape. Wired by `__main__`."""

from collections.abc import Iterable, Mapping, Sized
from functools import partial
from typing import Protocol

from psm_operator.telemetry import PrometheusTelemetry


class QueueState(Protocol):
    """What is asked of the queue."""

    @property
    def depth(self) -> int:
        """Keys waiting for a worker."""

    @property
    def oldest_wait_s(self) -> float:
        """How long the first key has waited."""

    @property
    def longest_pass_s(self) -> float:
        """How long the longest pass under way has taken."""


class PollState(Protocol):
    """What is asked of the polls."""

    @property
    def groups(self) -> int:
        """How many groups are polled."""

    @property
    def unknown_groups(self) -> int:
        """How many groups could not be read the last time."""


class WatchState(Protocol):
    """What is asked of the watchdog."""

    def watch_age_s(self, kind: str) -> float:
        """Seconds since the watch of a kind last delivered anything."""

    def not_running(self, watchers: Iterable[str]) -> frozenset[str]:
        """Those of the named watcher tasks that do not run."""


class LeaseState(Protocol):
    """What is asked of the election."""

    @property
    def transitions(self) -> int:
        """How often the lease changed hands."""


def serve_state(
    telemetry: PrometheusTelemetry, queue: QueueState, polls: PollState, lease: LeaseState, cache: Sized
) -> None:
    """Let every scrape read the queue, the polls, the election and the watch cache."""
    telemetry.gauge("psm_queue_depth", "Keys waiting for a worker.", lambda: queue.depth)
    telemetry.gauge("psm_queue_oldest_seconds", "How long the first key has waited.", lambda: queue.oldest_wait_s)
    telemetry.gauge("psm_queue_longest_pass_seconds", "Age of the longest pass.", lambda: queue.longest_pass_s)
    telemetry.gauge("psm_registry_groups", "Model package groups being polled.", lambda: polls.groups)
    telemetry.gauge("psm_registry_groups_unknown", "Groups not readable at last.", lambda: polls.unknown_groups)
    telemetry.counter("psm_lease_transitions", "How often the Lease changed hands.", lambda: lease.transitions)
    telemetry.gauge("psm_cached_children", "Child objects in the watch cache.", lambda: len(cache))


def serve_watches(telemetry: PrometheusTelemetry, watchdog: WatchState, watchers: Mapping[str, frozenset[str]]) -> None:
    """Let every scrape read how the watch of each kind is; `watchers` is kind -> names of its watcher tasks."""
    ages = {kind: partial(watchdog.watch_age_s, kind) for kind in watchers}
    telemetry.gauges("psm_watch_age_seconds", "Since the watch of a kind last delivered.", "kind", ages)
    running = {kind: partial(_is_running, watchdog, names) for kind, names in watchers.items()}
    telemetry.gauges("psm_watch_running", "1 while a kind is watched.", "kind", running)


def _is_running(watchdog: WatchState, watchers: frozenset[str]) -> bool:
    return not watchdog.not_running(watchers)
