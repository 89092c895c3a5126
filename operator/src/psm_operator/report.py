"""Tells people and machines: `/status` once per change, Events once per key, metrics every pass."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from psm_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason, shortened
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.api.status import ModelStatus, Phase
from psm_operator.applied import Applied
from psm_operator.decide.events import events, monitoring_event, release_of
from psm_operator.deps import Deps
from psm_operator.errors import Retryable
from psm_operator.observe import Ending, Unreadable, group_of
from psm_operator.ports import Cluster
from psm_operator.values import MonitoringView, Observation, Plan


async def declare(seen: Observation, plan: Plan, cluster: Cluster) -> Observation:
    """When the release moves, write the status before any child is touched: a crash in between finds the intent and goes on.

    The observation may be of a cache. A status write proves it current, since its resourceVersion fences it; where children are to be
    touched without one, the model is read anew.

    Returns:
        The observation with the status as it now is in the cluster.

    Raises:
        Retryable: somebody else wrote first, or the resource went away meanwhile: look again.
    """
    if release_of(plan.release) == release_of(seen.status):
        if plan.actions:
            await _confirm(seen, cluster)
        return seen
    return await _write(seen, plan.release, cluster)


async def _confirm(seen: Observation, cluster: Cluster) -> None:
    live = await cluster.lookup(API_VERSION, KIND, seen.ref)
    if live is None or live["metadata"]["resourceVersion"] != seen.resource_version:
        raise Retryable(f"{seen.ref} changed while it was looked at; looking again", retry_after_s=0)


async def report(seen: Observation, declared: Observation, plan: Plan, applied: Applied, deps: Deps) -> bool:
    """Write the status if it says anything new, record Events and metrics, and pass on the wish for an early poll.

    `seen` is as observed: what its status did not say yet is news. `declared` has the status as `declare` left it.

    Returns:
        Whether everything is told: an Event may have to wait its turn.
    """
    status = with_children(plan.release, seen, applied)
    await _write(declared, status, deps.cluster)
    news = events(seen, status, tuple(applied.done))
    told = [await deps.cluster.record(seen.ref, seen.uid, event) for event in news]
    deps.telemetry.observed(seen, replace(plan, release=status))
    if plan.refresh_registry_after_s is not None:
        deps.polls.hasten(group_of(seen.spec), plan.refresh_registry_after_s)
    return all(told)


async def report_ending(seen: Ending, deps: Deps) -> None:
    """A deleted model waits for its dashboard and alarms to go: have that done, and say what stands in the way.

    Nothing is decided for it any more, and no child is written; what serves goes on until the model itself is gone.
    """
    ref, metadata = seen.ref, seen.model["metadata"]
    deps.monitoring.follow(ref, f"{metadata['uid']} deleted", "nothing")
    view = deps.monitoring.view(ref)
    if view is None or view.is_ready:
        return
    before = seen.model.get("status") or {}
    status = _with_monitoring(before, view, metadata, deps.clock.now())
    if status != before:
        await deps.cluster.write_status(ref, status, metadata["resourceVersion"])
    await deps.cluster.record(ref, metadata["uid"], monitoring_event(view.reason, view.message))


def _with_monitoring(
    status: dict[str, Any], view: MonitoringView, metadata: dict[str, Any], now: datetime
) -> dict[str, Any]:
    """A raw status that says why the dashboard and alarms are not ready; everything else is left alone."""
    conditions = status.get("conditions") or []
    old = next((c for c in conditions if c["type"] == ConditionType.MONITORING_READY), None)
    is_same = old is not None and old["status"] == ConditionStatus.FALSE
    condition = {
        "type": ConditionType.MONITORING_READY.value,
        "status": ConditionStatus.FALSE.value,
        "reason": view.reason.value,
        "message": shortened(view.message),
        "observedGeneration": metadata["generation"],
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and is_same else f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
    return {**status, "conditions": [*(c for c in conditions if c is not old), condition]}


async def report_unreadable(seen: Unreadable, deps: Deps) -> None:
    """Show that the resource cannot be understood; whatever else its status says is left alone.

    A new one is said to be pending and not ready: an empty column would leave people guessing.
    """
    deps.telemetry.unreadable(seen.ref, seen.stall.reason)
    before = seen.model.get("status") or {}
    others = [c for c in before.get("conditions") or [] if c["type"] != ConditionType.STALLED]
    old = next((c for c in before.get("conditions") or [] if c["type"] == ConditionType.STALLED), None)
    metadata = seen.model["metadata"]
    message = shortened(str(seen.stall))
    condition = {
        "type": ConditionType.STALLED.value,
        "status": ConditionStatus.TRUE.value,
        "reason": seen.stall.reason.value,
        "message": message,
        "observedGeneration": metadata["generation"],
        "lastTransitionTime": old["lastTransitionTime"] if old else f"{deps.clock.now():%Y-%m-%dT%H:%M:%SZ}",
    }
    if not any(c["type"] == ConditionType.READY for c in others):
        others.append({**condition, "type": ConditionType.READY.value, "status": ConditionStatus.FALSE.value})
    status = {
        "phase": Phase.PENDING.value,
        **before,
        "observedGeneration": metadata["generation"],
        "message": message,
        "conditions": [*others, condition],
    }
    if status != before:
        await deps.cluster.write_status(seen.ref, status, metadata["resourceVersion"])


def with_children(status: ModelStatus, seen: Observation, applied: Applied) -> ModelStatus:
    """The status, naming also the children that could not be put right; what the release says of itself comes first."""
    if (stall := applied.stall) is not None:
        status = _with(status, seen, ConditionType.STALLED, stall.reason, str(stall))
        said = "; ".join(filter(None, (status.message, str(stall))))
        status = status.model_copy(update={"message": shortened(said)})
    if applied.failed:
        why = "; ".join(dict.fromkeys(map(str, applied.failed)))
        status = _with(status, seen, ConditionType.RECONCILING, applied.failed[0].reason, why)
    return status


def _with(status: ModelStatus, seen: Observation, kind: ConditionType, reason: Reason, message: str) -> ModelStatus:
    """A condition that is true, added, or added to one that is true already."""
    there = next((c for c in status.conditions if c.type is kind), None)
    if there is not None:
        said = there.model_copy(update={"message": shortened(f"{there.message}; {message}")})
        return status.model_copy(update={"conditions": tuple(said if c is there else c for c in status.conditions)})
    before = next((c for c in seen.status.conditions if c.type is kind), None)
    condition = Condition(
        type=kind,
        status=ConditionStatus.TRUE,
        reason=reason,
        message=message,
        observed_generation=seen.generation,
        last_transition_time=before.last_transition_time if before is not None else seen.now,
    )
    return status.model_copy(update={"conditions": (*status.conditions, condition)})


async def _write(seen: Observation, status: ModelStatus, cluster: Cluster) -> Observation:
    if as_json(status) == as_json(seen.status):
        return seen
    written = await cluster.write_status(seen.ref, as_json(status), seen.resource_version)
    if written is None:
        raise Retryable(f"{seen.ref} went away while its status was written", retry_after_s=0)
    if written["metadata"]["resourceVersion"] == seen.resource_version:
        return seen  # nothing of it is stored: the CRD is older than this operator
    return replace(seen, status=status, resource_version=written["metadata"]["resourceVersion"])


def as_json(status: ModelStatus) -> dict[str, Any]:
    """The status as the API server stores it; absent fields are left out."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
