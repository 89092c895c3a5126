"""In-memory clock, registry, polls and artifact store: real modules with behaviour, for laws, unit tests and dry runs.

They pass the same contract tests as the real adapters. Nothing here waits: time moves when the clock is told to, and
the registry is read when `MemoryPolls.poll` is called. The cluster's counterpart is `memory_cluster`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from psm_operator.api.conditions import Reason
from psm_operator.errors import OperatorError, Retryable, Stalled
from psm_operator.values import (
    Approval,
    Artifact,
    ArtifactState,
    DataValidation,
    GroupRef,
    MetricQuery,
    MetricReading,
    ModelPackage,
    ObjectRef,
    PackageSummary,
    RegistryUnknown,
    RegistryView,
    Snapshot,
    is_same_content,
)

ACCOUNT = "123456789012"


class MemoryClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, start: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """The present moment."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Let `seconds` pass and return the new present."""
        self._now += timedelta(seconds=seconds)
        return self._now


class MemoryRegistry:
    """Model package groups with versions 1, 2, 3…; can be told to fail.

    Attributes:
        fault: raised by every read while set.
        reads: how many times a group was read.
    """

    def __init__(self, clock: MemoryClock) -> None:
        self._clock = clock
        self._groups: dict[GroupRef, dict[int, ModelPackage]] = {}
        self.fault: OperatorError | None = None
        self.reads = 0

    def add_group(self, group: GroupRef) -> GroupRef:
        """Create an empty group; an existing one is kept."""
        self._groups.setdefault(group, {})
        return group

    def remove_group(self, group: GroupRef) -> None:
        """Delete a group with its versions."""
        self._groups.pop(group, None)

    def register(
        self,
        group: GroupRef,
        *,
        approval: Approval = Approval.PENDING,
        metrics: Mapping[str, str] = MappingProxyType({}),
        data_validation: DataValidation = DataValidation.PASSED,
        sha256: str | None = None,
        model_data_url: str | None = None,
    ) -> ModelPackage:
        """Add the next version of a group and return it."""
        versions = self._groups.setdefault(group, {})
        version = max(versions, default=0) + 1
        digest = f"{version:064x}" if sha256 is None else sha256
        package = ModelPackage(
            version=version,
            arn=f"arn:aws:sagemaker:{group.region}:{ACCOUNT}:model-package/{group.name.lower()}/{version}",
            approval=approval,
            model_data_url=model_data_url or f"s3://models/{group.name}/{digest}/model.tar.gz",
            sha256=digest,
            modified_at=self._clock.now(),
            created_at=self._clock.now().replace(microsecond=0),
            metrics=MappingProxyType(dict(metrics)),
            data_validation=data_validation,
        )
        versions[version] = package
        return package

    def update(self, group: GroupRef, version: int, **changes: Any) -> ModelPackage:
        """Change fields of a version, as UpdateModelPackage does; `metrics` replaces the whole map."""
        if "metrics" in changes:
            changes["metrics"] = MappingProxyType(dict(changes["metrics"]))
        changed = replace(self._groups[group][version], modified_at=self._clock.now(), **changes)
        self._groups[group][version] = changed
        return changed

    def delete(self, group: GroupRef, version: int) -> None:
        """Delete a version, as DeleteModelPackage does. Unlike SageMaker, the newest one's number is given again."""
        del self._groups[group][version]

    def restore(self, group: GroupRef, package: ModelPackage) -> None:
        """Have a read show a version again that one before it missed."""
        self._groups[group][package.version] = package

    def package(self, group: GroupRef, version: int) -> ModelPackage:
        """A version as it is now."""
        return self._groups[group][version]

    def read(self, group: GroupRef, describe: frozenset[int], number: int) -> Snapshot:
        """`read_group` without the await; raises what it raises."""
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        versions = self._groups.get(group)
        if versions is None:
            raise Stalled(
                Reason.MODEL_PACKAGE_GROUP_NOT_FOUND,
                f"model package group {group.name} does not exist in region {group.region}; "
                "create it or correct spec.registry",
            )
        newest_first = sorted(versions.values(), key=lambda package: -package.version)
        newest_approved = [p.version for p in newest_first if p.approval is Approval.APPROVED][:1]
        wanted = describe.union(newest_approved)
        return Snapshot(
            number=number,
            read_at=self._clock.now(),
            summaries=tuple(PackageSummary(p.version, p.arn, p.approval, p.created_at) for p in newest_first),
            packages=MappingProxyType({p.version: p for p in newest_first if p.version in wanted}),
        )

    async def read_group(self, group: GroupRef, describe: frozenset[int], number: int) -> Snapshot:
        """List every version and describe the newest approved one and those in `describe`."""
        return self.read(group, describe, number)


@dataclass(frozen=True, slots=True)
class Interest:
    """What one resource declared with `watch`."""

    group: GroupRef
    interval_s: float
    versions: frozenset[int]


