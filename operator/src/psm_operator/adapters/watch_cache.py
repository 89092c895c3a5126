"""The models and the children we own, as the watches last told: what a pass sees without asking the API server.

Fed by watch events, by the answers to our own reads and writes (a pass must see what the pass before it wrote), and by
sweeps that list everything anew, because a re-list after 410 Gone does not report what was deleted in the gap.

It is a hint. Newest resourceVersion wins; what was seen deleted comes back with any state that is not older than its
deletion, because a watch by label says DELETED of an object that lost the label and lives on. A sweep replaces whatever
was not learned after it began, newer or not: an API server that was restored from a backup counts from before.

Objects are kept as JSON: a thousand models with their children take 15 MiB so, and 60 MiB as dicts, through which the
garbage collector would walk again and again. A pass decodes the eight it looks at.

What it says may be old. So nothing is written on its word alone: a status is fenced by the resourceVersion it was
decided upon, before a child is touched the model is read anew if no such write has just proved it current, and what is
absent here is created in a way that refuses what exists.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from psm_operator.adapters.kinds import DEPLOYMENT, MODEL
from psm_operator.adapters.kube_api import Resource
from psm_operator.api.names import KIND
from psm_operator.decide.ownership import controller, orphaned_from
from psm_operator.values import Manifest, ObjectRef

REMEMBERED_DELETIONS: Final = 20_000
"""More than can be deleted between two sweeps; the oldest goes first."""

WORKLOAD_STATUS: Final = frozenset(
    {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"}
)
"""What a pass reads of a Deployment's status, beside its conditions' type, status and reason. The rest changes often."""

Key = tuple[str, str, str]
"""Kind, namespace, name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One object.

    Attributes:
        version: its resourceVersion as a number.
        parent: whose child it is, as `parent_of` says; empty when nobody's.
        learned: when it was taken in, on the cache's own count.
        essence: the trimmed object as JSON, without its resourceVersion: equal unless something of interest changed.
    """

    version: int
    uid: str
    parent: str
    learned: int
    essence: bytes

    @classmethod
    def of(cls, resource: Resource, manifest: Manifest, learned: int) -> "Kept":
        """What is worth keeping of an object."""
        kept = trimmed(resource, manifest)
        version = kept["metadata"].pop("resourceVersion")
        parent = "" if resource == MODEL else parent_of(kept)
        return cls(int(version), kept["metadata"]["uid"], parent, learned, msgspec.json.encode(kept))

    def manifest(self) -> Manifest:
        """The object again."""
        manifest: Manifest = msgspec.json.decode(self.essence)
        manifest["metadata"]["resourceVersion"] = str(self.version)
        return manifest


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is remembered of an object that was seen deleted.

    Attributes:
        version: states below it are older than the deletion.
        learned: when it was taken in, on the cache's own count.
    """

    version: int
    learned: int


class WatchCache:
    """Models by name, children by parent. Objects handed out are the caller's own."""

    def __init__(self) -> None:
        self._objects: dict[Key, Kept] = {}
        self._by_parent: dict[str, set[Key]] = {}
        self._deleted: OrderedDict[str, Deletion] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """How many children are known."""
        return sum(len(keys) for keys in self._by_parent.values())

    def find(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """One object, if it is known."""
        known = self._objects.get((resource.kind, namespace, name))
        return known.manifest() if known is not None else None

    def children_of(self, ref: ObjectRef, uid: str) -> dict[tuple[str, str], Manifest]:
        """Every known child of a model, by (kind, name): what `uid` controls, and orphans that bear the model's marks."""
        keys = sorted(self._by_parent.get(uid, set()) | self._by_parent.get(_orphans_of(ref), set()))
        return {
            (kind, name): self._objects[kind, where, name].manifest()
            for kind, where, name in keys
            if where == ref.namespace
        }

    def mark(self) -> int:
        """The present, on the cache's own count: what a list that begins now is compared with at its end."""
        return self._count

    def put(self, resource: Resource, manifest: Manifest, *, listed_since: int | None = None) -> bool:
        """Take in a newer state of an object; what was learned before the mark `listed_since`, at which a list began, gives way to it.

        Returns:
            Whether anything changed that a pass could care about.
        """
        metadata = manifest["metadata"]
        version, since = int(metadata["resourceVersion"]), -1 if listed_since is None else listed_since
        deletion = self._deleted.get(metadata["uid"])
        if deletion is not None and deletion.learned > since and version < deletion.version:
            return False
        key = (resource.kind, metadata["namespace"], metadata["name"])
        known = self._objects.get(key)
        # Resource versions of one resource type are comparable as integers (KEP-5504); etcd's always were.
        if known is not None and (known.version == version or (known.learned > since and known.version > version)):
            return False
        self._deleted.pop(metadata["uid"], None)
        self._forget(key)
        kept = self._objects[key] = Kept.of(resource, manifest, self._tick())
        if kept.parent:
            self._by_parent.setdefault(kept.parent, set()).add(key)
        return known is None or known.essence != kept.essence

    def drop(self, resource: Resource, namespace: str, name: str, uid: str, version: str | None = None) -> bool:
        """An object is gone, or is none of a watch's any more; its successor under the same name has another uid.

        `version` is the resourceVersion of the deletion; without it, right after what is known.

        Returns:
            Whether that is news.
        """
        key = (resource.kind, namespace, name)
        known = self._objects.get(key)
        is_it = known is not None and known.uid == uid
        newest = known.version if known is not None and is_it else 0
        gone_at = int(version) if version is not None else newest + 1
        if newest >= gone_at:
            return False  # a read has shown it since: it lost the label that the watch selects by, and lives
        before = self._deleted.pop(uid, None)
        self._deleted[uid] = Deletion(max(gone_at, before.version if before is not None else 0), self._tick())
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        if is_it:
            self._forget(key)
        return is_it or before is None

    def sweep(self, resource: Resource, listed: Collection[ObjectRef], since: int, namespace: str | None) -> None:
        """Forget what a list of one kind, put here before, does not have; what was learned since it began stays."""
        for key, known in list(self._objects.items()):
            kind, where, name = key
            is_of_the_list = kind == resource.kind and namespace in (None, where)
            if is_of_the_list and ObjectRef(where, name) not in listed and known.learned <= since:
                self._forget(key)

    def _tick(self) -> int:
        self._count += 1
        return self._count

    def _forget(self, key: Key) -> None:
        known = self._objects.pop(key, None)
        if known is not None and known.parent:
            keys = self._by_parent[known.parent]
            keys.discard(key)
            if not keys:
                del self._by_parent[known.parent]


def controller_of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference to the model that controls an object; None when no model does."""
    owner = controller(manifest)
    return owner if owner is not None and owner["kind"] == KIND else None


def owner_of(manifest: Mapping[str, Any]) -> ObjectRef | None:
    """The model to look at when `manifest` changes: the one that controls it, or whose marks an orphan bears."""
    owner = controller_of(manifest)
    if owner is not None:
        return ObjectRef(manifest["metadata"]["namespace"], owner["name"])
    return orphaned_from(manifest)


def parent_of(manifest: Mapping[str, Any]) -> str:
    """Under what a child is found: the uid of the model that controls it, or the name of the one it was orphaned from."""
    owner = controller_of(manifest)
    if owner is not None:
        return str(owner["uid"])
    ref = orphaned_from(manifest)
    return "" if ref is None else _orphans_of(ref)


def _orphans_of(ref: ObjectRef) -> str:
    return f"{ref}"  # has a slash, which no uid has


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
