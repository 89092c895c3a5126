"""An in-memory Kubernetes, as far as one model needs it.

For laws, unit tests and dry runs; passes the same contract tests as the real adapter. Simplified on purpose:
server-side apply merges maps, replaces lists, and takes away what a manager applied before and leaves out now;
managedFields speak of `spec.replicas` alone; and nothing moves by itself: `settle` plays one round of garbage
collection, HPA and Deployment controllers.
"""

import copy
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psm_operator.api.conditions import Reason
from psm_operator.decide.ownership import is_child
from psm_operator.errors import Conflict, OperatorError, Retryable, Stalled
from psm_operator.ports import FIELD_MANAGER
from psm_operator.values import Event, Manifest, ObjectRef, PodFailure, PodReport

KIND = "PriceSensitivityModel"
API_VERSION = "retail.mlops/v1alpha1"
VERSION_LABEL = "retail.mlops/version"
ROLE_LABEL = "retail.mlops/role"

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class PodOutcome:
    """What becomes of the pods of one model version.

    Attributes:
        ready: they answer.
        message: what they complain of when they do not.
        is_final: they ended with the predictor's exit code for an artifact that can never be served.
        deadline_exceeded: the rollout has waited longer than progressDeadlineSeconds for them.
        is_tried: they were placed, and their predictors run or ended by themselves.
    """

    ready: bool = True
    message: str = ""
    is_final: bool = False
    deadline_exceeded: bool = False
    is_tried: bool = True


READY = PodOutcome()
STARTING = PodOutcome(ready=False)
CRASHING = PodOutcome(ready=False, message="container predictor: CrashLoopBackOff", deadline_exceeded=True)
UNPLACED = PodOutcome(ready=False, message="no node takes the pod: 0/3 nodes are available", is_tried=False)
UNSERVABLE = PodOutcome(ready=False, message="container predictor: golden row 3 differs", is_final=True)


