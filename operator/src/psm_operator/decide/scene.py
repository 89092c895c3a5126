"""Plain questions about an observation and a status that every rule asks: what is wanted, what should be serving."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import MAX_REJECTIONS, Candidate, ModelStatus, Rejection, Served, Stage
from psm_operator.decide.packages import Mention, described, is_gone_from, is_same
from psm_operator.values import (
    Approval,
    Artifact,
    ArtifactState,
    ModelPackage,
    Observation,
    PackageSummary,
    RegistryUnknown,
    Snapshot,
    Workload,
)

REQUESTED_AT = "retail.mlops/requestedAt"
"""Annotation by which a person asks for a pass, and a read of the registry, now."""


def requested_at(seen: Observation) -> str | None:
    """The person's last wish for a pass, as they wrote it."""
    return seen.annotations.get(REQUESTED_AT)


def known(seen: Observation) -> Snapshot | None:
    """The registry's snapshot, or None while nothing may be concluded from it."""
    return None if isinstance(seen.registry, RegistryUnknown) else seen.registry


def package_of(seen: Observation, version: int | None) -> ModelPackage | None:
    """The described package of a version, if the registry is known and it was described."""
    snapshot = known(seen)
    return None if snapshot is None or version is None else snapshot.packages.get(version)


def own_package(seen: Observation, served: Mention | None) -> ModelPackage | None:
    """The described package that a version of the status was made of; None if that is gone, or its number is another's now."""
    snapshot = known(seen)
    return described(snapshot, served) if snapshot is not None and served is not None else None


def is_gone(seen: Observation, served: Mention) -> bool:
    """Whether the registry is known and has the package no more, though maybe another one of its number."""
    snapshot = known(seen)
    return snapshot is not None and is_gone_from(snapshot, served)


def summary_of(seen: Observation, version: int) -> PackageSummary | None:
    """The listed row of a version, if the registry is known and lists it."""
    snapshot = known(seen)
    rows = snapshot.summaries if snapshot is not None else ()
    return next((row for row in rows if row.version == version), None)


def withdrawal(seen: Observation, served: Served) -> str:
    """What the registry says of a version that is not to be served any more, as every sentence about it says it."""
    package = package_of(seen, served.version)
    group = seen.spec.registry.model_package_group_name
    if summary_of(seen, served.version) is None:
        return f"version {served.version} is no longer in group {group}"
    if is_gone(seen, served):
        return f"version {served.version} of group {group} is another package now"
    return (
        f"approval of version {served.version} is now {package.approval.value if package is not None else 'withdrawn'}"
    )


def is_rejected(status: ModelStatus, version: int) -> bool:
    """Whether a version carries a rejection."""
    return any(entry.version == version for entry in status.rejected)


def is_rolling_back(status: ModelStatus) -> bool:
    """Whether a rollback was begun and has not arrived."""
    return status.rollback is not None and status.rollback.finished_at is None


def policy_choice(seen: Observation, status: ModelStatus, *, ignore_rejections: bool = False) -> PackageSummary | None:
    """What spec.version asks for: the pinned version, or the newest approved one in range that is not rejected."""
    snapshot = known(seen)
    if snapshot is None:
        return None
    if seen.spec.version.pin is not None:
        return summary_of(seen, seen.spec.version.pin)
    admitted = (row for row in snapshot.summaries if seen.spec.version.admits(row.version))
    return newest_approved(admitted, () if ignore_rejections else status.rejected)


def newest_approved(rows: Iterable[PackageSummary], rejected: Sequence[Rejection]) -> PackageSummary | None:
    """The first row that is approved and not rejected.

    A full list of rejections has forgotten the lowest ones: what is below it is not tried again.
    """
    versions = {entry.version for entry in rejected}
    floor = min(versions) if len(versions) >= MAX_REJECTIONS else 0
    approved = (row for row in rows if row.approval is Approval.APPROVED)
    return next((row for row in approved if row.version >= floor and row.version not in versions), None)


def serving_target(status: ModelStatus) -> Served | None:
    """The version that the serving Deployment is meant to run now."""
    if status.rollback is not None and status.rollback.finished_at is None:
        return status.rollback.to
    if status.candidate is not None and status.candidate.stage is not Stage.VERIFYING:
        return as_served(status.candidate)
    return status.current


def proving(spec: ModelSpec, status: ModelStatus) -> Candidate | None:
    """The candidate whose pod is to prove itself now: beside what serves, or in its place while nothing does."""
    candidate = status.candidate
    if candidate is None or candidate.stage is not Stage.VERIFYING or candidate.proving_since is None:
        return None
    return candidate if spec.rollout.verification.enabled else None


def as_served(served: Served) -> Served:
    """The same version without what only a candidate has."""
    return Served(**{name: getattr(served, name) for name in Served.model_fields})


def is_complete(workload: Workload | None, served: Served) -> bool:
    """Whether a Deployment runs a version on every wanted replica."""
    return workload is not None and is_same(workload, served) and workload.complete


def is_ready(workload: Workload | None, served: Served) -> bool:
    """Whether at least one replica of a version answers."""
    return workload is not None and is_same(workload, served) and workload.ready_replicas > 0


def proving_workload(seen: Observation, status: ModelStatus) -> Workload | None:
    """The Deployment in which a candidate proves itself."""
    return seen.candidate if serving_target(status) is not None else seen.serving


def answering(seen: Observation, status: ModelStatus) -> tuple[int, ...]:
    """The versions that answer now: those of ready pods, of a Deployment that is complete, or else the last that was."""
    serving = seen.serving
    if serving is None or serving.ready_replicas == 0:
        return ()
    if serving.answering is not None:
        return serving.answering
    if serving.complete and serving.version is not None:
        return (serving.version,)
    return (status.current.version,) if status.current is not None else ()


def artifact_of(seen: Observation, version: int) -> Artifact:
    """The last look at a version's artifact."""
    return seen.artifacts.get(version, Artifact(ArtifactState.UNKNOWN, "not looked at yet"))


def candidate_from(package: ModelPackage, stage: Stage, seen: Observation, chosen_at: datetime | None) -> Candidate:
    """A package entering a stage now."""
    return Candidate(
        version=package.version,
        arn=package.arn,
        model_data_url=package.model_data_url,
        sha256=package.sha256,
        created_at=package.created_at,
        chosen_at=chosen_at,
        stage=stage,
        started_at=seen.now,
    )
