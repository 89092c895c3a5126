"""One complete look at a model, as the operator takes it: its `observe`, over the API server, SageMaker and S3, with a person's rights.

What the person may not read, or what is away, is unknown, exactly as it is to the operator; nothing is ever written.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.kinds import CHILDREN, DEPLOYMENT, POD
from psm_operator.adapters.memory_monitoring import NoMonitoring
from psm_operator.adapters.pod_complaints import report_of
from psm_operator.adapters.resource import Resource
from psm_operator.api.conditions import Reason
from psm_operator.decide.desired import PredictorDefaults
from psm_operator.decide.desired.model import MODEL_LABEL, ROLE_LABEL
from psm_operator.decide.explain import explained
from psm_operator.decide.ownership import is_child
from psm_operator.decide.scene import package_of
from psm_operator.deps import Deps
from psm_operator.errors import OperatorError
from psm_operator.kubectl.client import KubeClient
from psm_operator.kubectl.errors import ApiError, PluginError
from psm_operator.kubectl.models import name_of, namespace_of, parsed
from psm_operator.observe import Ending, Gone, Unreadable, group_of, observe, versions_in_play
from psm_operator.ports import Artifacts
from psm_operator.values import (
    Artifact,
    ArtifactState,
    GroupRef,
    Manifest,
    MetricQuery,
    MetricReading,
    ModelPackage,
    ObjectRef,
    Observation,
    Plan,
    PodReport,
    RegistryUnknown,
    RegistryView,
    Snapshot,
)

if TYPE_CHECKING:
    from psm_operator.kubectl.registry import RegistryLook

FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
READ_ONLY: Final = "kubectl-psm reads what the operator reads, and writes none of it"
NO_DEFAULTS: Final = PredictorDefaults(image="")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        version: the one that was asked about, or that the policy would pick.
        missing: what could not be read, one sentence each.
    """

    seen: Observation
    version: int | None
    missing: tuple[str, ...]


class ReadCluster:
    """`ports.Cluster` for somebody who only looks.

    Args:
        resources: kinds of children to read; those that may not be listed are noted in `missing`.
    """

    def __init__(self, client: KubeClient, model: Manifest, resources: Sequence[Resource]) -> None:
        self._client = client
        self._model = model
        self._resources = resources
        self.missing: list[str] = []

    async def model(self, ref: ObjectRef) -> Manifest | None:  # noqa: ARG002  # the port's signature
        """The model as it was read."""
        return self._model

    async def children(self, ref: ObjectRef, uid: str) -> dict[tuple[str, str], Manifest]:
        """Every child of a model that bears its label."""
        found: dict[tuple[str, str], Manifest] = {}
        for resource in self._resources:
            for item in self._list(resource, ref.namespace, f"{MODEL_LABEL}={ref.name}"):
                if is_child(item, ref, uid):
                    found[resource.kind, item["metadata"]["name"]] = item
        return found

    async def pods(self, ref: ObjectRef, *, role: str, version: int) -> PodReport:
        """What the pods of one role say."""
        labels = {MODEL_LABEL: ref.name, ROLE_LABEL: role}
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return report_of(self._list(POD, ref.namespace, selector), version)

    def _list(self, resource: Resource, namespace: str, selector: str) -> list[Manifest]:
        try:
            return self._client.items(resource.path(namespace), {"labelSelector": selector})[0]
        except ApiError as err:
            if err.status != FORBIDDEN:
                raise
            self.missing.append(f"{resource.plural} could not be read: {err}")
            return []

    async def lookup(self, api_version: str, kind: str, ref: ObjectRef) -> Manifest | None:
        """One object, if the person may read it."""
        resource = next(it for it in self._resources if (it.api_version, it.kind) == (api_version, kind))
        try:
            return self._client.send("GET", resource.path(ref.namespace, ref.name))
        except ApiError as err:
            if err.status not in {FORBIDDEN, NOT_FOUND}:
                raise
            return None

    async def create(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)

    async def remove_fields(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)

    async def apply(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)

    async def delete(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)

    async def write_status(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)

    async def guard(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)

    async def record(self, *_: Any, **__: Any) -> NoReturn:
        """Never."""
        raise RuntimeError(READ_ONLY)