class MemoryCluster:
    """The Cluster port over a dict, with the verbs a test needs to play the user and the controllers.

    Attributes:
        outcomes: model version -> what becomes of its pods at the next `settle`; READY when not listed.
        refusals: (kind, name) -> with what `create`, `apply` and `remove_fields` are refused: the error, or the message of
            one that only a person can end, as admission would.
        events: recorded Events by their deterministic key.
        writes: one line per write that changed something, oldest first.
        before_call: called with the method's name before every port call; what it raises, the call raises.
    """

    def __init__(self) -> None:
        self._objects: dict[Key, Manifest] = {}
        self._applied: dict[str, dict[str, Manifest]] = {}
        self._working: dict[str, int | None] = {}
        self._revision = 0
        self._created = 0
        self.outcomes: dict[int, PodOutcome] = {}
        self.refusals: dict[tuple[str, str], str | OperatorError] = {}
        self.events: dict[tuple[str, str], Event] = {}
        self.writes: list[str] = []
        self.before_call: Callable[[str], None] = lambda _: None

    # --- the port -------------------------------------------------------------------------------------------------

    async def model(self, ref: ObjectRef) -> Manifest | None:
        """The custom resource; here it is never old."""
        self.before_call("model")
        return self.get(KIND, ref)

    async def children(self, ref: ObjectRef, uid: str) -> dict[tuple[str, str], Manifest]:
        """Every child of a model, as `decide.ownership` says; here nothing is missed."""
        self.before_call("children")
        return {
            (kind, name): copy.deepcopy(live)
            for (kind, namespace, name), live in self._objects.items()
            if namespace == ref.namespace and kind != KIND and is_child(live, ref, uid)
        }

    async def lookup(self, api_version: str, kind: str, ref: ObjectRef) -> Manifest | None:
        """A fresh read of one object, ours or not."""
        self.before_call("lookup")
        live = self.get(kind, ref)
        return live if live is not None and live["apiVersion"] == api_version else None

    async def pods(self, ref: ObjectRef, *, role: str, version: int) -> PodReport:
        """What the outcome of `version` complains of, if a Deployment of that role runs it, and the version that answers there."""
        self.before_call("pods")
        for (kind, namespace, _), live in self._objects.items():
            labels = _pod_labels(live) if kind == "Deployment" and namespace == ref.namespace else {}
            if labels.get("retail.mlops/model") != ref.name or labels.get(ROLE_LABEL) != role:
                continue
            working = self._working.get(live["metadata"]["uid"])
            is_answering = working is not None and live.get("status", {}).get("readyReplicas")
            answering = (working,) if working is not None and is_answering else ()
            outcome = self.outcomes.get(version, READY)
            if _version(live) != version or outcome.ready:
                return PodReport(answering=answering)
            failure = PodFailure(outcome.message, is_final=outcome.is_final) if outcome.message else None
            return PodReport(failure, outcome.is_tried, answering)
        return PodReport()

    async def create(self, manifest: Manifest) -> Manifest | None:
        """Make an object unless one of that name exists; a refusal comes before that, as admission does."""
        self.before_call("create")
        meta = manifest["metadata"]
        self._refuse((manifest["kind"], meta["namespace"], meta["name"]))
        existing = self.get(manifest["kind"], ObjectRef(meta["namespace"], meta["name"]))
        if existing is None:
            self._apply(manifest, FIELD_MANAGER)
        return existing

    async def remove_fields(self, manifest: Manifest, pointers: Sequence[str]) -> Manifest:
        """Remove fields by JSON pointers."""
        self.before_call("remove_fields")
        meta = manifest["metadata"]
        key = (manifest["kind"], meta["namespace"], meta["name"])
        self._refuse(key)
        live = self._objects.get(key)
        if live is None or live["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise Conflict(f"{key[0]} {key[1]}/{key[2]} was written by somebody else meanwhile; reading it again")
        wanted = copy.deepcopy(live)
        for pointer in pointers:
            *path, last = pointer.split("/")[1:]
            place: Any = wanted
            for name in path:
                place = place[int(name) if isinstance(place, list) else name]
            del place[int(last) if isinstance(place, list) else last]
        self._replace(key, wanted)
        self.writes.append(f"remove {key[0]}/{key[2]} {' '.join(pointers)}")
        return copy.deepcopy(self._objects[key])

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER) -> Manifest:
        """Create, or merge over what `field_manager` applied before."""
        self.before_call("apply")
        return self._apply(manifest, field_manager)

    def _refuse(self, key: Key) -> None:
        refusal = self.refusals.get((key[0], key[2]))
        if isinstance(refusal, OperatorError):
            raise refusal
        if refusal is not None:
            raise Stalled(Reason.CHILD_REJECTED, f"{key[0]} {key[1]}/{key[2]} is refused by the API server: {refusal}")

    def _apply(self, manifest: Manifest, field_manager: str) -> Manifest:
        meta = manifest["metadata"]
        key = (manifest["kind"], meta["namespace"], meta["name"])
        self._refuse(key)
        live = self._objects.get(key)
        if "resourceVersion" in meta:
            if live is None or live["metadata"]["resourceVersion"] != meta["resourceVersion"]:
                raise Conflict(f"{key[0]} {key[1]}/{key[2]} was written by somebody else meanwhile; reading it again")
            kept = {name: value for name, value in meta.items() if name != "resourceVersion"}
            manifest = {**manifest, "metadata": kept}
        if live is None:
            self._insert(key, manifest)
            self.writes.append(f"create {key[0]}/{key[2]}")
        merged = _without_dropped(self._objects[key], self._managers(key), field_manager, manifest)
        self._managers(key)[field_manager] = copy.deepcopy(manifest)
        if self._replace(key, _merge(merged, manifest), by=field_manager) and live is not None:
            self.writes.append(f"apply {key[0]}/{key[2]}")
        return copy.deepcopy(self._objects[key])

    async def delete(self, api_version: str, kind: str, ref: ObjectRef, uid: str) -> None:
        """Delete one object if it still has `uid`."""
        self.before_call("delete")
        live = self.get(kind, ref)
        if live is not None and live["apiVersion"] == api_version and live["metadata"]["uid"] == uid:
            self.remove(kind, ref)
            self.writes.append(f"delete {kind}/{ref.name}")

    async def write_status(self, ref: ObjectRef, status: Manifest, resource_version: str) -> Manifest | None:
        """Replace the resource's status if nobody wrote since `resource_version`."""
        self.before_call("write_status")
        key = (KIND, ref.namespace, ref.name)
        live = self._objects.get(key)
        if live is None:
            return None
        if live["metadata"]["resourceVersion"] != resource_version:
            raise Retryable(f"status of {ref} was written by somebody else meanwhile; reading it again")
        if self._replace(key, {**live, "status": copy.deepcopy(status)}):
            self.writes.append(f"status {KIND}/{ref.name}")
        return self.get(KIND, ref)

    async def guard(self, ref: ObjectRef, finalizers: Sequence[str], resource_version: str) -> None:
        """Replace the model's finalizers; one that was deleted goes with its last."""
        self.before_call("guard")
        key = (KIND, ref.namespace, ref.name)
        live = self._objects.get(key)
        if live is None:
            return
        metadata = live["metadata"]
        if metadata["resourceVersion"] != resource_version:
            raise Retryable(f"{ref} was written by somebody else meanwhile; reading it again")
        if "deletionTimestamp" in metadata and not set(finalizers) <= set(metadata["finalizers"]):
            raise Stalled(Reason.CHILD_REJECTED, f"{KIND} {ref}: a model that is being deleted takes no new finalizer")
        self._replace(key, {**live, "metadata": {**metadata, "finalizers": list(finalizers)}})
        self.writes.append(f"finalizers {KIND}/{ref.name}: {' '.join(finalizers) or 'none'}")
        if "deletionTimestamp" in metadata and not finalizers:
            self._take_away(key)

    async def record(self, ref: ObjectRef, uid: str, event: Event) -> bool:
        """Keep the first event of each key."""
        self.before_call("record")
        if (uid, event.key) not in self.events:
            self.events[uid, event.key] = event
            self.writes.append(f"event {event.reason} {ref.name}")
        return True

    # --- what people and other controllers do ---------------------------------------------------------------------

    def get(self, kind: str, ref: ObjectRef) -> Manifest | None:
        """One object as it is now, or None."""
        return copy.deepcopy(self._objects.get((kind, ref.namespace, ref.name)))

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object as its user would; server-side metadata and status are kept."""
        meta = manifest["metadata"]
        key = (manifest["kind"], meta["namespace"], meta["name"])
        live = self._objects.get(key)
        if live is None:
            return copy.deepcopy(self._insert(key, manifest))
        wanted = copy.deepcopy(manifest)
        wanted["metadata"] = {**live["metadata"], **wanted["metadata"]}
        if "status" in live:
            wanted["status"] = live["status"]
        self._replace(key, wanted)
        return copy.deepcopy(self._objects[key])

    def put_model(self, ref: ObjectRef, spec: Manifest, annotations: dict[str, str] | None = None) -> Manifest:
        """Create or edit a PriceSensitivityModel."""
        meta: Manifest = {"namespace": ref.namespace, "name": ref.name}
        if annotations:
            meta["annotations"] = annotations
        return self.put({"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": spec})

    def edit(self, kind: str, ref: ObjectRef, change: Callable[[Manifest], None]) -> Manifest:
        """Change an object in place as somebody with kubectl edit would."""
        key = (kind, ref.namespace, ref.name)
        wanted = copy.deepcopy(self._objects[key])
        change(wanted)
        self._replace(key, wanted)
        return copy.deepcopy(self._objects[key])

    def remove(self, kind: str, ref: ObjectRef) -> None:
        """Delete an object; its dependents go at the next `settle`. One with finalizers stays until they are gone."""
        key = (kind, ref.namespace, ref.name)
        live = self._objects.get(key)
        if live is not None and live["metadata"].get("finalizers"):
            metadata = {**live["metadata"], "deletionTimestamp": _text(datetime(2024, 1, 1, tzinfo=UTC))}
            self._replace(key, {**live, "metadata": metadata})
        else:
            self._take_away(key)

    def _take_away(self, key: Key) -> None:
        live = self._objects.pop(key, None)
        if live is not None:
            self._applied.pop(live["metadata"]["uid"], None)
            self._working.pop(live["metadata"]["uid"], None)
            self._revision += 1

    def settle(self) -> None:
        """Play one round of garbage collection, HPA and Deployment controllers."""
        uids = {live["metadata"]["uid"] for live in self._objects.values()}
        for (kind, namespace, name), live in list(self._objects.items()):
            owner = _controller(live)
            if owner is not None and owner not in uids:
                self.remove(kind, ObjectRef(namespace, name))
        for (kind, namespace, _), live in list(self._objects.items()):
            if kind == "HorizontalPodAutoscaler":
                self._scale(namespace, live["spec"])
        for key, live in list(self._objects.items()):
            if key[0] == "Deployment":
                self._roll_out(key, live)

    # --- how ------------------------------------------------------------------------------------------------------

    def _insert(self, key: Key, manifest: Manifest) -> Manifest:
        self._revision += 1
        self._created += 1
        live = copy.deepcopy(manifest)
        live["metadata"] |= {
            "uid": str(uuid.UUID(int=self._created)),
            "resourceVersion": str(self._revision),
            "generation": 1,
            "creationTimestamp": _text(datetime(2024, 1, 1, tzinfo=UTC)),  # long ago: its pods may complain
        }
        self._objects[key] = live
        return live

    def _managers(self, key: Key) -> dict[str, Manifest]:
        return self._applied.setdefault(self._objects[key]["metadata"]["uid"], {})

    def _replace(self, key: Key, wanted: Manifest, by: str = "somebody") -> bool:
        live, changed = self._objects[key], copy.deepcopy(wanted)
        if key[0] == "Deployment":
            changed["metadata"]["managedFields"] = self._replica_owners(key, live, changed, by)
        if changed == live:
            return False
        self._revision += 1
        changed["metadata"]["resourceVersion"] = str(self._revision)
        if _body(changed) != _body(live):
            changed["metadata"]["generation"] = live["metadata"]["generation"] + 1
        self._objects[key] = changed
        return True

    def _replica_owners(self, key: Key, live: Manifest, changed: Manifest, by: str) -> list[Manifest]:
        if "replicas" not in changed["spec"]:
            return []
        if changed["spec"]["replicas"] != live["spec"].get("replicas"):
            for manager, applied in self._managers(key).items():
                if manager != by:
                    applied["spec"].pop("replicas", None)
        owners = [manager for manager, applied in self._managers(key).items() if "replicas" in applied["spec"]]
        fields: Manifest = {"f:spec": {"f:replicas": {}}}
        return [{"manager": manager, "operation": "Apply", "fieldsV1": fields} for manager in owners or [by]]

    def _scale(self, namespace: str, spec: Manifest) -> None:
        target = spec["scaleTargetRef"]
        live = self._objects.get((target["kind"], namespace, target["name"]))
        replicas = 1 if live is None else live["spec"].get("replicas", 1)
        bounded = min(max(replicas, spec.get("minReplicas", 1)), spec["maxReplicas"])
        if live is not None and replicas and bounded != replicas:
            self.edit(
                target["kind"], ObjectRef(namespace, target["name"]), lambda it: it["spec"].update(replicas=bounded)
            )

    def _roll_out(self, key: Key, live: Manifest) -> None:
        uid, version, wanted = live["metadata"]["uid"], _version(live), live["spec"].get("replicas", 1)
        outcome = READY if version is None else self.outcomes.get(version, READY)
        working = self._working.get(uid)
        old_answers = working is not None and working != version and self.outcomes.get(working, READY).ready
        if outcome.ready or wanted == 0:
            self._working[uid] = version
            counts = {
                "replicas": wanted,
                "updatedReplicas": wanted,
                "readyReplicas": wanted,
                "availableReplicas": wanted,
            }
        elif old_answers:
            counts = {
                "replicas": wanted + 1,
                "updatedReplicas": 1,
                "readyReplicas": wanted,
                "availableReplicas": wanted,
            }
        else:
            counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": 0, "availableReplicas": 0}
        progressing = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
        if outcome.ready:
            progressing["reason"] = "NewReplicaSetAvailable"
        elif outcome.deadline_exceeded:
            progressing |= {"status": "False", "reason": "ProgressDeadlineExceeded"}
        enough = counts["availableReplicas"] >= wanted
        available = {"type": "Available", "status": str(enough), "reason": "MinimumReplicas"}
        status = {"observedGeneration": live["metadata"]["generation"], "conditions": [available, progressing]}
        status |= {name: count for name, count in counts.items() if count}
        self._replace(key, {**live, "status": status})


def _controller(live: Manifest) -> str | None:
    for owner in live["metadata"].get("ownerReferences", ()):
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def _pod_labels(deployment: Manifest) -> dict[str, str]:
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"].get("labels", {})
    return labels


def _version(deployment: Manifest) -> int | None:
    text = _pod_labels(deployment).get(VERSION_LABEL, "")
    return int(text) if text.isdecimal() else None


def _body(manifest: Manifest) -> Manifest:
    return {name: value for name, value in manifest.items() if name not in ("metadata", "status")}


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _merge(live: Any, wanted: Any) -> Any:
    """Maps merge; everything else is replaced."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return live | {name: _merge(live.get(name), value) for name, value in wanted.items()}
    return copy.deepcopy(wanted)


def _without_dropped(live: Manifest, managers: dict[str, Manifest], manager: str, wanted: Manifest) -> Manifest:
    """`live` less what `manager` applied before, does not want now, and nobody else applies."""
    others = [applied for name, applied in managers.items() if name != manager]
    kept: Manifest = _without(live, managers.get(manager, {}), [wanted, *others])
    return kept


def _without(live: Any, applied: Any, wanted: list[Any]) -> Any:
    wishes = [wish for wish in wanted if isinstance(wish, dict)]
    if not (isinstance(live, dict) and isinstance(applied, dict) and wishes):
        return live
    return {
        name: _without(value, applied.get(name), [wish[name] for wish in wishes if name in wish])
        for name, value in live.items()
        if name not in applied or any(name in wish for wish in wishes)
    }
