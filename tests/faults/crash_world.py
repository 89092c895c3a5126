"""An operator in memory that can be killed between any two things it does, and a copy of what outlives it.

A kill is not an exception that the code might handle: from that moment on nothing that the dead process does reaches the
cluster. What outlives it is the cluster, the registry, the artifacts and the clock; memory does not.
"""

import asyncio
import copyreg
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from world import REF, RecordingTelemetry, World

from psm_operator.adapters.memory import MemoryPolls
from psm_operator.adapters.memory_cluster import KIND
from psm_operator.errors import Retryable, Stalled
from psm_operator.reconcile import Result, reconcile
from psm_operator.values import Manifest, Observation, Plan


def _rebuilt(proxy: "MappingProxyType[Any, Any]") -> tuple[type, tuple[dict[Any, Any]]]:
    return MappingProxyType, (dict(proxy),)


copyreg.pickle(MappingProxyType, _rebuilt)  # copy.deepcopy asks copyreg; the registry holds such maps


class Killed(BaseException):
    """The process is dead. Not an Exception: nothing in the operator may handle it."""


class ForgetfulTelemetry(RecordingTelemetry):
    """Keeps nothing: the walks would otherwise hold every plan of every life."""

    def observed(self, seen: Observation, plan: Plan) -> None:
        """Look at nothing."""


@dataclass
class Ledger:
    """What an onlooker of the cluster wrote down; it outlives the operator.

    Attributes:
        rollbacks: id of every rollback that a status ever named, in order of appearance.
        path: version of the serving Deployment, each time it changed.
        is_answering: whether a replica answered when last looked at.
        outages: how often none did any more.
    """

    rollbacks: list[str] = field(default_factory=list)
    path: list[int | None] = field(default_factory=list)
    is_answering: bool = False
    outages: int = 0


class Suspensions(Awaitable[Any]):
    """Runs a coroutine and tells of each time it is suspended."""

    def __init__(self, work: Awaitable[Any], on_suspension: Callable[[str], None]) -> None:
        self._work = work
        self._on_suspension = on_suspension

    def __await__(self) -> Generator[Any, Any, Any]:
        """Pass every suspension on to the event loop, after telling of it."""
        steps = self._work.__await__()
        try:
            wish = steps.send(None)
            while True:
                self._on_suspension("suspended")
                wish = steps.send((yield wish))
        except StopIteration as end:
            return end.value


class Tripwire:
    """A port of the process: every call passes a point before and after its effect, and suspends the caller."""

    def __init__(self, port: Any, name: str, pass_point: Callable[[str], None]) -> None:
        self._port = port
        self._name = name
        self._pass_point = pass_point

    def __getattr__(self, method: str) -> Any:
        """The port's method, with its points."""
        call = getattr(self._port, method)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            self._pass_point(f"before {self._name}.{method}")
            answer = await call(*args, **kwargs)
            self._pass_point(f"after {self._name}.{method}")
            return answer

        return guarded


class TrippedRegistry:
    """The registry, which polls read without awaiting."""

    def __init__(self, world: "MortalWorld") -> None:
        self._world = world

    def read(self, *args: Any) -> Any:
        """Read a group, with a point on both sides."""
        self._world.pass_point("before registry.read")
        snapshot = self._world.registry.read(*args)
        self._world.pass_point("after registry.read")
        return snapshot


class MortalWorld(World):
    """A World whose operator dies when `on_point` says so.

    Attributes:
        on_point: called with the name of each point that the living process passes; raises `Killed` to end it.
        ledger: what an onlooker saw.
    """

    def __init__(self) -> None:
        self.on_point: Callable[[str], None] = lambda _: None
        self.is_dead = False
        self.ledger = Ledger()
        super().__init__()

    def restart(self) -> None:
        """A new process: no evidence, no polls, nothing remembered."""
        self.is_dead = False
        self.telemetry = ForgetfulTelemetry()
        self.polls = MemoryPolls(TrippedRegistry(self))  # type: ignore[arg-type]  # the part of it that polls call
        super().restart()
        self._last = []
        self.deps = replace(
            self.deps,
            cluster=Tripwire(self.cluster, "cluster", self.pass_point),
            artifacts=Tripwire(self.artifacts, "artifacts", self.pass_point),
        )
        cloudwatch: Any = Tripwire(self.cloudwatch, "cloudwatch", self.pass_point)
        self.keeper = self.keeper_of(cloudwatch, self.deps.cluster)
        self.deps = replace(self.deps, monitoring=self.keeper)

    def pass_point(self, name: str) -> None:
        """The process lives on, or dies here; a dead one gets no further."""
        if self.is_dead:
            raise Killed
        self._look()
        try:
            self.on_point(name)
        except Killed:
            self.is_dead = True
            raise

    async def once(self) -> Result | None:
        """One pass, told apart into its suspensions; expected errors are kept in `last_error`."""
        self.last_error = None
        result: Result | None = None
        try:
            result = await Suspensions(reconcile(REF, self.deps), self.pass_point)
        except (Stalled, Retryable) as err:
            self.last_error = err
        await Suspensions(self.keep_monitoring(), self.pass_point)
        return result

    def _look(self) -> None:
        """What an onlooker sees now; reads and copies nothing."""
        objects, place = self.cluster._objects, (REF.namespace, REF.name)
        rollback = (objects.get((KIND, *place), {}).get("status") or {}).get("rollback") or {}
        if rollback and rollback["id"] not in self.ledger.rollbacks:
            self.ledger.rollbacks.append(rollback["id"])
        deployment = objects.get(("Deployment", *place))
        version = version_of(deployment)
        if not self.ledger.path or self.ledger.path[-1] != version:
            self.ledger.path.append(version)
        answers = bool(((deployment or {}).get("status") or {}).get("availableReplicas"))
        self.ledger.outages += self.ledger.is_answering and not answers
        self.ledger.is_answering = answers


def version_of(deployment: Manifest | None) -> int | None:
    """The model version on a Deployment's pod template."""
    if deployment is None:
        return None
    return int(deployment["spec"]["template"]["metadata"]["labels"]["retail.mlops/version"])
