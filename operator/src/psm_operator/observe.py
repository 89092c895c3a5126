"""Asks the ports everything that `decide` may want to know, and returns it as one complete value."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from psm_contract import environment
from psm_operator.api.conditions import Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus, Stage
from psm_operator.api.stored import InvalidSpec, read_spec, read_status
from psm_operator.decide.desired.model import CANDIDATE, SERVING, VERSION_LABEL, candidate_name
from psm_operator.decide.evidence import fold_evidence, is_doubted
from psm_operator.decide.monitoring import FINALIZER, wanted_monitoring
from psm_operator.decide.proof import fold_proof
from psm_operator.decide.rollback import earlier_versions
from psm_operator.decide.scene import is_rejected, newest_approved, proving, serving_target
from psm_operator.decide.verdict import metric_queries
from psm_operator.decide.wishes import RollbackWish, rollback_wish
from psm_operator.deps import Deps
from psm_operator.errors import Stalled
from psm_operator.values import (
    Approval,
    Artifact,
    Evidence,
    GroupRef,
    Manifest,
    MetricQuery,
    MetricReading,
    MonitoringView,
    ObjectRef,
    Observation,
    PodFailure,
    Proof,
    RegistryView,
    Snapshot,
    Workload,
)

WAYS_BACK = 3
"""Earlier versions kept described and checked; more would cost one DescribeModelPackage each per poll."""

NOTHING_SEEN = Evidence()

NEVER = datetime.min.replace(tzinfo=UTC)
PODS_NEED = timedelta(seconds=2)
"""A Deployment that moved this shortly ago has pods that are only starting; twenty models at once would ask a hundred times."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The model does not exist any more, or is being deleted."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The model is being deleted, and something in AWS may still be its own."""

    ref: ObjectRef
    model: Manifest


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The model exists and cannot be understood."""

    ref: ObjectRef
    model: Manifest
    stall: Stalled


async def observe(ref: ObjectRef, deps: Deps) -> Observation | Gone | Ending | Unreadable:
    """One complete look at a model and everything around it.

    Raises:
        Retryable: the API server could not be read.
    """
    model = await deps.cluster.model(ref)
    if model is None or "deletionTimestamp" in model["metadata"]:
        return Ending(ref, model) if model is not None and is_guarded(model) else Gone()
    try:
        spec, status = _parse(model)
    except Stalled as stall:
        return Unreadable(ref, model, stall)
    uid = model["metadata"]["uid"]
    group = group_of(spec)
    view = deps.polls.view(group)
    annotations = model["metadata"].get("annotations") or {}
    evidence = deps.evidence.get(ref, NOTHING_SEEN)
    versions = versions_in_play(status, spec, view, rollback_wish(annotations, status), evidence)
    deps.polls.watch(ref, group, interval_s=spec.interval_s, versions=versions, at_leisure=asleep(status, view))
    readings = _readings(ref, spec, deps)
    if isinstance(view, Snapshot):
        evidence = deps.evidence[ref] = fold_evidence(evidence, view, status, spec.analysis, readings)
    children = await _children(ref, uid, spec, status, deps)
    serving, candidate = await asyncio.gather(
        _workload(ref, SERVING, children.get(("Deployment", ref.name)), deps),
        _workload(ref, CANDIDATE, children.get(("Deployment", candidate_name(ref))), deps),
    )
    seen = Observation(
        ref=ref,
        uid=uid,
        generation=model["metadata"]["generation"],
        spec=spec,
        status=status,
        registry=view,
        evidence=evidence,
        artifacts={},
        serving=serving,
        candidate=candidate,
        children=children,
        now=deps.clock.now().replace(microsecond=0),
        annotations=annotations,
        resource_version=model["metadata"]["resourceVersion"],
        readings=readings,
        monitoring=_monitoring(model, ref, spec, status, deps),
        is_guarded=is_guarded(model),
    )
    seen = replace(seen, artifacts=await _look_at_artifacts(seen, versions, deps))
    proof = deps.proofs[ref] = fold_proof(deps.proofs.get(ref, Proof()), seen)
    return replace(seen, watched=proof.watched)