@dataclass(frozen=True, slots=True)
class ReadOnce:
    """`ports.RegistryPolls` with one read, taken before; and `ports.LiveMetrics` and `ports.Telemetry` that know nothing."""

    answer: RegistryView

    def view(self, group: GroupRef) -> RegistryView:  # noqa: ARG002  # the port's signature
        """What the read said."""
        return self.answer

    def watch(self, *_: object, **__: object) -> None:
        """Nothing is followed."""

    def rest(self, ref: ObjectRef, view: RegistryView) -> None:
        """Nobody is woken."""

    def unwatch(self, ref: ObjectRef) -> None:
        """Nothing is followed."""

    def hasten(self, group: GroupRef, after_s: float) -> None:
        """Nothing is followed."""

    def readings(self, ref: ObjectRef) -> Mapping[MetricQuery, MetricReading]:  # noqa: ARG002  # the port's signature
        """Nothing was measured."""
        return {}

    def noticed(self, seen: Observation) -> None:
        """Nothing is counted."""

    def observed(self, seen: Observation, plan: Plan) -> None:
        """Nothing is counted."""

    def unreadable(self, ref: ObjectRef, reason: Reason) -> None:
        """Nothing is counted."""

    def forget(self, ref: ObjectRef) -> None:
        """Nothing is counted."""


class UnknownArtifacts:
    """`ports.Artifacts` without S3."""

    async def look(self, package: ModelPackage, group: GroupRef) -> Artifact:  # noqa: ARG002  # the port's signature
        """Not looked at."""
        return Artifact(ArtifactState.UNKNOWN, f"artifact {package.model_data_url} was not looked at")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at beside the model itself.

    Attributes:
        registry: auto, always or never: whether to ask SageMaker and S3.
        version: describe this one, and look at its artifact; None for the one that the policy would pick.
        all_children: every kind, not Deployments alone.
    """

    registry: str
    version: int | None = None
    all_children: bool = False


def look(client: KubeClient, model: Manifest, wanted: Wanted) -> Look:
    """Observe one model.

    Raises:
        PluginError: the model cannot be understood, or the registry cannot be read and must be.
    """
    found = asyncio.run(_look(client, model, wanted))
    view = found.seen.registry
    if wanted.registry == "never" or not isinstance(view, RegistryUnknown):
        return found
    if wanted.registry == "always":
        raise PluginError(view.message)
    return replace(found, missing=(*found.missing, f"the registry could not be read: {view.message}"))


async def _look(client: KubeClient, model: Manifest, wanted: Wanted) -> Look:
    cluster = ReadCluster(client, model, CHILDREN if wanted.all_children else (DEPLOYMENT,))
    if wanted.registry == "never":
        unasked = RegistryUnknown(Reason.NOT_CHECKED, "the registry was not asked")
        seen = await _observe(model, cluster, unasked, UnknownArtifacts())
        return Look(seen, wanted.version or explained(seen), tuple(cluster.missing))
    from psm_operator.kubectl.registry import RegistryLook  # noqa: PLC0415  # brings boto3

    with RegistryLook(asyncio.get_running_loop()) as aws:
        return await _look_with_registry(model, cluster, aws, wanted)


async def _look_with_registry(model: Manifest, cluster: ReadCluster, aws: "RegistryLook", wanted: Wanted) -> Look:
    spec, status = parsed(model)
    group = group_of(spec)
    asked = frozenset({wanted.version} if wanted.version is not None else ())
    view = await aws.read(group, lambda known: versions_in_play(status, spec, known) | asked)
    seen = await _observe(model, cluster, view, aws.artifacts)
    about = wanted.version or explained(seen)
    if isinstance(view, Snapshot) and about is not None:
        extra = frozenset(view.packages) | {about}
        if about not in view.packages and any(row.version == about for row in view.summaries):
            again = await aws.read(group, lambda _: extra)
            seen = replace(seen, registry=again)
        package = package_of(seen, about)
        if package is not None and about not in seen.artifacts:
            artifact = await aws.artifacts.look(package, group)
            seen = replace(seen, artifacts={**seen.artifacts, about: artifact})
    return Look(seen, about, tuple(cluster.missing))


async def _observe(model: Manifest, cluster: ReadCluster, view: RegistryView, artifacts: Artifacts) -> Observation:
    still = ReadOnce(view)
    deps = Deps(
        cluster=cluster,
        polls=still,
        artifacts=artifacts,
        live_metrics=still,
        clock=SystemClock(),
        telemetry=still,
        defaults=NO_DEFAULTS,
        monitoring=NoMonitoring(),
    )
    try:
        seen = await observe(ObjectRef(namespace_of(model), name_of(model)), deps)
    except OperatorError as err:
        raise PluginError(str(err)) from err
    match seen:
        case Gone() | Ending():
            raise PluginError(f"{name_of(model)} is being deleted")
        case Unreadable(stall=stall):
            raise PluginError(f"{name_of(model)} cannot be understood: {stall}")
        case Observation():
            return seen
