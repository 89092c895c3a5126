"""Registry polls shared by every model of a group: AWS calls per minute do not grow with the number of models.

One task per group reads it at the shortest interval that any follower asked for. When a read ends, well or badly, it
hands to `on_poll` the keys of the models that need a pass: all of them when it says anything new, else those that did not
`rest` since their last pass. `view` answers from memory. What cannot be read is unknown at once: the last good snapshot
is never served as if it were news.

When a group is read
- First: at once, so that a new model resolves fast. When many groups are followed already (a restart), the first read
  waits a share of `FIRST_SPREAD_PER_GROUP_S` per group, at most `FIRST_SPREAD_S`, fixed by a hash of the group.
- Then: every interval; the second read comes early by a hash-fixed share, so that groups drift apart and stay apart.
- After a failure: `RETRY_S`, doubling up to the interval; when throttled, the interval doubled up to `THROTTLED_CAP_S`.
- When somebody needs a version described that the last read did not describe, or calls `hasten`: early, but never
  within `FLOOR_S` of the last read, and not while the registry throttles.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from psm_operator.api.conditions import Reason
from psm_operator.due import Due
from psm_operator.errors import Retryable, Stalled
from psm_operator.ports import Registry
from psm_operator.timers import Timer
from psm_operator.values import GroupRef, ObjectRef, RegistryUnknown, RegistryView, Snapshot, is_same_content

log = logging.getLogger(__name__)

MIN_INTERVAL_S = 15.0
"""Polling one Describe every 5 s was throttled in the SDK's own canary, every 30 s was not; limits are unpublished."""

FLOOR_S = 1.0
"""However often somebody hastens, two reads of a group start this far apart."""

FIRST_SPREAD_S = 5.0
FIRST_SPREAD_PER_GROUP_S = 0.05
RETRY_S = 15.0
THROTTLED_CAP_S = 300.0

AT_LEISURE = 3
"""Versions described at a read, in turn, of those that can wait."""

READ_TIMEOUT_S = 60.0
"""A read that takes longer is given up: unknown must surface within one poll."""


class PollMetrics(Protocol):
    """What the polls tell telemetry."""

    def polled(self, seconds: float) -> None:
        """One poll ended, well or not."""

    def registry_unknown(self, group: GroupRef, minutes: float) -> None:
        """So many more minutes passed in which `group` could not be read."""

    def group_forgotten(self, group: GroupRef) -> None:
        """Nobody follows `group` any more."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What one model declared with `watch`."""

    interval_s: float
    versions: frozenset[int]
    at_leisure: frozenset[int] = frozenset()


@dataclass(slots=True)
class Group:
    """Everything remembered of one group while somebody follows it."""

    ref: GroupRef
    due: Due
    view: RegistryView
    followers: dict[ObjectRef, Interest] = field(default_factory=dict)
    resting: set[ObjectRef] = field(default_factory=set)
    asked: frozenset[int] = frozenset()
    started: float | None = None
    unknown_since: float | None = None
    reads: int = 0
    failures: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def interval_s(self) -> float:
        """The shortest interval that a follower asked for."""
        return max(MIN_INTERVAL_S, min(interest.interval_s for interest in self.followers.values()))

    @property
    def versions(self) -> frozenset[int]:
        """Every version that a follower needs described, and a few in turn of those that can wait."""
        needed = frozenset().union(*(interest.versions for interest in self.followers.values()))
        can_wait = frozenset().union(*(interest.at_leisure for interest in self.followers.values()))
        queue = sorted(can_wait - needed)
        first = self.reads * AT_LEISURE
        return needed.union(queue[(first + turn) % len(queue)] for turn in range(AT_LEISURE) if queue)

    @property
    def is_throttled(self) -> bool:
        """Whether the last read was told to slow down."""
        return isinstance(self.view, RegistryUnknown) and self.view.reason is Reason.REGISTRY_THROTTLED

    @property
    def share(self) -> float:
        """A number in [0, 1) fixed by the group's name."""
        digest = hashlib.sha256(str(self.ref).encode()).digest()
        return int.from_bytes(digest[:4]) / 2**32