async def _children(
    ref: ObjectRef, uid: str, spec: ModelSpec, status: ModelStatus, deps: Deps
) -> Mapping[tuple[str, str], Manifest]:
    """Every child; that a Deployment which should run is absent is not believed before a read has confirmed it."""
    children = await deps.cluster.children(ref, uid)
    is_serving, is_proving = serving_target(status) is not None, proving(spec, status) is not None
    due = {ref.name: is_serving or is_proving, candidate_name(ref): is_serving and is_proving}
    missing = [name for name, is_due in due.items() if is_due and ("Deployment", name) not in children]
    for name in missing:
        await deps.cluster.lookup("apps/v1", "Deployment", ObjectRef(ref.namespace, name))
    return await deps.cluster.children(ref, uid) if missing else children


def is_guarded(model: Manifest) -> bool:
    """Whether something in AWS may be the model's own."""
    return FINALIZER in (model["metadata"].get("finalizers") or ())


def _readings(ref: ObjectRef, spec: ModelSpec, deps: Deps) -> Mapping[MetricQuery, MetricReading]:
    """Have CloudWatch read, and say what it told last."""
    group, queries = group_of(spec), metric_queries(spec.analysis)
    deps.live_metrics.watch(ref, group.region, group.role_arn, queries, spec.interval_s)
    return deps.live_metrics.readings(ref) if queries else {}


def _monitoring(
    model: Manifest, ref: ObjectRef, spec: ModelSpec, status: ModelStatus, deps: Deps
) -> MonitoringView | None:
    """Have the dashboard and alarms looked after, and say how that went last."""
    metadata = model["metadata"]
    wanted = wanted_monitoring(ref, metadata["uid"], spec, status, deps.monitoring_defaults)
    if wanted is None and not is_guarded(model):
        deps.monitoring.forget(ref)
        return None
    wish = wanted.fingerprint if wanted is not None else "nothing"
    deps.monitoring.follow(ref, f"{metadata['uid']} {metadata['generation']}", wish)
    return deps.monitoring.view(ref)


def _parse(model: Manifest) -> tuple[ModelSpec, ModelStatus]:
    try:
        return read_spec(model["spec"]), read_status(model.get("status") or {})
    except InvalidSpec as err:
        raise Stalled(Reason.INVALID_SPEC, str(err)) from err


def group_of(spec: ModelSpec) -> GroupRef:
    """The model package group that a spec follows."""
    registry = spec.registry
    return GroupRef(registry.model_package_group_name, registry.region, registry.role_arn)


def versions_in_play(
    status: ModelStatus,
    spec: ModelSpec,
    view: RegistryView,
    wish: RollbackWish | None = None,
    evidence: Evidence = NOTHING_SEEN,
) -> frozenset[int]:
    """Versions whose packages must be described: chosen, serving, ways back, and rejected ones that could be re-approved."""
    is_arriving = status.candidate is not None and status.candidate.stage is Stage.PROGRESSING
    is_in_doubt = is_doubted(evidence) or is_arriving or wish is not None
    versions = ways_back(status, spec, view, is_in_doubt=is_in_doubt)
    serving = serving_target(status)
    versions |= {serving.version} if serving is not None else set()
    versions |= {status.current.version} if status.current is not None else set()
    versions |= {status.candidate.version} if status.candidate is not None else set()
    versions |= {spec.version.pin} if spec.version.pin is not None else set()
    versions |= {wish.to} if wish is not None and wish.to is not None else set()
    versions |= {entry.version for entry in status.rejected[:WAYS_BACK]}
    if isinstance(view, Snapshot):
        admitted = (row for row in view.summaries if spec.version.admits(row.version))
        newest = newest_approved(admitted, status.rejected)
        versions |= {newest.version} if newest is not None else set()
        versions &= {row.version for row in view.summaries}
    return frozenset(versions)


def ways_back(status: ModelStatus, spec: ModelSpec, view: RegistryView, *, is_in_doubt: bool) -> set[int]:
    """The earlier versions to keep described: the best few that the list does not rule out; all while one may be needed."""
    possible = [served.version for served in earlier_versions(status) if not is_rejected(status, served.version)]
    if isinstance(view, Snapshot):
        approved = {row.version for row in view.summaries if row.approval is Approval.APPROVED}
        possible = [version for version in possible if version in approved and spec.version.admits(version)]
    return set(possible if is_in_doubt else possible[:WAYS_BACK])


