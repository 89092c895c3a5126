"""kopf in, keys out: an event updates the cache or the watchdog and becomes a key in the queue. No logic.

Only `on.event`: no change handler, timer or daemon, hence no finalizer and no annotation on anybody's object
(docs/adr/0001-kopf-as-event-source.md). The registry is built for one runtime; there are no module globals.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import kopf

from psm_operator.adapters.kinds import CHILD_SELECTOR, CHILDREN, LEASE, MODEL
from psm_operator.adapters.kube_api import KubeApi, Resource
from psm_operator.adapters.watch_cache import WatchCache, owner_of
from psm_operator.values import Manifest, ObjectRef

WATCHED: Final = (MODEL, *CHILDREN, LEASE)

API_BACKOFFS_S: Final = (1, 1, 2, 3, 5, 8, 13, 21, 30)


class Signs(Protocol):
    """What handlers tell the watchdog."""

    def saw_event(self, kind: str) -> None:
        """The watch of a kind delivered something."""

    def saw_lease(self, resource_version: str) -> None:
        """The watch showed our Lease."""


@dataclass(frozen=True, slots=True)
class EventSink:
    """Where events go.

    Attributes:
        add: have a model looked at.
        add_soon: the same, together with what follows within a moment: a Deployment changes several times in a row.
        is_ours: whether models of a namespace are looked after.
    """

    api: KubeApi
    cache: WatchCache
    signs: Signs
    add: Callable[[ObjectRef], None]
    add_soon: Callable[[ObjectRef], None]
    is_ours: Callable[[str], bool]


def operator_registry(sink: EventSink) -> kopf.OperatorRegistry:
    """Every handler, bound to one sink."""
    registry = kopf.OperatorRegistry()

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await connection_info(sink.api)

    async def on_model(event: kopf.RawEvent, **_: Any) -> None:
        sink.signs.saw_event(MODEL.kind)
        metadata = event["object"]["metadata"]
        is_news = take_in(sink.cache, MODEL, event["type"], dict(event["object"]))
        if is_news and sink.is_ours(metadata["namespace"]):
            sink.add(ObjectRef(metadata["namespace"], metadata["name"]))

    async def on_lease(event: kopf.RawEvent, **_: Any) -> None:
        sink.signs.saw_event(LEASE.kind)
        sink.signs.saw_lease(event["object"]["metadata"]["resourceVersion"])

    kopf.on.login(registry=registry, id="psm-login")(log_in)
    kopf.on.event(*selector(MODEL), registry=registry, id="psm-model")(on_model)
    kopf.on.event(*selector(LEASE), registry=registry, id="psm-lease")(on_lease)
    for resource in CHILDREN:
        handler = _child_handler(sink, resource)
        kopf.on.event(*selector(resource), registry=registry, id=f"psm-{resource.plural}")(handler)
    return registry


def _child_handler(sink: EventSink, resource: Resource) -> Callable[..., Any]:
    async def on_child(event: kopf.RawEvent, **_: Any) -> None:
        sink.signs.saw_event(resource.kind)
        if take_in(sink.cache, resource, event["type"], dict(event["object"])):
            owner = owner_of(event["object"])
            if owner is not None:
                sink.add_soon(owner)

    return on_child


def take_in(cache: WatchCache, resource: Resource, kind: str | None, manifest: Manifest) -> bool:
    """Update the cache; whether anything changed that a pass could care about."""
    if kind != "DELETED":
        return cache.put(resource, manifest)
    metadata = manifest["metadata"]
    version = metadata["resourceVersion"]
    return cache.drop(resource, metadata["namespace"], metadata["name"], metadata["uid"], version)


def selector(resource: Resource) -> tuple[str, str, str]:
    """A resource in kopf's words."""
    return resource.group, resource.version, resource.plural


def watcher_name(resource: Resource, namespace: str | None) -> str:
    """What kopf calls the task that watches a resource; the watchdog looks for it (pinned by a test)."""
    name = ".".join(filter(None, (resource.plural, resource.version, resource.group)))
    return f"watcher for {name}@{namespace}"


async def connection_info(api: KubeApi) -> kopf.ConnectionInfo:
    """The credentials of our own client, for kopf; it asks again when they are refused (a rotated token)."""
    configuration = api.configuration
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=None if configuration.ssl_ca_cert else configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=await api.token(),
    )


class JitteredForever:
    """Backoffs without end, so that no outage kills a watch; jittered, so that an API server can come back."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw

    def __iter__(self) -> Iterator[float]:
        """Start anew: kopf iterates once per request."""
        yield from (self._jittered(delay_s) for delay_s in API_BACKOFFS_S)
        while True:
            yield self._jittered(API_BACKOFFS_S[-1])

    def _jittered(self, delay_s: float) -> float:
        return delay_s * (0.5 + 0.5 * self._draw())


def operator_settings(lease_name: str) -> kopf.OperatorSettings:
    """What kopf runs with; each differs from its default for a reason."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # our own recorder: deterministic names, one per key
    settings.peering.standalone = True  # a Lease decides who leads; peering is a wall clock
    settings.scanning.disabled = True  # no rights on CRDs and namespaces; the watchdog sees what then dies in silence
    settings.watching.server_timeout = 290  # seconds; below the 5 min after which load balancers cut streams
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1
    settings.watching.inactivity_timeout = 70  # bookmarks come every 60 s
    settings.watching.chunk_size = 100  # objects per page; a thousand models have seven thousand children
    settings.watching.field_selectors[selector(LEASE)] = f"metadata.name={lease_name}"
    for resource in CHILDREN:
        settings.watching.label_selectors[selector(resource)] = CHILD_SELECTOR
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = JitteredForever()
    settings.queueing.idle_timeout = 1  # seconds; a task per object that changed is kept no longer
    settings.process.ultimate_exiting_timeout = 25  # below a pod's 30 s grace
    settings.persistence.diffbase_storage = NoDiffBase()
    return settings


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf keeps no last-seen state: we have no change handlers, and it would be computed for every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing to compare."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing is stored."""
