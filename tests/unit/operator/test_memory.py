"""The in-memory ports behave as the real ones where it matters to the state machine."""

import pytest

from psm_operator.adapters.memory import MemoryArtifacts, MemoryClock, MemoryPolls, MemoryRegistry
from psm_operator.adapters.memory_cluster import CRASHING, MemoryCluster
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable
from psm_operator.values import (
    Approval,
    ArtifactState,
    Event,
    GroupRef,
    Manifest,
    ObjectRef,
    RegistryUnknown,
    Snapshot,
)

REF = ObjectRef("mlops", "grocery")
GROUP = GroupRef("price-sensitivity", "ap-southeast-1")


def deployment(version: int, *, uid: str, replicas: int | None = 2) -> Manifest:
    """A Deployment as the operator would apply it."""
    spec: Manifest = {
        "template": {
            "metadata": {
                "labels": {
                    "retail.mlops/model": REF.name,
                    "retail.mlops/role": "serving",
                    "retail.mlops/version": str(version),
                }
            }
        }
    }
    if replicas is not None:
        spec["replicas"] = replicas
    owner = {
        "apiVersion": "retail.mlops/v1alpha1",
        "kind": "PriceSensitivityModel",
        "name": REF.name,
        "uid": uid,
        "controller": True,
    }
    meta = {"namespace": REF.namespace, "name": REF.name, "ownerReferences": [owner]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


async def test_apply_merges_and_lets_go_of_what_is_left_out() -> None:
    """A field applied before and left out now goes; a field of somebody else stays."""
    cluster = MemoryCluster()
    uid = cluster.put_model(REF, {})["metadata"]["uid"]
    await cluster.apply(deployment(1, uid=uid, replicas=2))
    cluster.edit("Deployment", REF, lambda it: it["spec"].update(paused=True))
    live = await cluster.apply(deployment(1, uid=uid, replicas=None))
    assert "replicas" not in live["spec"]
    assert live["spec"]["paused"] is True


async def test_a_second_manager_keeps_replicas_alive() -> None:
    """Replicas that another manager applied stay when the first lets go of them, and managedFields say whose they are."""
    cluster = MemoryCluster()
    live = await cluster.apply(deployment(1, uid="u", replicas=4))
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["psm-operator"]
    only = {**deployment(1, uid="u"), "spec": {"replicas": 4}}
    await cluster.apply(only, field_manager="keeper")
    live = await cluster.apply(deployment(1, uid="u", replicas=None))
    assert live["spec"]["replicas"] == 4
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["keeper"]


async def test_apply_of_the_same_twice_writes_once() -> None:
    """The second apply of one manifest leaves resourceVersion and generation alone."""
    cluster = MemoryCluster()
    first = await cluster.apply(deployment(1, uid="u"))
    again = await cluster.apply(deployment(1, uid="u"))
    assert again["metadata"] == first["metadata"]
    assert cluster.writes == ["create Deployment/grocery"]


async def test_status_is_fenced_by_resource_version() -> None:
    """A write from an old read is refused as retryable; a write to a resource that is gone returns None."""
    cluster = MemoryCluster()
    old = cluster.put_model(REF, {"suspend": False})["metadata"]["resourceVersion"]
    fresh = cluster.put_model(REF, {"suspend": True})
    with pytest.raises(Retryable, match="written by somebody else"):
        await cluster.write_status(REF, {"phase": "Ready"}, old)
    written = await cluster.write_status(REF, {"phase": "Ready"}, fresh["metadata"]["resourceVersion"])
    assert written is not None
    assert written["metadata"]["generation"] == fresh["metadata"]["generation"]
    cluster.remove("PriceSensitivityModel", REF)
    assert await cluster.write_status(REF, {}, written["metadata"]["resourceVersion"]) is None


async def test_settle_keeps_the_old_version_answering_while_the_new_one_crashes() -> None:
    """A rollout that fails leaves the Deployment available on the old template and past its deadline."""
    cluster = MemoryCluster()
    uid = cluster.put_model(REF, {})["metadata"]["uid"]
    await cluster.apply(deployment(1, uid=uid))
    cluster.settle()
    cluster.outcomes[2] = CRASHING
    await cluster.apply(deployment(2, uid=uid))
    cluster.settle()
    live = cluster.get("Deployment", REF)
    assert live is not None
    assert {c["type"]: c["status"] for c in live["status"]["conditions"]} == {
        "Available": "True",
        "Progressing": "False",
    }
    pods = await cluster.pods(REF, role="serving", version=2)
    assert pods.failure is not None
    assert pods.failure.message == CRASHING.message
    assert (pods.is_tried, pods.answering) == (True, (1,))
    assert (await cluster.pods(REF, role="serving", version=1)).failure is None


async def test_children_go_with_their_owner() -> None:
    """Garbage collection removes what a deleted resource controlled."""
    cluster = MemoryCluster()
    uid = cluster.put_model(REF, {})["metadata"]["uid"]
    await cluster.apply(deployment(1, uid=uid))
    assert list(await cluster.children(REF, uid)) == [("Deployment", "grocery")]
    cluster.remove("PriceSensitivityModel", REF)
    cluster.settle()
    assert await cluster.children(REF, uid) == {}


async def test_one_event_per_key() -> None:
    """Recording the same key twice leaves one event; another key is another event."""
    cluster = MemoryCluster()
    for key in ("a", "a", "b"):
        await cluster.record(REF, "u", Event("Normal", Reason.PROMOTED, "promoted", key))
    assert len(cluster.events) == 2


def test_polls_follow_the_registry_one_poll_at_a_time() -> None:
    """A view changes with the poll, not with the registry; a fault makes it unknown."""
    registry = MemoryRegistry(MemoryClock())
    polls = MemoryPolls(registry)
    polls.watch(REF, GROUP, interval_s=60, versions=frozenset({1}))
    registry.register(GROUP)
    registry.register(GROUP, approval=Approval.APPROVED)
    assert isinstance(polls.view(GROUP), RegistryUnknown)
    polls.poll()
    first = polls.view(GROUP)
    assert isinstance(first, Snapshot)
    assert [s.version for s in first.summaries] == [2, 1]
    assert set(first.packages) == {1, 2}
    registry.fault = Retryable("slow down", reason=Reason.REGISTRY_THROTTLED)
    polls.poll()
    assert polls.view(GROUP) == RegistryUnknown(Reason.REGISTRY_THROTTLED, "slow down")


def test_an_unfollowed_group_is_forgotten() -> None:
    """After the last follower leaves, nothing is read."""
    registry = MemoryRegistry(MemoryClock())
    polls = MemoryPolls(registry)
    polls.watch(REF, GROUP, interval_s=60, versions=frozenset())
    polls.unwatch(REF)
    polls.poll()
    assert registry.reads == 0


async def test_artifacts_are_present_missing_mismatched_or_unknown() -> None:
    """The four answers of the store."""
    artifacts = MemoryArtifacts()
    package = MemoryRegistry(MemoryClock()).register(GROUP)
    states = [(await artifacts.look(package, GROUP)).state]
    artifacts.put(package.model_data_url, package.sha256)
    states.append((await artifacts.look(package, GROUP)).state)
    artifacts.put(package.model_data_url, "0" * 64)
    states.append((await artifacts.look(package, GROUP)).state)
    artifacts.fault = "connection refused"
    states.append((await artifacts.look(package, GROUP)).state)
    assert states == [ArtifactState.MISSING, ArtifactState.PRESENT, ArtifactState.MISMATCH, ArtifactState.UNKNOWN]
