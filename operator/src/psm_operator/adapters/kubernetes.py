"""The Cluster port over a real API server.

Models and children come from the watch cache, other reads are fresh (`lookup`); pods are listed by label, in one
namespace, when somebody needs to know why they are not ready.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from psm_operator.adapters.event_recorder import EventRecorder
from psm_operator.adapters.kinds import BY_KIND, CHILD_SELECTOR, CHILDREN, MODEL, POD
from psm_operator.adapters.kube_api import APPLY_PATCH, JSON_PATCH, KubeApi, Refusal, Resource
from psm_operator.adapters.pod_complaints import report_of
from psm_operator.adapters.watch_cache import WatchCache
from psm_operator.api.conditions import Reason
from psm_operator.decide.difference import difference
from psm_operator.errors import Conflict, OperatorError, Retryable, Stalled
from psm_operator.ports import FIELD_MANAGER
from psm_operator.values import Event, Manifest, ObjectRef, PodReport

log = logging.getLogger(__name__)

PAGE_SIZE: Final = 100

NO_VERSION: Final = "1"
"""A resourceVersion that no object has: etcd counts from 1, which is the empty store's."""

BAD: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class KubernetesCluster:
    """Implements `ports.Cluster`.

    Args:
        fence: called right before every write; raises `Retryable` when another process may lead by now.
    """

    def __init__(
        self, api: KubeApi, cache: WatchCache, recorder: EventRecorder, fence: Callable[[], None] = lambda: None
    ) -> None:
        self._api = api
        self._cache = cache
        self._recorder = recorder
        self._fence = fence
        self._pruned: dict[ObjectRef, tuple[Manifest, str]] = {}

    async def model(self, ref: ObjectRef) -> Manifest | None:
        """The custom resource as the watch last told; read from the API server if it told nothing."""
        known = self._cache.find(MODEL, ref.namespace, ref.name)
        return known if known is not None else await self._read(MODEL, ref)

    async def children(self, ref: ObjectRef, uid: str) -> dict[tuple[str, str], Manifest]:
        """Every child of a model that we know of, from the watch cache."""
        return self._cache.children_of(ref, uid)

    async def lookup(self, api_version: str, kind: str, ref: ObjectRef) -> Manifest | None:
        """A fresh read of one object, ours or not, from which the cache learns."""
        return await self._read(BY_KIND[api_version, kind], ref)

    async def pods(self, ref: ObjectRef, *, role: str, version: int) -> PodReport:
        """What the pods of one role say."""
        labels = {"model": ref.name, "role": role}
        selector = ",".join(f"retail.mlops/{name}={value}" for name, value in labels.items())
        pods, _ = await self.list(POD, ref.namespace, selector)
        return report_of(pods, version)

    async def create(self, manifest: Manifest) -> Manifest | None:
        """Server-side apply at a resourceVersion that no object has: one request, which refuses what exists."""
        metadata = {**manifest["metadata"], "resourceVersion": NO_VERSION}
        try:
            await self.apply({**manifest, "metadata": metadata})
        except Conflict:
            existing = await self.lookup(manifest["apiVersion"], manifest["kind"], _ref_of(manifest))
            if existing is not None:
                return existing
            await self.apply(manifest)  # gone meanwhile, or an API server that takes no version for what is absent
        return None

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply with force: fields of ours that others took are taken back."""
        return await self._patch(manifest, manifest, APPLY_PATCH, {"fieldManager": field_manager, "force": "true"})

    async def remove_fields(self, manifest: Manifest, pointers: Sequence[str]) -> Manifest:
        """A JSON patch: server-side apply cannot take away what another manager owns."""
        version = manifest["metadata"]["resourceVersion"]
        patch: list[Manifest] = [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]
        patch += [{"op": "remove", "path": pointer} for pointer in pointers]
        return await self._patch(manifest, patch, JSON_PATCH, {"fieldManager": FIELD_MANAGER})

    async def _patch(
        self, manifest: Manifest, body: Manifest | list[Manifest], content_type: str, query: Mapping[str, str]
    ) -> Manifest:
        resource, ref = BY_KIND[manifest["apiVersion"], manifest["kind"]], _ref_of(manifest)
        path = resource.path(ref.namespace, ref.name)
        self._fence()
        try:
            live = await self._api.send("PATCH", path, query=query, body=body, content_type=content_type)
        except Refusal as err:
            raise _refused_write(resource, ref, err) from err
        self._cache.put(resource, live)
        return live

    async def delete(self, api_version: str, kind: str, ref: ObjectRef, uid: str) -> None:
        """Delete one object if it still has `uid`; its own dependents follow in the background."""
        resource = BY_KIND[api_version, kind]
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        self._fence()
        try:
            answer = await self._api.send("DELETE", resource.path(ref.namespace, ref.name), body=body)
        except Refusal as err:
            if err.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise _refused_write(resource, ref, err) from err
            answer = {}
        if not (answer.get("metadata") or {}).get("finalizers"):
            self._cache.drop(resource, ref.namespace, ref.name, uid)
        else:
            self._cache.put(resource, answer)

    async def write_status(self, ref: ObjectRef, status: Manifest, resource_version: str) -> Manifest | None:
        """Replace `/status` by a JSON patch that carries the resourceVersion it was decided upon."""
        patch: list[Manifest] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/status", "value": status},
        ]
        path = MODEL.path(ref.namespace, ref.name, "status")
        query = {"fieldManager": FIELD_MANAGER}
        before = self._cache.find(MODEL, ref.namespace, ref.name)
        is_current = before is not None and before["metadata"]["resourceVersion"] == resource_version
        if is_current and self._pruned.get(ref) == (status, resource_version):
            return before  # as much of it as the CRD knows is stored already
        self._fence()
        try:
            written = await self._api.send("PATCH", path, query=query, body=patch, content_type=JSON_PATCH)
        except Refusal as err:
            if err.status == HTTPStatus.NOT_FOUND:
                self._forget(MODEL, ref, before)
                return None
            if err.status == HTTPStatus.CONFLICT:
                await self._read(MODEL, ref)
                raise Conflict(f"{ref} was written by somebody else meanwhile; reading it again") from err
            raise _refused_write(MODEL, ref, err) from err
        self._cache.put(MODEL, written)
        self._notice_pruned(ref, status, written)
        return written

    def _notice_pruned(self, ref: ObjectRef, status: Manifest, written: Manifest) -> None:
        """An older CRD drops what it does not know: say so once, and do not write the same again at every pass."""
        lost = difference(status, written.get("status") or {})
        if lost is None:
            self._pruned.pop(ref, None)
            return
        if not self._pruned:
            log.warning("the CRD is older than this operator and drops a part of status (%s); apply the CRD", lost)
        self._pruned[ref] = status, written["metadata"]["resourceVersion"]

    async def guard(self, ref: ObjectRef, finalizers: Sequence[str], resource_version: str) -> None:
        """Replace the finalizers by a JSON patch that carries the resourceVersion they were read at."""
        patch: list[Manifest] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/metadata/finalizers", "value": list(finalizers)},
        ]
        path, query = MODEL.path(ref.namespace, ref.name), {"fieldManager": FIELD_MANAGER}
        self._fence()
        try:
            live = await self._api.send("PATCH", path, query=query, body=patch, content_type=JSON_PATCH)
        except Refusal as err:
            if err.status == HTTPStatus.CONFLICT:
                raise Retryable(f"{ref} was written by somebody else meanwhile; reading it again") from err
            if err.status == HTTPStatus.FORBIDDEN:
                advice = "allow patch of pricesensitivitymodels to the operator (chart value cloudWatch.enabled)"
                message = f"the finalizers of {ref} may not be written ({err.status} {err.reason}): {err}; {advice}"
                raise Retryable(message, reason=Reason.ACCESS_DENIED) from err
            if err.status != HTTPStatus.NOT_FOUND:
                raise _refused_write(MODEL, ref, err) from err
            return
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._cache.drop(MODEL, ref.namespace, ref.name, metadata["uid"])
        else:
            self._cache.put(MODEL, live)

    async def record(self, ref: ObjectRef, uid: str, event: Event) -> bool:
        """Record a Kubernetes Event, once per key."""
        self._fence()
        return await self._recorder.record(ref, uid, event)

    # --- for the runtime ------------------------------------------------------------------------------------------

    async def is_served(self, resource: Resource) -> bool:
        """Whether discovery shows a resource: its version among all groups, and its kind in the version, as kopf looks for it."""
        try:
            groups = (await self._api.send("GET", "/apis"))["groups"]
            versions = {version["groupVersion"] for group in groups for version in group["versions"]}
            if resource.api_version not in versions:
                return False
            listed = (await self._api.send("GET", f"/apis/{resource.api_version}"))["resources"]
        except Refusal as err:
            if err.status == HTTPStatus.NOT_FOUND:
                return False
            raise _refused_read(resource, "discovery", err) from err
        return any(one["name"] == resource.plural for one in listed)

    async def sweep(self, namespace: str | None) -> frozenset[ObjectRef]:
        """List everything anew, which replaces the cache: it is right again, whatever the watches missed or invented.

        Returns:
            Every model there is.
        """
        for resource in CHILDREN:
            await self._sweep(resource, namespace, CHILD_SELECTOR)
        return await self._sweep(MODEL, namespace, "")

    async def _sweep(self, resource: Resource, namespace: str | None, selector: str) -> frozenset[ObjectRef]:
        found: set[ObjectRef] = set()
        began = self._cache.mark()
        async for page, _ in self._pages(resource, namespace, selector):
            for manifest in page:
                self._cache.put(resource, manifest, listed_since=began)
                found.add(_ref_of(manifest))
        self._cache.sweep(resource, found, began, namespace)
        return frozenset(found)

    async def list(self, resource: Resource, namespace: str | None, selector: str) -> tuple[list[Manifest], str]:
        """Every object of a kind, and the list's resourceVersion."""
        found: list[Manifest] = []
        version = ""
        async for page, version in self._pages(resource, namespace, selector):  # noqa: B007  # the last one counts
            found += page
        return found, version

    async def _pages(
        self, resource: Resource, namespace: str | None, selector: str
    ) -> AsyncIterator[tuple[Sequence[Manifest], str]]:
        """Page by page: a thousand Deployments at once would be most of the process's memory."""
        query = {"limit": str(PAGE_SIZE)} | ({"labelSelector": selector} if selector else {})
        while True:
            try:
                page = await self._api.send("GET", resource.path(namespace), query=query)
            except Refusal as err:
                raise _refused_read(resource, namespace or "every namespace", err) from err
            metadata = page["metadata"]
            yield page["items"], metadata["resourceVersion"]
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def _read(self, resource: Resource, ref: ObjectRef) -> Manifest | None:
        """A fresh read, from which the cache learns."""
        before = self._cache.find(resource, ref.namespace, ref.name)
        live = await self._get(resource, ref)
        if live is not None:
            self._cache.put(resource, live)
        else:
            self._forget(resource, ref, before)
        return live

    def _forget(self, resource: Resource, ref: ObjectRef, before: Manifest | None) -> None:
        """The API server does not know it any more; what was known `before` it was asked is gone."""
        if before is not None:
            self._cache.drop(resource, ref.namespace, ref.name, before["metadata"]["uid"])

    async def _get(self, resource: Resource, ref: ObjectRef) -> Manifest | None:
        try:
            return await self._api.send("GET", resource.path(ref.namespace, ref.name))
        except Refusal as err:
            if err.status == HTTPStatus.NOT_FOUND:
                return None
            raise _refused_read(resource, str(ref), err) from err


def _ref_of(manifest: Manifest) -> ObjectRef:
    return ObjectRef(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def _refused_read(resource: Resource, what: str, err: Refusal) -> Retryable:
    return Retryable(
        f"the API server refuses to show {resource.plural} of {what} ({err.status} {err.reason}): {err}; "
        "check the operator's RBAC and that the CRD is installed",
        reason=Reason.DEPENDENCY_UNAVAILABLE,
    )


def _refused_write(resource: Resource, ref: ObjectRef, err: Refusal) -> OperatorError:
    """Malformed is for a person to mend; forbidden, gone or in conflict may pass (quota, RBAC, a racing write)."""
    message = f"{resource.kind} {ref} is refused by the API server ({err.status} {err.reason}): {err}"
    if err.status in BAD:
        return Stalled(Reason.CHILD_REJECTED, message)
    if err.status == HTTPStatus.CONFLICT:
        return Conflict(message)
    return Retryable(message, reason=Reason.CHILD_REJECTED)