class MemoryPolls:
    """RegistryPolls that read when `poll` is called.

    Attributes:
        interests: what each resource follows.
        resting: those whose last pass needs no other until a poll says anything new.
        hastened: group -> the soonest early poll asked for since the last one, in seconds.
        on_poll: told which resources to look at again, after a poll: empty if none.
    """

    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry
        self._views: dict[GroupRef, RegistryView] = {}
        self._number = 0
        self.interests: dict[ObjectRef, Interest] = {}
        self.resting: set[ObjectRef] = set()
        self.hastened: dict[GroupRef, float] = {}
        self.on_poll: Callable[[frozenset[ObjectRef]], None] = lambda _: None

    def view(self, group: GroupRef) -> RegistryView:
        """What the last poll said; unknown before the first."""
        return self._views.get(
            group, RegistryUnknown(Reason.NOT_CHECKED, f"model package group {group.name} has not been read yet")
        )

    def watch(
        self,
        ref: ObjectRef,
        group: GroupRef,
        *,
        interval_s: float,
        versions: frozenset[int],
        at_leisure: frozenset[int] = frozenset(),
    ) -> None:
        """Declare what `ref` follows; replaces its last declaration."""
        self.interests[ref] = Interest(group, interval_s, versions | at_leisure)
        self.resting.discard(ref)

    def rest(self, ref: ObjectRef, view: RegistryView) -> None:
        """A pass over `ref` that saw `view` needs no other until a poll says anything else."""
        interest = self.interests.get(ref)
        if interest is not None and is_same_content(view, self.view(interest.group)):
            self.resting.add(ref)

    def unwatch(self, ref: ObjectRef) -> None:
        """`ref` is gone; a group nobody follows is forgotten."""
        self.resting.discard(ref)
        interest = self.interests.pop(ref, None)
        if interest is not None and not self._followers(interest.group):
            self._views.pop(interest.group, None)

    def hasten(self, group: GroupRef, after_s: float) -> None:
        """Remember that an early poll was asked for."""
        self.hastened[group] = min(after_s, self.hastened.get(group, after_s))

    def poll(self) -> None:
        """Read every followed group once and tell `on_poll` who needs a pass."""
        for group in {interest.group for interest in self.interests.values()}:
            self.hastened.pop(group, None)
            before, self._views[group] = self.view(group), self._read(group)
            followers = self._followers(group)
            if not is_same_content(before, self.view(group)):
                self.resting -= followers
            self.on_poll(followers - self.resting)

    def _read(self, group: GroupRef) -> RegistryView:
        self._number += 1
        describe = frozenset().union(*(i.versions for i in self.interests.values() if i.group == group))
        try:
            return self._registry.read(group, describe, self._number)
        except (Retryable, Stalled) as err:
            return RegistryUnknown(err.reason, str(err))

    def _followers(self, group: GroupRef) -> frozenset[ObjectRef]:
        return frozenset(ref for ref, interest in self.interests.items() if interest.group == group)


class MemoryArtifacts:
    """An object store of digests: what was `put` is there.

    Attributes:
        fault: while set, the store cannot be asked and this says why.
    """

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self.fault = ""

    def put(self, url: str, sha256: str) -> None:
        """Store an object whose content has this digest."""
        self._digests[url] = sha256

    def remove(self, url: str) -> None:
        """Delete an object; absent already is fine."""
        self._digests.pop(url, None)

    async def look(self, package: ModelPackage, group: GroupRef) -> Artifact:
        """Whether the object exists with the digest that the package names."""
        url = package.model_data_url
        if self.fault:
            return Artifact(
                ArtifactState.UNKNOWN, f"artifact {url} could not be checked in region {group.region}: {self.fault}"
            )
        digest = self._digests.get(url)
        if digest is None:
            return Artifact(
                ArtifactState.MISSING, f"artifact {url} does not exist; upload it or register the model again"
            )
        if package.sha256 and digest != package.sha256:
            return Artifact(
                ArtifactState.MISMATCH,
                f"artifact {url} has sha256 {digest}, the package says {package.sha256}; register it again",
            )
        return Artifact(ArtifactState.PRESENT)


class MemoryLiveMetrics:
    """CloudWatch as a dict: what was `put` is what every model that asks for it reads.

    Attributes:
        wanted: what each resource asked for with `watch`.
    """

    def __init__(self) -> None:
        self._readings: dict[MetricQuery, MetricReading] = {}
        self.wanted: dict[ObjectRef, frozenset[MetricQuery]] = {}

    def put(self, query: MetricQuery, reading: MetricReading) -> None:
        """The newest datapoint of a query from now on."""
        self._readings[query] = reading

    def watch(
        self,
        ref: ObjectRef,
        region: str,  # noqa: ARG002  # the port's signature
        role_arn: str,  # noqa: ARG002
        queries: frozenset[MetricQuery],
        interval_s: float,  # noqa: ARG002
    ) -> None:
        """Declare what `ref` wants to know."""
        self.unwatch(ref)
        if queries:
            self.wanted[ref] = queries

    def unwatch(self, ref: ObjectRef) -> None:
        """`ref` wants nothing any more."""
        self.wanted.pop(ref, None)

    def readings(self, ref: ObjectRef) -> Mapping[MetricQuery, MetricReading]:
        """The newest datapoint of each query that `ref` asked for; no datapoint where nothing was put."""
        nothing = MetricReading(value=None, at=None)
        return {query: self._readings.get(query, nothing) for query in self.wanted.get(ref, frozenset())}
