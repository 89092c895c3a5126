"""Carries out a plan's writes: server-side apply and deletes, refusing what is not ours."""

import asyncio

from psm_operator.api.conditions import Reason
from psm_operator.errors import Stalled
from psm_operator.ports import FIELD_MANAGER, Cluster
from psm_operator.values import Apply, Delete, Manifest, ObjectRef, Observation, Plan

REPLICAS_MANAGER = "psm-operator-initial-replicas"
"""Keeps `spec.replicas` alive between our last word on it and the autoscaler's first.

Server-side apply removes a field that its only owner stops sending, and the API server then defaults replicas to 1. Before we
stop sending it, this second manager takes it over; the autoscaler's first write takes it from there.
"""


async def apply_plan(seen: Observation, plan: Plan, cluster: Cluster) -> Stalled | None:
    """Write every action in order.

    Returns:
        What only a person can end, if anything: an object with a child's name exists and is not ours (`AdoptionConflict`; nothing
        was written), or the API server refuses a child (`ChildRejected`).

    Raises:
        Retryable: the API server is away or busy; the next pass goes on from here.
    """
    try:
        await _apply_all(seen, plan, cluster)
    except Stalled as stall:
        return stall
    return None


async def _apply_all(seen: Observation, plan: Plan, cluster: Cluster) -> None:
    await _refuse_foreign(seen, plan, cluster)
    for action in plan.actions:
        match action:
            case Apply(manifest=manifest):
                await _apply(seen, manifest, cluster)
            case Delete():
                ref = ObjectRef(seen.ref.namespace, action.name)
                await cluster.delete(action.api_version, action.kind, ref, action.uid)


async def _refuse_foreign(seen: Observation, plan: Plan, cluster: Cluster) -> None:
    """What we are about to create may exist already, made by somebody else; the watch cache knows only ours."""
    absent = [
        action.manifest
        for action in plan.actions
        if isinstance(action, Apply) and _key(action.manifest) not in seen.children
    ]
    found = await asyncio.gather(*(_lookup(seen, manifest, cluster) for manifest in absent))
    foreign = [
        "/".join(_key(manifest))
        for manifest, existing in zip(absent, found, strict=True)
        if existing is not None and not _is_controlled_by(existing, seen.uid)
    ]
    if foreign:
        message = f"{', '.join(foreign)} exists and is not ours; delete it or choose another name for this model"
        raise Stalled(Reason.ADOPTION_CONFLICT, message)


async def _lookup(seen: Observation, manifest: Manifest, cluster: Cluster) -> Manifest | None:
    kind, name = _key(manifest)
    return await cluster.lookup(manifest["apiVersion"], kind, ObjectRef(seen.ref.namespace, name))


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _is_controlled_by(manifest: Manifest, uid: str) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner["uid"] == uid for owner in owners)


async def _apply(seen: Observation, manifest: Manifest, cluster: Cluster) -> None:
    live = seen.children.get(_key(manifest))
    if live is not None and must_hand_over_replicas(manifest, live):
        handed = await cluster.apply(replicas_only(live), field_manager=REPLICAS_MANAGER)
        version = handed["metadata"]["resourceVersion"]
        manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
    await cluster.apply(manifest)


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
