"""What the operator needs from outside, as small Protocols.

Real adapters and their in-memory fakes live side by side in `adapters/`; both pass the same contract tests.
Every method raises only `Retryable` or `Stalled`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from psm_operator.api.conditions import Reason
from psm_operator.decide.monitoring.difference import Step
from psm_operator.decide.monitoring.model import Found, Owner, Place
from psm_operator.values import (
    Artifact,
    Event,
    GroupRef,
    Manifest,
    MetricQuery,
    MetricReading,
    ModelPackage,
    MonitoringView,
    ObjectRef,
    Observation,
    Plan,
    PodReport,
    RegistryView,
    Snapshot,
)

FIELD_MANAGER = "psm-operator"
"""Owns every field we send; the one exception is named in `apply`."""


class Clock(Protocol):
    """Wall-clock time, always aware and in UTC."""

    def now(self) -> datetime:
        """The present moment."""


class Registry(Protocol):
    """One read of a model package group; no cache, no retry loop of its own beyond the SDK's."""

    async def read_group(self, group: GroupRef, describe: frozenset[int], number: int) -> Snapshot:
        """List every version and describe the newest approved one and those in `describe`.

        Raises:
            Retryable: throttled, unreachable, denied: the registry's state is unknown.
            Stalled: the group does not exist (`ModelPackageGroupNotFound`) or its name is refused.
        """


class RegistryPolls(Protocol):
    """The shared polls: what the last read of a group said, without I/O."""

    def view(self, group: GroupRef) -> RegistryView:
        """The newest snapshot, or why there is none or it is too old to act upon."""

    def watch(
        self,
        ref: ObjectRef,
        group: GroupRef,
        *,
        interval_s: float,
        versions: frozenset[int],
        at_leisure: frozenset[int] = frozenset(),
    ) -> None:
        """Declare that `ref` follows `group` at least this often and needs `versions` described; replaces its last declaration.

        Versions wanted `at_leisure` are described a few at each read, in turn, and make none come early.
        """

    def rest(self, ref: ObjectRef, view: RegistryView) -> None:
        """A pass over `ref` that saw `view` needs no other until a read says anything else; the next `watch` ends that."""

    def unwatch(self, ref: ObjectRef) -> None:
        """`ref` is gone; a group nobody follows is no longer polled."""

    def hasten(self, group: GroupRef, after_s: float) -> None:
        """Poll the group no later than `after_s` from now."""


class Artifacts(Protocol):
    """Looks at model artifacts without fetching them."""

    async def look(self, package: ModelPackage, group: GroupRef) -> Artifact:
        """Whether the object exists with the digest that the package names, seen with the group's region and role.

        Never raises: an unreachable store is UNKNOWN.
        """


class LiveMetrics(Protocol):
    """The shared reads of CloudWatch: AWS calls per minute do not grow with the number of models."""

    def watch(
        self, ref: ObjectRef, region: str, role_arn: str, queries: frozenset[MetricQuery], interval_s: float
    ) -> None:
        """Declare what `ref` wants to know at least this often; replaces its last declaration, and nothing ends it."""

    def unwatch(self, ref: ObjectRef) -> None:
        """`ref` is gone, or wants nothing any more."""

    def readings(self, ref: ObjectRef) -> Mapping[MetricQuery, MetricReading]:
        """What was read last, without I/O; a query that was not read yet is absent."""


class Monitoring(Protocol):
    """CloudWatch's dashboards and alarms, always with the operator's own credentials. Every call is one model's."""

    async def find(self, owner: Owner, place: Place) -> Found:
        """Everything that exists under names of ours, with its tags, whoever made it.

        Raises:
            Retryable: `AccessDenied`, or `MonitoringUnavailable` when CloudWatch is away or asks to slow down.
        """

    async def carry_out(self, step: Step, place: Place) -> None:
        """One write. Putting what is there, and deleting what is not, is success.

        Raises:
            Retryable: as `find`; or `MonitoringRefused`, with CloudWatch's own words.
        """

    async def topic_trouble(self, topic: str, place: Place) -> str:
        """Why alarms here cannot tell an SNS topic; empty if they can, or if that may not or cannot be asked."""


