"""A whole operator in memory: registry, cluster, artifacts and clock that a test moves by hand."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from psm_operator.adapters.memory import MemoryArtifacts, MemoryClock, MemoryLiveMetrics, MemoryPolls, MemoryRegistry
from psm_operator.adapters.memory_cluster import KIND, MemoryCluster
from psm_operator.adapters.memory_monitoring import MemoryMonitoring
from psm_operator.api.conditions import Condition, ConditionType, Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus
from psm_operator.api.stored import read_status
from psm_operator.decide.desired import PredictorDefaults
from psm_operator.decide.desired.model import candidate_name
from psm_operator.decide.monitoring import MonitoringDefaults
from psm_operator.deps import Deps
from psm_operator.errors import Retryable, Stalled
from psm_operator.monitoring import MonitoringKeeper
from psm_operator.ports import Cluster, Monitoring
from psm_operator.reconcile import Result, reconcile
from psm_operator.values import (
    Approval,
    Event,
    GroupRef,
    Manifest,
    ModelPackage,
    ObjectRef,
    Observation,
    Plan,
    RegistryUnknown,
)

REF = ObjectRef("mlops", "uk-grocery")
GROUP = GroupRef("price-sensitivity", "ap-southeast-1")
GOOD = {"accuracy": "0.780000", "macro_f1": "0.770000", "precision_min_class": "0.760000"}
MAX_PASSES = 12


def spec(**changes: Any) -> Manifest:
    """A minimal spec whose clocks are short; `changes` replace top-level fields."""
    return {
        "interval": "15s",
        "registry": {"modelPackageGroupName": GROUP.name, "region": GROUP.region},
        "version": {"policy": "LatestApproved"},
        "rollout": {"soak": "30s"},
        "rollback": {"cooldown": "60s"},
        **changes,
    }


@dataclass
class RecordingTelemetry:
    """Keeps the plans it was shown."""

    plans: list[Plan] = field(default_factory=list)
    forgotten: list[ObjectRef] = field(default_factory=list)
    unread: list[ObjectRef] = field(default_factory=list)

    def noticed(self, seen: Observation) -> None:
        """Nothing is kept of a pass that begins."""

    def unreadable(self, ref: ObjectRef, reason: Reason) -> None:  # noqa: ARG002  # the port's signature
        """One more model that only a person can mend."""
        self.unread.append(ref)

    def observed(self, seen: Observation, plan: Plan) -> None:  # noqa: ARG002  # the port's signature
        """One more plan."""
        self.plans.append(plan)

    def forget(self, ref: ObjectRef) -> None:
        """One more model is gone."""
        self.forgotten.append(ref)


class World:
    """One model, its registry and its cluster; time passes only in `pass_time`.

    Attributes:
        made: every world since somebody emptied it: those that a test leaves behind must be quiet.
    """

    made: ClassVar[list["World"]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.clock = MemoryClock()
        self.registry = MemoryRegistry(self.clock)
        self.registry.add_group(GROUP)
        self.polls = MemoryPolls(self.registry)
        self.cluster = MemoryCluster()
        self.artifacts = MemoryArtifacts()
        self.live_metrics = MemoryLiveMetrics()
        self.cloudwatch = MemoryMonitoring()
        self.telemetry = RecordingTelemetry()
        self.last_error: Stalled | Retryable | None = None
        self._last: list[Manifest | None] = []
        self.restart()

    def restart(self) -> None:
        """What a new process of the operator remembers: nothing."""
        self.due_in_cloudwatch: dict[ObjectRef, None] = {}
        self.keeper = self.keeper_of(self.cloudwatch, self.cluster)
        self.deps = Deps(
            cluster=self.cluster,
            polls=self.polls,
            artifacts=self.artifacts,
            live_metrics=self.live_metrics,
            clock=self.clock,
            telemetry=self.telemetry,
            defaults=PredictorDefaults(image="localhost/mlops/api-price-sensitivity:dev"),
            monitoring=self.keeper,
        )

    def keeper_of(self, cloudwatch: Monitoring, cluster: Cluster) -> MonitoringKeeper:
        """Who keeps dashboards and alarms, over these ports; what is due waits in `due_in_cloudwatch`."""
        return MonitoringKeeper(
            cloudwatch,
            cluster,
            MonitoringDefaults(),
            wake=self.due_in_cloudwatch.setdefault,
            on_news=lambda _: None,
        )

    def create(self, **changes: Any) -> None:
        """Make or edit the resource."""
        self.cluster.put_model(REF, spec(**changes))

    def annotate(self, annotations: dict[str, str]) -> None:
        """A person annotates the resource; what is not named goes."""
        model = self.cluster.get(KIND, REF)
        if model is not None:
            self.cluster.edit(KIND, REF, lambda live: live["metadata"].update(annotations=annotations))

    def register(self, *, approval: Approval = Approval.APPROVED, **changes: Any) -> ModelPackage:
        """Register the next version with its artifact; good metrics unless told otherwise."""
        package = self.registry.register(GROUP, approval=approval, **{"metrics": GOOD, **changes})
        self.artifacts.put(package.model_data_url, package.sha256)
        return package

    def measure(self, version: int, **metrics: str) -> None:
        """An evaluation job writes newer metrics."""
        self.registry.update(GROUP, version, metrics={**GOOD, **metrics})

    def approve(self, version: int, approval: Approval = Approval.APPROVED) -> None:
        """A person changes the approval."""
        self.registry.update(GROUP, version, approval=approval)

    async def once(self) -> Result | None:
        """One pass, and what it has done in CloudWatch; expected errors are kept in `last_error`."""
        self.last_error = None
        result: Result | None = None
        try:
            result = await reconcile(REF, self.deps)
        except (Stalled, Retryable) as err:
            self.last_error = err
        await self.keep_monitoring()
        return result

    async def keep_monitoring(self) -> None:
        """The queue of dashboards and alarms; what fails is due again, as after its backoff."""
        for ref in tuple(self.due_in_cloudwatch):
            del self.due_in_cloudwatch[ref]
            try:
                await self.keeper.keep(ref)
            except (Stalled, Retryable):
                self.due_in_cloudwatch[ref] = None

    async def converge(self) -> int:
        """Passes and controller rounds until nothing is written any more; returns how many passes it took."""
        for count in range(MAX_PASSES):
            before = len(self.cluster.writes)
            await self.once()
            self.cluster.settle()
            if 0.0 in self.polls.hastened.values() or self._is_unread():
                self.polls.poll()
            elif len(self.cluster.writes) == before and not self._moved():
                return count
        raise AssertionError(f"still writing after {MAX_PASSES} passes: {self.cluster.writes[-10:]}")

    def _is_unread(self) -> bool:
        """A group's first poll comes as soon as somebody follows it."""
        views = [self.polls.view(interest.group) for interest in self.polls.interests.values()]
        return any(isinstance(view, RegistryUnknown) and view.reason is Reason.NOT_CHECKED for view in views)

    def _moved(self) -> bool:
        deployments = [ObjectRef(REF.namespace, name) for name in (REF.name, candidate_name(REF))]
        revision = [self.cluster.get(KIND, REF), *(self.cluster.get("Deployment", ref) for ref in deployments)]
        moved = self._last != revision
        self._last = revision
        return moved

    async def pass_time(self, seconds: float, *, step_s: float = 15.0) -> None:
        """Time passes; the registry is polled and the model reconciled every `step_s`."""
        end = self.clock.now().timestamp() + seconds
        while self.clock.now().timestamp() < end:
            self.clock.advance(min(step_s, end - self.clock.now().timestamp()))
            self.polls.poll()
            await self.converge()

    async def serve(self, **changes: Any) -> None:
        """Create the model and let its newest version finish its soak."""
        self.create(**changes)
        await self.converge()
        await self.pass_time(60)

    @property
    def status(self) -> ModelStatus:
        """The status as the cluster has it."""
        model = self.cluster.get(KIND, REF)
        return read_status((model or {}).get("status") or {})

    @property
    def spec(self) -> ModelSpec:
        """The spec as the operator reads it."""
        model = self.cluster.get(KIND, REF)
        return ModelSpec.model_validate((model or {})["spec"])

    @property
    def phase(self) -> str:
        """The status' one word."""
        return self.status.phase.value if self.status.phase is not None else ""

    @property
    def serving(self) -> int | None:
        """The version on the pod template of the serving Deployment."""
        deployment = self.cluster.get("Deployment", REF)
        return int(deployment["spec"]["template"]["metadata"]["labels"]["retail.mlops/version"]) if deployment else None

    @property
    def stable(self) -> int | None:
        """The version that is the way back."""
        return self.status.stable.version if self.status.stable is not None else None

    @property
    def replicas(self) -> int | None:
        """The size of the serving Deployment."""
        deployment = self.cluster.get("Deployment", REF)
        return deployment["spec"].get("replicas", 1) if deployment else None

    @property
    def events(self) -> list[Event]:
        """Recorded Events."""
        return list(self.cluster.events.values())

    def condition(self, kind: ConditionType) -> Condition | None:
        """One condition of the status."""
        return next((c for c in self.status.conditions if c.type is kind), None)
