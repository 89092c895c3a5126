"""PURE. Whose child a live object is: the one that controls it, or the model that it was orphaned from.

An orphan is an object that bears our stamp, names a model by its label or its own name, and that nobody controls: its
owner reference was taken away, or its model went with `--cascade=orphan` and came back. It is taken back as it is.
"""

from collections.abc import Mapping
from typing import Any

from psm_operator.api.names import STAMP
from psm_operator.decide.desired.model import MODEL_LABEL
from psm_operator.values import Manifest, ObjectRef


def controller(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference of whoever controls an object; None when nobody does."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def orphaned_from(manifest: Mapping[str, Any]) -> ObjectRef | None:
    """The model that an orphan belongs to; None for whatever is controlled, or never was ours."""
    metadata = manifest["metadata"]
    if controller(manifest) is not None or STAMP not in (metadata.get("annotations") or {}):
        return None
    return ObjectRef(metadata["namespace"], (metadata.get("labels") or {}).get(MODEL_LABEL, metadata["name"]))


def is_child(manifest: Mapping[str, Any], ref: ObjectRef, uid: str) -> bool:
    """Whether an object is a model's own: controlled by it, or orphaned from it."""
    owner = controller(manifest)
    return owner["uid"] == uid if owner is not None else orphaned_from(manifest) == ref


def refusal(manifest: Manifest, existing: Manifest) -> str:
    """Why an object that exists under a child's name is not taken over, and what to do about it."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    owner = controller(existing)
    if owner is not None:
        return (
            f"{kind}/{name} exists and is not ours: {owner['kind']} {owner['name']} controls it; "
            "choose another name for this model"
        )
    namespace = manifest["metadata"]["namespace"]
    hand_over = f"kubectl -n {namespace} annotate {kind.lower()} {name} {STAMP}=handed-over"
    return (
        f"{kind}/{name} exists and is not ours: it does not bear {STAMP}; "
        f"choose another name for this model, or, if it is meant to be this model's, hand it over: {hand_over}"
    )