class MonitoringKeeping(Protocol):
    """Who keeps dashboards and alarms, beside the passes: no pass waits for CloudWatch."""

    def follow(self, ref: ObjectRef, generation: str, wish: str) -> None:
        """Declare, as short texts, which spec wants what for `ref`; what differs from last time is looked after at once."""

    def view(self, ref: ObjectRef) -> MonitoringView | None:
        """How the last look for the present spec ended, without I/O; None before it."""

    def forget(self, ref: ObjectRef) -> None:
        """`ref` is gone, or wants nothing and has nothing left."""


class Cluster(Protocol):
    """The Kubernetes API, as far as one model needs it."""

    async def model(self, ref: ObjectRef) -> Manifest | None:
        """The custom resource as last seen, which may be old; None when it is gone.

        Whoever acts on it proves it current: by a status write, which its resourceVersion fences, or by `lookup`.
        """

    async def children(self, ref: ObjectRef, uid: str) -> dict[tuple[str, str], Manifest]:
        """Every child of a model (`decide.ownership`), by (kind, name); from the watch cache, which is a hint."""

    async def lookup(self, api_version: str, kind: str, ref: ObjectRef) -> Manifest | None:
        """A fresh read of one object, ours or not, from which the cache learns; None when it does not exist."""

    async def pods(self, ref: ObjectRef, *, role: str, version: int) -> PodReport:
        """What the pods of one role say: a version's last complaint, whether one of its pods was tried, and who answers."""

    async def create(self, manifest: Manifest) -> Manifest | None:
        """Make an object by server-side apply, unless one of that name exists, seen or not.

        Returns:
            What exists already, read just now, and was left alone; None when the object was made.

        Raises:
            Stalled: the API server refuses the object (`ChildRejected`), with its message.
        """

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply, taking over conflicting fields of objects that are ours.

        Raises:
            Conflict: the manifest bears a resourceVersion, and it is not the object's.
            Stalled: the API server refuses the object (`ChildRejected`), with its message.
        """

    async def remove_fields(self, manifest: Manifest, pointers: Sequence[str]) -> Manifest:
        """Remove fields of an object, each there, by JSON pointers; fenced by the resourceVersion in `manifest`.

        Raises:
            Conflict: the resourceVersion is not the object's.
            Stalled: the API server refuses it (`ChildRejected`), with its message.
        """

    async def delete(self, api_version: str, kind: str, ref: ObjectRef, uid: str) -> None:
        """Delete one object if it still has `uid`; gone already is success."""

    async def write_status(self, ref: ObjectRef, status: Manifest, resource_version: str) -> Manifest | None:
        """Replace `/status`, fenced by resourceVersion; returns the new object, None when the resource is gone.

        Raises:
            Retryable: somebody else wrote first (conflict); read again.
        """

    async def guard(self, ref: ObjectRef, finalizers: Sequence[str], resource_version: str) -> None:
        """Replace the finalizers of a model, fenced by resourceVersion; gone already is success.

        Raises:
            Retryable: somebody else wrote first (conflict), or it is not allowed.
        """

    async def record(self, ref: ObjectRef, uid: str, event: Event) -> bool:
        """Record a Kubernetes Event under a name derived from `event.key`: the same key never makes two.

        Returns:
            Whether that is done with; if not, it is to be tried again later.
        """


class Telemetry(Protocol):
    """Where decisions become metrics."""

    def noticed(self, seen: Observation) -> None:
        """A pass over one model begins: count what its status newly tells of, also when the pass before broke off."""

    def observed(self, seen: Observation, plan: Plan) -> None:
        """A pass over one model ended, and `plan.release` is its status: set its gauges, count what is new."""

    def unreadable(self, ref: ObjectRef, reason: Reason) -> None:
        """A model cannot be understood; only a person can help."""

    def forget(self, ref: ObjectRef) -> None:
        """A model is gone: its series go too."""
