"""An operator that runs in memory: real polls, queue and passes around an in-memory cluster, on a clock moved by hand.

What it leaves out: the API server never fails, watches deliver within the second and lose nothing, and nothing asks for
dashboards.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from timers_by_hand import HandTimer, settle
from world import GOOD, GROUP, RecordingTelemetry

from psm_operator.adapters.memory import MemoryArtifacts, MemoryClock, MemoryRegistry
from psm_operator.adapters.memory_cluster import KIND, MemoryCluster
from psm_operator.adapters.memory_monitoring import MemoryMonitoring
from psm_operator.decide.desired import PredictorDefaults
from psm_operator.decide.monitoring import MonitoringDefaults
from psm_operator.deps import Deps
from psm_operator.metric_polls import Account, Readings, SharedMetricPolls
from psm_operator.monitoring import MonitoringKeeper
from psm_operator.polls import SharedPolls
from psm_operator.queue import Backoff, Uncounted, WorkQueue
from psm_operator.reconcile import Result, reconcile
from psm_operator.values import Approval, GroupRef, Manifest, MetricQuery, MetricReading, ObjectRef, RegistryView

START = datetime(2025, 1, 1, tzinfo=UTC)
ROUNDS = 40
"""Passes that one moment may set off; more is a loop."""


class TimerClock(MemoryClock):
    """Wall-clock time that moves with a timer."""

    def __init__(self, timer: HandTimer) -> None:
        super().__init__(START)
        self._timer = timer

    def now(self) -> datetime:
        """The present moment."""
        return START + timedelta(seconds=self._timer.now)


class UncountedPolls:
    """Poll metrics that nobody reads."""

    def polled(self, seconds: float) -> None:
        """Not counted."""

    def registry_unknown(self, group: GroupRef, minutes: float) -> None:
        """Not counted."""

    def group_forgotten(self, group: GroupRef) -> None:
        """Not counted."""


class RestlessPolls(SharedPolls):
    """Polls that wake every follower every time."""

    def rest(self, ref: ObjectRef, view: RegistryView) -> None:
        """Nobody rests."""


@dataclass
class MemoryMetricSource:
    """CloudWatch as a dictionary."""

    readings: dict[MetricQuery, MetricReading] = field(default_factory=dict)

    async def read(self, account: Account, queries: frozenset[MetricQuery]) -> Readings:  # noqa: ARG002  # the Protocol's
        """What was put, or no datapoint."""
        nothing = MetricReading(value=None, at=None)
        return Readings({query: self.readings.get(query, nothing) for query in queries})


class RunningWorld:
    """Models of one group and the operator that looks after them, second by second.

    Attributes:
        passes: how many there were.
        registered: how many versions the group has.
        timeline: second -> what every model's status said from then on, and the Events recorded until then.
    """

    def __init__(self, polls: type[SharedPolls] = SharedPolls) -> None:
        self._polls_type = polls
        self.timer = HandTimer(now=1000.0)
        self.clock = TimerClock(self.timer)
        self.registry = MemoryRegistry(self.clock)
        self.registry.add_group(GROUP)
        self.cluster = MemoryCluster()
        self.artifacts = MemoryArtifacts()
        self.metrics = MemoryMetricSource()
        self.passes = 0
        self.registered = 0
        self.timeline: list[tuple[float, Mapping[ObjectRef, Manifest], int]] = []
        self._last: dict[ObjectRef, object] = {}
        self.refs: list[ObjectRef] = []

    async def start(self) -> None:
        """A new process, which knows nothing, lists everything."""
        self.queue = WorkQueue(
            self._pass, timer=self.timer, backoff=Backoff(lambda: 0.5), metrics=Uncounted(), workers=1
        )
        self.polls = self._polls_type(
            self.registry, timer=self.timer, metrics=UncountedPolls(), on_poll=self._each(self.queue)
        )
        self.live = SharedMetricPolls(self.metrics, timer=self.timer, on_poll=self._each(self.queue))
        self.deps = Deps(
            cluster=self.cluster,
            polls=self.polls,
            artifacts=self.artifacts,
            live_metrics=self.live,
            clock=self.clock,
            telemetry=RecordingTelemetry(),
            defaults=PredictorDefaults(image="localhost/mlops/api-price-sensitivity:dev"),
            monitoring=MonitoringKeeper(
                MemoryMonitoring(), self.cluster, MonitoringDefaults(), wake=lambda _: None, on_news=lambda _: None
            ),
        )
        self.queue.open()
        self._working = asyncio.create_task(self.queue.run(), name="queue")
        for ref in self.refs:
            self.queue.add(ref)
        await self._come_to_rest()

    async def end(self) -> None:
        """The process is killed."""
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)
        self.queue.drain()
        await self.polls.close()
        await self.live.close()

    async def pass_time(self, seconds: int) -> None:
        """Time passes, second by second; what is said at the end of each is kept."""
        for _ in range(seconds):
            await self.timer.advance(1)
            await self._come_to_rest()
            said = {ref: (self.cluster.get(KIND, ref) or {}).get("status", {}) for ref in self.refs}
            self.timeline.append((self.timer.now, said, len(self.cluster.events)))

    async def put(self, ref: ObjectRef, spec: Manifest) -> None:
        """Make or edit a model."""
        self.cluster.put_model(ref, spec)
        if ref not in self.refs:
            self.refs.append(ref)

    def register(self, approval: Approval, accuracy: str, *, is_stored: bool) -> None:
        """Register the next version."""
        self.registered += 1
        package = self.registry.register(GROUP, approval=approval, metrics={**GOOD, "accuracy": accuracy})
        if is_stored:
            self.artifacts.put(package.model_data_url, package.sha256)

    async def _pass(self, ref: ObjectRef) -> Result:
        self.passes += 1
        return await reconcile(ref, self.deps)

    def _each(self, queue: WorkQueue) -> Callable[[frozenset[ObjectRef]], None]:
        def add(refs: frozenset[ObjectRef]) -> None:
            for ref in sorted(refs):
                queue.add(ref)

        return add

    async def _come_to_rest(self) -> None:
        """Controllers, watches and passes take turns until nothing moves any more in this moment."""
        for _ in range(ROUNDS):
            self.cluster.settle()
            moved = [ref for ref in self.refs if await self._has_moved(ref)]
            for ref in moved:
                self.queue.add(ref)
            await settle()
            if not moved and not self.queue.depth:
                return
        raise AssertionError(f"still moving after {ROUNDS} rounds: {self.cluster.writes[-10:]}")

    async def _has_moved(self, ref: ObjectRef) -> bool:
        model = self.cluster.get(KIND, ref)
        children = await self.cluster.children(ref, model["metadata"]["uid"]) if model is not None else {}
        everything = [model, *(child for _, child in sorted(children.items()))]
        versions = [it["metadata"]["resourceVersion"] for it in everything if it is not None]
        has_moved = self._last.get(ref) != versions
        self._last[ref] = versions
        return has_moved