def asleep(status: ModelStatus, view: RegistryView) -> frozenset[int]:
    """Rejected versions that are to be looked at now and then for another note or artifact."""
    if not isinstance(view, Snapshot):
        return frozenset()
    approved = {row.version for row in view.summaries if row.approval is Approval.APPROVED}
    return frozenset(entry.version for entry in status.rejected[WAYS_BACK:] if entry.version in approved)


async def _workload(ref: ObjectRef, role: str, deployment: Manifest | None, deps: Deps) -> Workload | None:
    if deployment is None:
        return None
    workload = workload_of(deployment)
    if workload.complete or workload.version is None or deps.clock.now() - _last_move(deployment) < PODS_NEED:
        return workload
    pods = await deps.cluster.pods(ref, role=role, version=workload.version)
    failure = pods.failure or PodFailure(workload.failure)
    return replace(
        workload,
        failure=failure.message,
        failure_is_final=failure.is_final,
        is_tried=pods.is_tried,
        answering=pods.answering,
    )


def _last_move(deployment: Manifest) -> datetime:
    """When its controller last saw it progress, to the second; when it was made, if never."""
    made = deployment["metadata"].get("creationTimestamp")
    said = _conditions(deployment).get("Progressing", {}).get("lastUpdateTime", made)
    return datetime.fromisoformat(said) if said is not None else NEVER


def _conditions(deployment: Manifest) -> dict[str, Manifest]:
    """By their type."""
    return {c["type"]: c for c in (deployment.get("status") or {}).get("conditions") or []}


def workload_of(deployment: Manifest) -> Workload:
    """Read a Deployment's own account of itself (Deployment status semantics: kubectl rollout status)."""
    spec, status = deployment["spec"], deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    conditions = _conditions(deployment)
    progressing = conditions.get("Progressing", {})
    is_observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    version = spec["template"]["metadata"].get("labels", {}).get(VERSION_LABEL)
    served = served_by(spec["template"])
    return Workload(
        version=int(version) if version is not None and version.isdigit() else None,
        replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
        complete=is_observed and all(count == wanted for count in counts),
        available=conditions.get("Available", {}).get("status") == "True",
        deadline_exceeded=is_observed and progressing.get("reason") == "ProgressDeadlineExceeded",
        failure=_replica_failure(conditions),
        arn=served.get(environment.MODEL_PACKAGE_ARN, ""),
        sha256=served.get(environment.MODEL_SHA256, ""),
    )


def served_by(template: Manifest) -> dict[str, str]:
    """The environment of a pod template, as far as it is plain text: it says which package is served."""
    containers = (template.get("spec") or {}).get("containers") or []
    return {one["name"]: one.get("value") or "" for it in containers for one in it.get("env") or []}


def _replica_failure(conditions: dict[str, Manifest]) -> str:
    """Why no pod can be made, in the cluster's own words, less the pod's name, which is another at every try."""
    condition = conditions.get("ReplicaFailure", {})
    said = str(condition.get("message", "")) if condition.get("status") == "True" else ""
    return re.sub(r'pods "([a-z0-9.-]+?)(-[a-z0-9]+){1,2}"', r'pods of "\1"', said)


async def _look_at_artifacts(seen: Observation, in_play: frozenset[int], deps: Deps) -> dict[int, Artifact]:
    status, view = seen.status, seen.registry
    if not isinstance(view, Snapshot):
        return {}
    versions = in_play & view.packages.keys()
    if not _is_in_doubt(seen):
        serving = serving_target(status)
        ways_back = {served.version for served in earlier_versions(status)}
        versions -= ways_back | ({serving.version} if serving is not None else set())
        versions |= {status.candidate.version} & view.packages.keys() if status.candidate is not None else set()
    group = group_of(seen.spec)
    looks = await asyncio.gather(*(deps.artifacts.look(view.packages[version], group) for version in versions))
    return dict(zip(versions, looks, strict=True))


def _is_in_doubt(seen: Observation) -> bool:
    """Whether a way back may be needed in this pass, so that its artifact must be known to exist."""
    candidate = seen.status.candidate
    is_arriving = candidate is not None and candidate.stage is Stage.PROGRESSING
    return is_doubted(seen.evidence) or is_arriving or rollback_wish(seen.annotations, seen.status) is not None
