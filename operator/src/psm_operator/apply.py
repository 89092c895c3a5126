"""Carries out a plan's writes, each child by itself: what one of them meets hinders none of the others.

A child that was believed absent is created in a way that refuses what exists: the watch cache is a hint. What is there is
left alone if it is somebody else's, and looked at again if it is the model's own.
"""

from psm_operator.api.conditions import Reason
from psm_operator.applied import Applied
from psm_operator.decide.ownership import is_child, refusal
from psm_operator.decide.surplus import stamp_of, surplus
from psm_operator.errors import Conflict, Retryable, Stalled, Unreachable
from psm_operator.ports import FIELD_MANAGER, Cluster
from psm_operator.values import Action, Apply, Delete, Manifest, ObjectRef, Observation, Plan

REPLICAS_MANAGER = "psm-operator-initial-replicas"
"""Keeps `spec.replicas` alive between our last word on it and the autoscaler's first.

Server-side apply removes a field that its only owner stops sending, and the API server then defaults replicas to 1. Before we
stop sending it, this second manager takes it over; the autoscaler's first write takes it from there.
"""

ATTEMPTS = 3
"""Of one write that meets somebody else's: a Deployment's controller writes several times in a row."""


async def apply_plan(seen: Observation, plan: Plan, cluster: Cluster) -> Applied:
    """Carry out every action in order, whatever becomes of those before it.

    Raises:
        Unreachable: the API server does not answer; the next pass goes on from here.
    """
    applied = Applied()
    for action in plan.actions:
        try:
            await _carry_out(seen, action, cluster, applied)
        except Unreachable:
            raise
        except Retryable as err:
            (applied.refused if err.reason is Reason.CHILD_REJECTED else applied.failed).append(err)
        except Stalled as err:
            applied.refused.append(err)
    return applied


async def _carry_out(seen: Observation, action: Action, cluster: Cluster, applied: Applied) -> None:
    if isinstance(action, Delete):
        ref = ObjectRef(seen.ref.namespace, action.name)
        await cluster.delete(action.api_version, action.kind, ref, action.uid)
        applied.done.append(action)
    elif "resourceVersion" in action.manifest["metadata"]:
        await _repair(seen, action, cluster, applied)
    else:
        await _create(seen, action, cluster, applied)


async def _create(seen: Observation, action: Apply, cluster: Cluster, applied: Applied) -> None:
    existing = await cluster.create(action.manifest)
    if existing is None:
        applied.done.append(action)
    elif _key(existing) in await cluster.children(seen.ref, seen.uid) and is_child(existing, seen.ref, seen.uid):
        applied.is_surprised = True
    else:
        raise Stalled(Reason.ADOPTION_CONFLICT, refusal(action.manifest, existing))


async def _repair(seen: Observation, action: Apply, cluster: Cluster, applied: Applied) -> None:
    """Write over a live child; what somebody else writes meanwhile is read, and the write tried again."""
    manifest, live = action.manifest, seen.children[_key(action.manifest)]
    for _ in range(ATTEMPTS):
        try:
            await _write(action, live, cluster, applied)
        except Conflict:
            ref = ObjectRef(seen.ref.namespace, manifest["metadata"]["name"])
            found = await cluster.lookup(manifest["apiVersion"], manifest["kind"], ref)
        else:
            return
        if found is None or "deletionTimestamp" in found["metadata"] or not is_child(found, seen.ref, seen.uid):
            applied.is_surprised = True
            return
        live = found
    message = (
        f"{'/'.join(_key(manifest))} was written by somebody else {ATTEMPTS} times while it was put right; see who"
    )
    raise Retryable(message, reason=Reason.CHILD_REJECTED)


async def _write(action: Apply, live: Manifest, cluster: Cluster, applied: Applied) -> None:
    manifest, version = action.manifest, live["metadata"]["resourceVersion"]
    pointers = [place.pointer for place in surplus(manifest, live, stamp_of(manifest))]
    before = version
    if pointers:
        version = (await cluster.remove_fields(_at_version(manifest, version), pointers))["metadata"]["resourceVersion"]
    if must_hand_over_replicas(manifest, live):
        handed = await cluster.apply(_at_version(replicas_only(live), version), field_manager=REPLICAS_MANAGER)
        version = handed["metadata"]["resourceVersion"]
    made = await cluster.apply(_at_version(manifest, version))
    if made["metadata"]["resourceVersion"] == before:
        message = f"{'/'.join(_key(manifest))}: {action.reason}, and a write changes nothing"
        advice = "an admission webhook or policy puts it back; except this object from it"
        raise Stalled(Reason.CHILD_REJECTED, f"{message}: {advice}")
    applied.done.append(action)


def _at_version(manifest: Manifest, version: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def must_hand_over_replicas(manifest: Manifest, live: Manifest) -> bool:
    """Whether we own the live replicas, nobody else does, and the manifest no longer sends them."""
    if manifest["kind"] != "Deployment" or "replicas" in manifest["spec"]:
        return False
    owners = {
        entry.get("manager")
        for entry in live["metadata"].get("managedFields") or []
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
    return owners == {FIELD_MANAGER}


def replicas_only(live: Manifest) -> Manifest:
    """What the second manager applies: the size as it is."""
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {name: live["metadata"][name] for name in ("name", "namespace", "resourceVersion")},
        "spec": {"replicas": live["spec"]["replicas"]},
    }
