"""Keeps each model's dashboard and alarms in CloudWatch, beside the passes: nothing that serves or releases waits for AWS.

A pass declares what it wants (`follow`), a queue of its own calls `keep`, and what came of it is told by the next pass
(`view`). `keep` believes nothing it was told: it reads the model anew, so that a stale wish does no harm.

The order that leaves nothing behind, wherever a process dies
- the finalizer first, then the first write to AWS;
- at the end, or when nothing is wanted any more: what is ours in AWS first, then the finalizer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from psm_operator.api.conditions import Reason
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.api.stored import InvalidSpec, read_spec, read_status
from psm_operator.decide.monitoring import (
    FINALIZER,
    Conflict,
    MonitoringDefaults,
    Owner,
    Place,
    Wanted,
    owner_of,
    place_of,
    steps,
    wanted_monitoring,
)
from psm_operator.errors import Retryable
from psm_operator.ports import Cluster, Monitoring
from psm_operator.values import Manifest, MonitoringView, ObjectRef

LOOK_AGAIN_S: Final = 600.0
"""How long a change that somebody makes in CloudWatch may last. A look is two calls, so a thousand models make three or
four a second of them, below CloudWatch's ten of DescribeAlarms."""

LET_GO: Final = (
    f"to delete the model now and leave behind what is there, take finalizer {FINALIZER} off it: docs/cloudwatch.md"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """When to look again; None if never."""

    requeue_after_s: float | None


@dataclass(frozen=True, slots=True)
class Followed:
    """What a pass declared last, and how the last look ended.

    Attributes:
        generation: which spec the wish is of.
        seen: which spec the view is of.
    """

    generation: str
    wish: str
    view: MonitoringView | None = None
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What a fresh read of a model asks for.

    Attributes:
        wanted: None: nothing is to be left.
        finalizers: as they are.
    """

    owner: Owner
    place: Place
    wanted: Wanted | None
    finalizers: tuple[str, ...]
    resource_version: str
    is_going: bool

    @property
    def is_guarded(self) -> bool:
        """Whether something in AWS may be its own."""
        return FINALIZER in self.finalizers


class MonitoringKeeper:
    """Implements `ports.MonitoringKeeping`; `keep` is the work of its queue.

    Args:
        wake: has a model looked after by the queue.
        on_news: has a pass made over a model, which tells what came of it.
        fence: called before every write; raises `Retryable` when another process may lead by now.
    """

    def __init__(
        self,
        aws: Monitoring,
        cluster: Cluster,
        defaults: MonitoringDefaults,
        *,
        wake: Callable[[ObjectRef], None],
        on_news: Callable[[ObjectRef], None],
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._aws = aws
        self._cluster = cluster
        self._defaults = defaults
        self._wake = wake
        self._on_news = on_news
        self._fence = fence
        self._followed: dict[ObjectRef, Followed] = {}

    # --- the port -------------------------------------------------------------------------------------------------

    def follow(self, ref: ObjectRef, generation: str, wish: str) -> None:
        """Declare which spec wants what."""
        before = self._followed.get(ref)
        if before is None:
            self._followed[ref] = Followed(generation, wish)
        elif (before.generation, before.wish) != (generation, wish):
            self._followed[ref] = replace(before, generation=generation, wish=wish)
        else:
            return
        self._wake(ref)

    def view(self, ref: ObjectRef) -> MonitoringView | None:
        """How the last look for the present spec ended."""
        known = self._followed.get(ref)
        return known.view if known is not None and known.seen == known.generation else None

    def forget(self, ref: ObjectRef) -> None:
        """Nothing is wanted and nothing is left."""
        self._followed.pop(ref, None)

    # --- the work -------------------------------------------------------------------------------------------------

    async def keep(self, ref: ObjectRef) -> Kept:
        """Bring CloudWatch closer to what a model's spec asks for now.

        Raises:
            Retryable: AWS or the API server is away or says no; the view says so.
        """
        known = self._followed.get(ref)
        try:
            task = await self._task(ref)
            if task is None:
                return Kept(None)
            view = await self._carry_out(task)
        except Retryable as err:
            if (
                err.reason is not Reason.DEPENDENCY_UNAVAILABLE
            ):  # the API server's own trouble, or a racing write, is no news
                self._tell(ref, known, MonitoringView(is_ready=False, reason=err.reason, message=str(err)))
            raise
        self._tell(ref, known, view)
        return Kept(LOOK_AGAIN_S if task.wanted is not None else None)

    def _tell(self, ref: ObjectRef, asked: Followed | None, view: MonitoringView) -> None:
        known = self._followed.get(ref)
        if known is None or asked is None:
            return
        self._followed[ref] = replace(known, view=view, seen=asked.generation)
        if (known.view, known.seen) != (view, asked.generation):
            self._on_news(ref)

    async def _task(self, ref: ObjectRef) -> Task | None:
        """What is to be done for a model as it is now; None for nothing."""
        model = await self._cluster.lookup(API_VERSION, KIND, ref)
        if model is None:
            return None
        metadata, is_going = model["metadata"], "deletionTimestamp" in model["metadata"]
        finalizers = tuple(metadata.get("finalizers") or ())
        wanted: Wanted | None = None
        if not is_going:
            try:
                spec = read_spec(model["spec"])
            except InvalidSpec:
                return None  # a pass tells of it; what is in AWS stays as it is
            if spec.suspend:
                return None
            status = read_status(model.get("status") or {})
            wanted = wanted_monitoring(ref, metadata["uid"], spec, status, self._defaults)
        if wanted is None and FINALIZER not in finalizers:
            return None
        return Task(
            owner=owner_of(ref, metadata["uid"], self._defaults),
            place=place_of(_region_of(model), self._defaults),
            wanted=wanted,
            finalizers=finalizers,
            resource_version=metadata["resourceVersion"],
            is_going=is_going,
        )

    async def _carry_out(self, task: Task) -> MonitoringView:
        ref = task.owner.ref
        if task.wanted is not None and not task.is_guarded:
            await self._cluster.guard(ref, (*task.finalizers, FINALIZER), task.resource_version)
        try:
            conflicts = await self._make_it_so(task)
        except Retryable as err:
            if task.wanted is not None:
                raise
            why = f"the dashboard and alarms could not be removed: {err}; {LET_GO if task.is_going else 'it is tried again'}"
            raise Retryable(why, reason=err.reason, retry_after_s=err.retry_after_s) from err
        if task.wanted is None:
            rest = tuple(name for name in task.finalizers if name != FINALIZER)
            await self._cluster.guard(ref, rest, task.resource_version)
            return MonitoringView(
                is_ready=True, reason=Reason.MONITORED, message="nothing is asked for and nothing is left"
            )
        return await self._judged(task.wanted, conflicts)

    async def _make_it_so(self, task: Task) -> tuple[Conflict, ...]:
        found = await self._aws.find(task.owner, task.place)
        todo, conflicts = steps(task.owner, task.wanted, found)
        for step in todo:
            self._fence()
            await self._aws.carry_out(step, task.place)
        return conflicts

    async def _judged(self, wanted: Wanted, conflicts: tuple[Conflict, ...]) -> MonitoringView:
        if conflicts:
            told = "; ".join(map(str, conflicts))
            advice = "delete it, or give this operator another PSM_OPERATOR_CLOUDWATCH_PREFIX"
            message = f"{told} and is left alone; {advice}"
            return MonitoringView(is_ready=False, reason=Reason.ADOPTION_CONFLICT, message=message)
        trouble = await self._aws.topic_trouble(wanted.topic, wanted.place) if wanted.topic else ""
        if trouble:
            message = f"alarms tell nobody: {trouble}"
            return MonitoringView(is_ready=False, reason=Reason.TOPIC_NOT_FOUND, message=message)
        board = f"dashboard {wanted.owner.stem}" if wanted.dashboard is not None else "no dashboard"
        telling = f"telling {wanted.topic}" if wanted.topic else "telling nobody, since snsTopicARN is empty"
        message = f"{board} and {len(wanted.alarms)} alarms in {wanted.place.region}, {telling}"
        return MonitoringView(is_ready=True, reason=Reason.MONITORED, message=message)


def _region_of(model: Manifest) -> str:
    """The registry's region, also in a spec that cannot be understood."""
    registry = model.get("spec", {}).get("registry")
    return str(registry.get("region", "")) if isinstance(registry, dict) else ""
