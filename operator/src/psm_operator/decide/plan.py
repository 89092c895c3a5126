"""PURE. Which children to write and which to delete, in which order, each with the reason that people read.

Every manifest is stamped with a digest of itself. A live object that contains the manifest but bears another stamp
still has fields that we once sent and no longer want: applying again removes them.
"""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from itertools import chain
from typing import Final

from psm_operator.api.names import STAMP
from psm_operator.decide.desired.model import ROLE_LABEL, SERVING
from psm_operator.decide.difference import difference
from psm_operator.decide.surplus import stamp_of, surplus
from psm_operator.values import Action, Apply, Delete, Manifest

AUTOSCALER: Final = "HorizontalPodAutoscaler"


def actions(desired: tuple[Manifest, ...], live: Mapping[tuple[str, str], Manifest]) -> tuple[Action, ...]:
    """What turns the live children into the desired ones; nothing if they are that already.

    An object on its way out is left alone: its disappearance is an event, and the next pass makes it anew. A serving
    Deployment that exists comes before every other child: traffic that must leave a version waits for none of them.

    Args:
        desired: manifests, in the order in which to make them.
        live: what we own, by (kind, name).
    """
    wanted = {_key(manifest) for manifest in desired}
    deletes = tuple(
        _delete(manifest, "no longer wanted")
        for key, manifest in sorted(live.items())
        if key not in wanted and not _is_going(manifest)
    )
    autoscalers = (manifest for manifest in desired if manifest["kind"] == AUTOSCALER and _key(manifest) in live)
    targets = (manifest["spec"]["scaleTargetRef"] for manifest in autoscalers)
    scaled = {(target["kind"], target["name"]) for target in targets}
    ordered = sorted(desired, key=lambda manifest: not (_is_serving(manifest) and _key(manifest) in live))
    writes = (_writes(manifest, live.get(_key(manifest)), scaled) for manifest in ordered)
    # An autoscaler goes first, or it would undo the size that the Deployment is given next.
    first = tuple(action for action in deletes if action.kind == AUTOSCALER)
    last = tuple(action for action in deletes if action.kind != AUTOSCALER)
    return (*first, *chain.from_iterable(writes), *last)


def _writes(manifest: Manifest, live: Manifest | None, scaled: set[tuple[str, str]]) -> tuple[Action, ...]:
    if live is not None and _is_going(live):
        return ()
    sent, digest = manifest, stamp(manifest)
    # An autoscaler does nothing at 0 replicas, so that size is ours to end; every other size is the autoscaler's
    # from when it exists.
    if live is not None and _key(manifest) in scaled and live["spec"].get("replicas", 1) > 0:
        sent = _without_replicas(manifest)
    reason = "absent" if live is None else _reason(sent, digest, live)
    if reason is None:
        return ()
    made = deepcopy(sent)
    made["metadata"].setdefault("annotations", {})[STAMP] = digest
    if live is None:
        return (Apply(made, reason),)
    if _stamp_difference(digest, live) is None and _must_be_remade(manifest, live):
        return _delete(live, reason), Apply(made, reason)
    made["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return (Apply(made, reason),)


def _reason(manifest: Manifest, digest: str, live: Manifest) -> str | None:
    """Why a live child is to be written; None if it is right."""
    extra = next((place.shown for place in surplus(manifest, live, digest)), None)
    return extra or difference(manifest, live) or _stamp_difference(digest, live)


def _is_serving(manifest: Manifest) -> bool:
    if manifest["kind"] != "Deployment":
        return False
    role: str | None = manifest["spec"]["selector"]["matchLabels"].get(ROLE_LABEL)
    return role == SERVING


def _must_be_remade(manifest: Manifest, live: Manifest) -> bool:
    """Whether somebody changed what the API server refuses beside ours, and what cannot be taken away on its own.

    A renumbered port of a Service is theirs now, and so is its name; the bounds of a rolling update stay where no rolling
    update is wanted.
    """
    if manifest["kind"] == "Deployment":
        strategies = (manifest["spec"]["strategy"], live["spec"].get("strategy") or {})
        return [bool(strategy.get("rollingUpdate")) for strategy in strategies] == [False, True]
    if manifest["kind"] != "Service":
        return False
    wanted = {port["name"]: (port["port"], port["protocol"]) for port in manifest["spec"]["ports"]}
    there = [(port.get("name"), (port["port"], port.get("protocol", "TCP"))) for port in live["spec"].get("ports", [])]
    return any(name in wanted and wanted[name] != number for name, number in there)


def stamp(manifest: Manifest) -> str:
    """Digest of a manifest, 16 hex digits; `spec.replicas` does not count, since it is not always sent."""
    return hashlib.sha256(json.dumps(_without_replicas(manifest), sort_keys=True).encode()).hexdigest()[:16]


def _without_replicas(manifest: Manifest) -> Manifest:
    if "replicas" not in manifest.get("spec", {}):
        return manifest
    return {**manifest, "spec": {key: value for key, value in manifest["spec"].items() if key != "replicas"}}


def _stamp_difference(digest: str, live: Manifest) -> str | None:
    there = stamp_of(live)
    if there == digest:
        return None
    return f"metadata.annotations[{STAMP}] is {there or 'absent'}, want {digest}: something in it is no longer wanted"


def _delete(live: Manifest, reason: str) -> Delete:
    metadata = live["metadata"]
    return Delete(live["apiVersion"], live["kind"], metadata["name"], metadata["uid"], reason)


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _is_going(live: Manifest) -> bool:
    return bool(live["metadata"].get("deletionTimestamp"))
