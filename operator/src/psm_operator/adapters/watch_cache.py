"""The models and the children we own, as the watches last told: what a pass sees without asking the API server.

Fed by watch events, by the answers to our own writes (a pass must see what the pass before it wrote), and by sweeps
that list everything anew, because a re-list after 410 Gone does not report what was deleted in the gap. Newest
resourceVersion wins; a uid that was seen deleted never comes back.

Objects are kept as JSON: a thousand models with their children take 15 MiB so, and 60 MiB as dicts, through which the
garbage collector would walk again and again. A pass decodes the eight it looks at.

What it says may be old. So nothing is written on its word alone: a status is fenced by the resourceVersion it was
decided upon, and before a child is touched the model is read anew if no such write has just proved it current.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from psm_operator.adapters.kinds import DEPLOYMENT, MODEL
from psm_operator.adapters.kube_api import Resource
from psm_operator.values import Manifest, ObjectRef

REMEMBERED_DELETIONS: Final = 20_000
"""More than can be deleted between two sweeps; the oldest goes first."""

WORKLOAD_STATUS: Final = frozenset(
    {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"}
)
"""What a pass reads of a Deployment's status, beside its conditions' type, status and reason. The rest changes often."""

OWNER_KIND: Final = "PriceSensitivityModel"

Key = tuple[str, str, str]
"""Kind, namespace, name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One object.

    Attributes:
        version: its resourceVersion as a number.
        owner: uid of the model that controls it; empty when none does.
        essence: the trimmed object as JSON, without its resourceVersion: equal unless something of interest changed.
    """

    version: int
    uid: str
    owner: str
    essence: bytes

    @classmethod
    def of(cls, resource: Resource, manifest: Manifest) -> "Kept":
        """What is worth keeping of an object."""
        kept = trimmed(resource, manifest)
        version = kept["metadata"].pop("resourceVersion")
        owner = controller_of(kept)
        uid = owner["uid"] if owner is not None else ""
        return cls(int(version), kept["metadata"]["uid"], uid, msgspec.json.encode(kept))

    def manifest(self) -> Manifest:
        """The object again."""
        manifest: Manifest = msgspec.json.decode(self.essence)
        manifest["metadata"]["resourceVersion"] = str(self.version)
        return manifest


class WatchCache:
    """Models by name, children by owner uid. Objects handed out are the caller's own."""

    def __init__(self) -> None:
        self._objects: dict[Key, Kept] = {}
        self._by_owner: dict[str, set[Key]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """How many children are known."""
        return sum(len(keys) for keys in self._by_owner.values())

    def find(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """One object, if it is known."""
        known = self._objects.get((resource.kind, namespace, name))
        return known.manifest() if known is not None else None

    def owned_by(self, uid: str, namespace: str) -> dict[tuple[str, str], Manifest]:
        """Every known object of a namespace that is controlled by `uid`, by (kind, name)."""
        keys = sorted(self._by_owner.get(uid, ()))
        return {
            (kind, name): self._objects[kind, where, name].manifest()
            for kind, where, name in keys
            if where == namespace
        }

    def put(self, resource: Resource, manifest: Manifest) -> bool:
        """Take in a newer state of an object.

        Returns:
            Whether anything changed that a pass could care about.
        """
        metadata = manifest["metadata"]
        if metadata["uid"] in self._deleted:
            return False
        key = (resource.kind, metadata["namespace"], metadata["name"])
        known = self._objects.get(key)
        # Resource versions of one resource type are comparable as integers (KEP-5504); etcd's always were.
        if known is not None and known.version >= int(metadata["resourceVersion"]):
            return False
        kept = Kept.of(resource, manifest)
        self._forget(key)
        self._objects[key] = kept
        if kept.owner:
            self._by_owner.setdefault(kept.owner, set()).add(key)
        return known is None or known.essence != kept.essence

    def drop(self, resource: Resource, namespace: str, name: str, uid: str) -> bool:
        """An object is gone for good; its successor under the same name has another uid.

        Returns:
            Whether that is news.
        """
        if uid in self._deleted:
            return False
        self._deleted[uid] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        key = (resource.kind, namespace, name)
        known = self._objects.get(key)
        if known is not None and known.uid == uid:
            self._forget(key)
        return True

    def sweep(
        self, resource: Resource, listed: Collection[ObjectRef], resource_version: str, namespace: str | None
    ) -> None:
        """Forget what a list of one kind, put here before, does not have; what is newer than the list stays."""
        for key, known in list(self._objects.items()):
            kind, where, name = key
            is_of_the_list = kind == resource.kind and namespace in (None, where)
            if is_of_the_list and ObjectRef(where, name) not in listed and known.version <= int(resource_version):
                self._forget(key)

    def _forget(self, key: Key) -> None:
        known = self._objects.pop(key, None)
        if known is not None and known.owner:
            keys = self._by_owner[known.owner]
            keys.discard(key)
            if not keys:
                del self._by_owner[known.owner]


def controller_of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference to the model that controls an object; None when no model does."""
    for owner in manifest["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == OWNER_KIND:
            found: Mapping[str, Any] = owner
            return found
    return None


def owner_of(manifest: Mapping[str, Any]) -> ObjectRef | None:
    """The model to look at when `manifest` changes."""
    owner = controller_of(manifest)
    return None if owner is None else ObjectRef(manifest["metadata"]["namespace"], owner["name"])


def trimmed(resource: Resource, manifest: Manifest) -> Manifest:
    """What is worth keeping: of managedFields only who owns a Deployment's replicas, of its status what a pass reads.

    A model is kept whole but for managedFields; of other children the status is left out.
    """
    metadata = {**manifest["metadata"]}
    fields = metadata.pop("managedFields", None) or ()
    kept = {**manifest, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    if resource == DEPLOYMENT:
        replicas: Manifest = {"f:spec": {"f:replicas": {}}}
        metadata["managedFields"] = [
            {"manager": entry.get("manager"), "fieldsV1": replicas}
            for entry in fields
            if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        ]
        kept["status"] = _workload_status(manifest.get("status") or {})
    elif resource != MODEL:
        kept.pop("status", None)
    return kept


def _workload_status(status: Manifest) -> Manifest:
    conditions = [
        {name: condition.get(name) for name in ("type", "status", "reason")}
        for condition in status.get("conditions") or ()
    ]
    return {name: value for name, value in status.items() if name in WORKLOAD_STATUS} | {"conditions": conditions}
