"""CRD and operator of neighbouring versions: what is not known is no reason to stop, and is never lost."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import REF, World, spec

from psm_operator.adapters.memory_cluster import KIND, MemoryCluster
from psm_operator.api.conditions import Condition
from psm_operator.api.crd import schema
from psm_operator.api.status import ModelStatus
from psm_operator.api.stored import keep_unknown, read_spec, read_status
from psm_operator.values import Manifest, ObjectRef

Json = dict[str, Any]
UNKNOWN = "fieldOfANewerVersion"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)
)


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """Every object inside a value, with where it is."""
    if isinstance(value, dict):
        yield path, value
        for key, child in value.items():
            yield from objects(child, (*path, key))
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from objects(child, (*path, index))


async def soaked() -> World:
    """A model that serves its second version and has a history."""
    world = World()
    world.register()
    await world.serve()
    world.register()
    world.polls.poll()
    await world.converge()
    await world.pass_time(90)
    assert world.serving == 2
    return world


async def test_a_newer_crds_fields_stop_nothing_and_stay() -> None:
    """Into every object of spec and status a field that this operator does not know; the model goes on, and it stays."""
    world = await soaked()

    def grow(model: Manifest) -> None:
        for part in ("spec", "status"):
            for _, found in list(objects(model[part])):
                found[UNKNOWN] = {"deep": [1]}

    world.cluster.edit(KIND, REF, grow)
    world.register()
    world.polls.poll()
    await world.converge()
    await world.pass_time(90)
    assert world.serving == 3
    model = world.cluster.get(KIND, REF)
    assert model is not None
    kept = [path for path, found in objects(model) if UNKNOWN in found]
    assert ("status",) in kept
    assert ("status", "conditions", 0) in kept
    assert any(path[:2] == ("status", "history") for path in kept)
    written = len(world.cluster.writes)
    await world.pass_time(300)
    assert len(world.cluster.writes) == written, "nothing happened, so nothing is written"


async def test_words_of_a_newer_operator_are_read_and_kept() -> None:
    """A reason, a phase, a condition type, a result that are not ours: as after going back to an older operator."""
    world = await soaked()

    def speak(model: Manifest) -> None:
        status = model["status"]
        status["phase"] = "Shadowing"
        status["history"][0]["result"] = "Shadowed"
        status["history"][0]["reason"] = "ShadowWasBetter"
        status["conditions"].append(status["conditions"][0] | {"type": "Shadowed", "reason": "ShadowIsFine"})

    world.cluster.edit(KIND, REF, speak)
    await world.pass_time(60)
    assert world.last_error is None
    model = world.cluster.get(KIND, REF)
    assert model is not None
    assert "ShadowWasBetter" in [entry["reason"] for entry in model["status"]["history"]]
    assert "Shadowed" in [condition["type"] for condition in model["status"]["conditions"]]
    assert model["status"]["phase"] == "Ready"


class OlderCrd(MemoryCluster):
    """A cluster whose CRD lacks one field of `status`, as the API server prunes it: silently, at every write."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__()
        self.path = path

    async def write_status(self, ref: ObjectRef, status: Manifest, resource_version: str) -> Manifest | None:
        """Store what the CRD knows."""
        return await super().write_status(ref, pruned(status, self.path), resource_version)


def pruned(value: Any, path: tuple[str, ...]) -> Any:
    """Plain JSON without one field, in every item of the lists on the way."""
    made = copy.deepcopy(value)
    parents = [made]
    for name in path[:-1]:
        below = (parent[name] for parent in parents if isinstance(parent, dict) and name in parent)
        parents = [item for child in below for item in (child if isinstance(child, list) else [child])]
    for parent in parents:
        parent.pop(path[-1], None)
    return made


def status_fields(node: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of the status."""
    for name, child in node["properties"].items():
        yield (*path, name)
        inner = child.get("items", child)
        if "properties" in inner:
            yield from status_fields(inner, (*path, name))


ALL = sorted(status_fields(schema()["properties"]["status"]))
FIRST_VERSIONS = {
    ("candidate",),
    ("current",),
    *((head, name) for head in ("candidate", "current") for name in ("version", "arn", "modelDataUrl")),
    ("candidate", "stage"),
    ("candidate", "startedAt"),
    ("candidate", "provingSince"),
    *(("conditions", name) for name in Condition.model_json_schema()["properties"]),
}
"""What a release stands on since the first CRD, and a condition's own fields, which are Kubernetes'."""


@pytest.mark.parametrize("path", [path for path in ALL if path not in FIRST_VERSIONS], ids=".".join)
async def test_an_older_crd_that_drops_a_field_stops_nothing(path: tuple[str, ...]) -> None:
    """Any field but those that a release stands on: a version comes into service, and then nothing is written."""
    world = World()
    world.cluster = OlderCrd(path)
    world.restart()
    world.register()
    world.create()
    await world.converge()
    await world.pass_time(90)
    assert (world.serving, world.phase or "Ready") == (1, "Ready")
    assert world.last_error is None
    written = len(world.cluster.writes)
    await world.pass_time(120)
    assert len(world.cluster.writes) == written


def test_every_field_that_a_release_stands_on_exists() -> None:
    """The list above names no field that is gone."""
    assert set(ALL) >= FIRST_VERSIONS


@given(st.dictionaries(st.sampled_from(["phase", "current", "history", "conditions", "rejected", UNKNOWN]), VALUES))
def test_no_status_is_too_strange_to_be_read(raw: Json) -> None:
    """Whatever somebody wrote there: what cannot be understood counts as absent."""
    assert keep_unknown(read_status(raw), ModelStatus()) is not None


def test_unknown_fields_of_a_spec_are_ignored() -> None:
    """At any depth; the API server alone refuses what is misspelt."""
    grown = copy.deepcopy(spec())
    for _, found in list(objects(grown)):
        found[UNKNOWN] = 1
    assert read_spec(grown) == read_spec(spec())
