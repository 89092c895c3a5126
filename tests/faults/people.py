"""What people do to children, at random from a seed, and what there is afterwards: the material of restart equivalence."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from faults.crash_walk import timeless
from faults.shop import MERGE_PATCH, Shop, until

from psm_operator.adapters.kinds import CHILDREN, MODEL
from psm_operator.adapters.kube_api import Refusal
from psm_operator.adapters.resource import Resource
from psm_operator.api.names import STAMP
from psm_operator.values import Manifest, ObjectRef

QUIET_S: Final = 3.0
"""Nothing written for so long is at rest: a pass and what it causes takes far less."""

REST_S: Final = 120.0
CONFIG_MAP: Final = "them"

EVERYTHING: Final[Manifest] = {
    "replicas": None,
    "autoscaling": {"minReplicas": 2, "maxReplicas": 6},
    "networking": {"ingress": {"host": "a.example"}},
}
"""A spec with every kind of child."""

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABELS: Final = (MANAGED_BY, "app.kubernetes.io/instance", "retail.mlops/model", "example.com/theirs")
ANNOTATIONS: Final = (STAMP, "example.com/theirs")
VALUES: Final = (None, "somebody", "other")
FINALIZER: Final = "example.com/hold"

Edit = Callable[[random.Random, Manifest], Manifest]
"""Metadata of a child as it is -> a merge patch of its metadata."""


def _label(rng: random.Random, _: Manifest) -> Manifest:
    return {"labels": {rng.choice(LABELS): rng.choice(VALUES)}}


def _annotation(rng: random.Random, _: Manifest) -> Manifest:
    return {"annotations": {rng.choice(ANNOTATIONS): rng.choice(VALUES)}}


def _orphan(_: random.Random, __: Manifest) -> Manifest:
    return {"ownerReferences": None}


def _give_up_control(_: random.Random, metadata: Manifest) -> Manifest:
    owners = metadata.get("ownerReferences") or []
    return {"ownerReferences": [{**owner, "controller": False} for owner in owners]}


def _finalizer(rng: random.Random, _: Manifest) -> Manifest:
    return {"finalizers": [FINALIZER] if rng.random() < 0.5 else None}


EDITS: Final[tuple[Edit, ...]] = (_label, _label, _annotation, _orphan, _give_up_control, _finalizer)


@dataclass
class People:
    """Who edits children of some models of one namespace.

    Attributes:
        done: every edit, in words, oldest first.
    """

    shop: Shop
    refs: tuple[ObjectRef, ...]
    rng: random.Random
    done: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """Where they are."""
        return self.refs[0].namespace

    async def edit_some(self, count: int) -> None:
        """One edit after the other, sometimes with a moment for the operator in between."""
        for _ in range(count):
            ref, resource = self.rng.choice(self.refs), self.rng.choice(CHILDREN)
            await self._edit(resource, ref, self.rng.choice(EDITS))
            if self.rng.random() < 0.5:  # as often as not
                await asyncio.sleep(self.rng.random())

    async def _edit(self, resource: Resource, ref: ObjectRef, edit: Edit) -> None:
        path = resource.path(ref.namespace, ref.name)
        try:
            live = await self.shop.api.send("GET", path)
            patch: Manifest = {"metadata": edit(self.rng, live["metadata"])}
            await self.shop.api.send("PATCH", path, body=patch, content_type=MERGE_PATCH)
        except Refusal as err:
            self.done.append(f"{resource.kind}/{ref.name}: refused ({err.reason})")
        else:
            self.done.append(f"{resource.kind}/{ref.name}: {patch['metadata']}")

    async def at_rest(self) -> Manifest:
        """Wait until nothing is written any more although every model is looked at; what there is then."""
        for ref in self.refs:
            await self.shop.look_now(ref)
        since, last = time.monotonic(), await self._versions()

        async def is_quiet() -> bool:
            nonlocal since, last
            await asyncio.sleep(0.3)
            now = await self._versions()
            if now != last:
                since, last = time.monotonic(), now
            return time.monotonic() - since > QUIET_S

        await until(is_quiet, f"the models of {self.namespace} to come to rest", REST_S)
        return await self.state()

    async def _versions(self) -> dict[str, str]:
        return {name: item["metadata"]["resourceVersion"] for name, item in (await self._objects()).items()}

    async def _objects(self) -> dict[str, Manifest]:
        found: dict[str, Manifest] = {}
        for resource in (MODEL, *CHILDREN):
            items = (await self.shop.api.send("GET", resource.path(self.namespace)))["items"]
            found |= {f"{resource.kind}/{item['metadata']['name']}": item for item in items}
        return found

    async def state(self) -> Manifest:
        """Everything that was asked for, without moments, counters and what only simulated nodes move."""
        return {name: _essence(item) for name, item in (await self._objects()).items()}


def _essence(item: Manifest) -> Manifest:
    metadata = item["metadata"]
    kept: dict[str, Any] = {
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "finalizers": metadata.get("finalizers"),
        "owners": metadata.get("ownerReferences"),
        "spec": item.get("spec"),
    }
    if "registry" in (item.get("spec") or {}):
        status = timeless(item.get("status") or {})
        status.pop("lastHandledReconcileAt", None)
        kept = {"status": status}
    return kept


def differences(here: Manifest, there: Manifest) -> list[str]:
    """Objects, and their parts, that differ."""
    found = []
    for name in sorted(here.keys() | there.keys()):
        one, other = here.get(name) or {}, there.get(name) or {}
        parts = [part for part in sorted(one.keys() | other.keys()) if one.get(part) != other.get(part)]
        found += [f"{name}: {part} is {one.get(part)}, after a restart {other.get(part)}" for part in parts]
    return found
