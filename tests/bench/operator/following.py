"""Follows Deployments and models by watch, as cheaply as can be: only the fields that say how far they are."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
from bench.operator.lab import Kube

from psm_operator.adapters.kinds import DEPLOYMENT, MODEL
from psm_operator.adapters.kube_api import Resource


class Labels(msgspec.Struct):
    """Labels of a pod template that matter here."""

    version: str = msgspec.field(name="retail.mlops/version", default="")


class Metadata(msgspec.Struct):
    """Of an object or a pod template."""

    name: str = ""
    generation: int = 0
    resourceVersion: str = ""  # noqa: N815  # Kubernetes' name
    labels: Labels = msgspec.field(default_factory=Labels)


class EnvVar(msgspec.Struct):
    """One variable of a container."""

    name: str
    value: str = ""


class Container(msgspec.Struct):
    """A container."""

    env: list[EnvVar] = []


class PodSpec(msgspec.Struct):
    """A pod."""

    containers: list[Container] = []


class Template(msgspec.Struct):
    """A pod template."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)


class Spec(msgspec.Struct):
    """Of a Deployment."""

    replicas: int = 1
    template: Template = msgspec.field(default_factory=Template)


class Condition(msgspec.Struct):
    """Of a model."""

    type: str
    status: str


class Status(msgspec.Struct, rename="camel"):
    """Of a Deployment or a model."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    conditions: list[Condition] = []
    phase: str = ""


class Object(msgspec.Struct):
    """A Deployment or a model."""

    metadata: Metadata
    spec: Spec = msgspec.field(default_factory=Spec)
    status: Status = msgspec.field(default_factory=Status)


class Event(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: Object


class Listed(msgspec.Struct):
    """A collection."""

    metadata: Metadata
    items: list[Object]


EVENT = msgspec.json.Decoder(Event)
LISTED = msgspec.json.Decoder(Listed)


@dataclass
class Follower:
    """What was last seen of every Deployment and model.

    Attributes:
        complete: Deployments of which every wanted replica runs the newest template and is available.
        ready: models whose condition Ready is True.
        settled: models whose soak is over too.
        marked: (Deployment, value) -> when its pods first had the variable BENCH with that value.
        patched: (Deployment, version) -> when its pod template first had that version, on the monotonic clock.
    """

    complete: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    patched: dict[tuple[str, str], float] = field(default_factory=dict)
    marked: dict[tuple[str, str], float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def saw_deployment(self, kind: str, one: Object) -> None:
        """Take in an event."""
        name, status = one.metadata.name, one.status
        counts = {status.replicas, status.updated_replicas, status.available_replicas}
        is_complete = status.observed_generation >= one.metadata.generation and counts == {one.spec.replicas}
        _put(self.complete, name, is_in=is_complete and kind != "DELETED")
        now = time.monotonic()
        self.patched.setdefault((name, one.spec.template.metadata.labels.version), now)
        for container in one.spec.template.spec.containers:
            for variable in container.env:
                if variable.name == "BENCH":
                    self.marked.setdefault((name, variable.value), now)
        self.changed.set()

    def saw_model(self, kind: str, one: Object) -> None:
        """Take in an event. The naive contestant has a phase where ours has a condition too."""
        is_settled = one.status.phase == "Ready"
        is_ready = is_settled or any(c.type == "Ready" and c.status == "True" for c in one.status.conditions)
        _put(self.ready, one.metadata.name, is_in=kind != "DELETED" and is_ready)
        _put(self.settled, one.metadata.name, is_in=kind != "DELETED" and is_settled)
        self.changed.set()

    async def until(self, is_so: Callable[[], bool], what: str, limit_s: float) -> float:
        """Wait until it is so; returns when it was, on the monotonic clock."""
        try:
            async with asyncio.timeout(limit_s):
                while not is_so():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError as err:
            raise RuntimeError(f"waited {limit_s:g} s for {what}") from err
        return time.monotonic()


@contextlib.asynccontextmanager
async def following(kube: Kube) -> AsyncIterator[Follower]:
    """Follow while the block runs."""
    seen = Follower()
    tasks = [
        asyncio.create_task(_follow(kube, DEPLOYMENT, seen.saw_deployment)),
        asyncio.create_task(_follow(kube, MODEL, seen.saw_model)),
    ]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _follow(kube: Kube, resource: Resource, take: Callable[[str, Object], None]) -> None:
    path = resource.path(None)
    while True:
        async with kube.http.get(f"{path}?resourceVersion=0") as answer:
            listed = LISTED.decode(await answer.read())
        for one in listed.items:
            take("ADDED", one)
        query = f"watch=1&resourceVersion={listed.metadata.resourceVersion}&timeoutSeconds=3000"
        async with kube.http.get(f"{path}?{query}") as answer:
            async for line in answer.content:
                if b'"type":"ERROR"' in line[:20]:
                    break
                event = EVENT.decode(line)
                take(event.type, event.object)


def _put(names: set[str], name: str, *, is_in: bool) -> None:
    if is_in:
        names.add(name)
    else:
        names.discard(name)