class SharedPolls:
    """Implements `ports.RegistryPolls` over a `ports.Registry`.

    Args:
        on_poll: told which models to look at again when a read ended.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        timer: Timer,
        metrics: PollMetrics,
        on_poll: Callable[[frozenset[ObjectRef]], None],
    ) -> None:
        self._registry = registry
        self._timer = timer
        self._metrics = metrics
        self._on_poll = on_poll
        self._groups: dict[GroupRef, Group] = {}
        self._followed: dict[ObjectRef, GroupRef] = {}
        self._number = 0

    # --- the port -------------------------------------------------------------------------------------------------

    def view(self, group: GroupRef) -> RegistryView:
        """The newest snapshot, or why there is none."""
        known = self._groups.get(group)
        return known.view if known is not None else _not_read_yet(group)

    def watch(
        self,
        ref: ObjectRef,
        group: GroupRef,
        *,
        interval_s: float,
        versions: frozenset[int],
        at_leisure: frozenset[int] = frozenset(),
    ) -> None:
        """Declare what `ref` follows; replaces its last declaration, and ends its rest."""
        before = self._followed.get(ref)
        if before is not None and before != group:
            self.unwatch(ref)
        known = self._groups.get(group) or self._follow(group)
        longer_s = known.interval_s if known.followers else interval_s
        self._followed[ref] = group
        known.followers[ref] = Interest(interval_s, versions, at_leisure)
        known.resting.discard(ref)
        if known.task is None:
            known.task = asyncio.create_task(self._poll_on(known), name=f"poll {group}")
        if known.started is not None and known.interval_s < longer_s:
            self._bring_forward(known, known.started + known.interval_s)
        if isinstance(known.view, Snapshot) and self._is_missing(known, known.view, versions):
            self._bring_forward(known, self._timer.time())

    def rest(self, ref: ObjectRef, view: RegistryView) -> None:
        """A pass over `ref` that saw `view` needs no other until a read says anything else."""
        group = self._followed.get(ref)
        if group is not None and is_same_content(view, self._groups[group].view):
            self._groups[group].resting.add(ref)

    def unwatch(self, ref: ObjectRef) -> None:
        """`ref` is gone; a group nobody follows is no longer polled."""
        group = self._followed.pop(ref, None)
        if group is None:
            return
        known = self._groups[group]
        del known.followers[ref]
        known.resting.discard(ref)
        if not known.followers:
            del self._groups[group]
            self._metrics.group_forgotten(group)
            if known.task is not None:
                known.task.cancel()

    def hasten(self, group: GroupRef, after_s: float) -> None:
        """Poll the group no later than `after_s` from now; one that is throttled keeps its pace."""
        known = self._groups.get(group)
        if known is not None and not known.is_throttled:
            self._bring_forward(known, self._timer.time() + after_s)

    async def close(self) -> None:
        """Stop every poll."""
        tasks = [known.task for known in self._groups.values() if known.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what others may ask --------------------------------------------------------------------------------------

    @property
    def followed(self) -> frozenset[GroupRef]:
        """Every group that is polled."""
        return frozenset(self._groups)

    @property
    def groups(self) -> int:
        """How many groups are polled."""
        return len(self._groups)

    @property
    def unknown_groups(self) -> int:
        """How many groups could not be read the last time."""
        return sum(known.unknown_since is not None for known in self._groups.values())

    # --- how ------------------------------------------------------------------------------------------------------

    def _follow(self, group: GroupRef) -> Group:
        known = Group(group, due=Due(self._timer, 0.0), view=_not_read_yet(group))
        spread_s = min(FIRST_SPREAD_S, FIRST_SPREAD_PER_GROUP_S * len(self._groups))
        known.due.at = self._timer.time() + spread_s * known.share
        self._groups[group] = known
        return known

    def _is_missing(self, known: Group, snapshot: Snapshot, versions: frozenset[int]) -> bool:
        """Whether a needed version exists, is not described, and was not asked for yet: one that was will not come."""
        exists = {summary.version for summary in snapshot.summaries}
        return bool((versions & exists) - snapshot.packages.keys() - known.asked)

    def _bring_forward(self, known: Group, due: float) -> None:
        floor = known.started + FLOOR_S if known.started is not None else due
        known.due.bring_forward(max(due, floor))

    async def _poll_on(self, known: Group) -> None:
        while True:
            await known.due.come()
            known.started = self._timer.time()
            known.due.at = float("inf")
            before = known.view
            await self._poll(known)
            now = self._timer.time()
            known.due.at = min(known.due.at, max(now, known.started + self._delay_s(known)))
            if not is_same_content(before, known.view):
                known.resting.clear()
            if woken := known.followers.keys() - known.resting:
                self._on_poll(frozenset(woken))

    async def _poll(self, known: Group) -> None:
        self._number += 1
        known.asked = known.versions
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                known.view = await self._registry.read_group(known.ref, known.asked, self._number)
        except (Retryable, Stalled) as err:
            self._fail(known, RegistryUnknown(err.reason, str(err)))
        except TimeoutError:
            message = (
                f"reading model package group {known.ref.name} in {known.ref.region} took longer than "
                f"{READ_TIMEOUT_S:g} s; check the network path to SageMaker"
            )
            self._fail(known, RegistryUnknown(Reason.REGISTRY_UNAVAILABLE, message))
        except Exception as err:  # the edge of the process: a bug in one read must not end all polling
            log.exception("a poll failed unexpectedly; this is a bug", extra={"group": str(known.ref)})
            self._fail(known, RegistryUnknown(Reason.REGISTRY_UNAVAILABLE, f"reading {known.ref} failed: {err!r}"))
        else:
            self._succeed(known)
        known.reads += 1
        self._metrics.polled(self._timer.time() - (known.started or 0.0))

    def _succeed(self, known: Group) -> None:
        self._count_unknown(known)
        if known.failures:
            log.info("the registry answers again", extra={"group": str(known.ref), "failures": known.failures})
        known.failures, known.unknown_since = 0, None

    def _fail(self, known: Group, view: RegistryUnknown) -> None:
        self._count_unknown(known)
        if view != known.view:
            log.warning(
                "registry unknown: %s", view.message, extra={"group": str(known.ref), "reason": view.reason.value}
            )
        known.failures += 1
        known.unknown_since = self._timer.time()
        known.view = view

    def _count_unknown(self, known: Group) -> None:
        minutes = 0.0 if known.unknown_since is None else (self._timer.time() - known.unknown_since) / 60
        self._metrics.registry_unknown(known.ref, minutes)

    def _delay_s(self, known: Group) -> float:
        interval_s = known.interval_s
        if not isinstance(known.view, Snapshot):
            doublings = min(known.failures, 10)
            if known.is_throttled:
                return float(max(interval_s, min(THROTTLED_CAP_S, interval_s * 2**doublings)))
            return float(min(interval_s, RETRY_S * 2 ** (doublings - 1)))
        if known.reads == 1:
            return max(MIN_INTERVAL_S, interval_s * (1 - known.share / 2))
        return interval_s


def _not_read_yet(group: GroupRef) -> RegistryUnknown:
    return RegistryUnknown(
        Reason.NOT_CHECKED, f"model package group {group.name} in {group.region} has not been read yet"
    )
