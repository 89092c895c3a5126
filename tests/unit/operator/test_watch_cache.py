"""The watch cache: newest wins, the dead stay dead, sweeps put right what watches missed."""

from typing import Any

import pytest

from psm_operator.adapters.kinds import CHILDREN, DEPLOYMENT, MODEL
from psm_operator.adapters.watch_cache import WatchCache, owner_of
from psm_operator.handlers import take_in
from psm_operator.values import Manifest, ObjectRef

SERVICE = CHILDREN[1]
REF = ObjectRef("mlops", "grocery")
OWNER = {"kind": "PriceSensitivityModel", "name": "grocery", "uid": "owner", "controller": True}


def child(version: int, *, uid: str = "u1", name: str = "grocery", **fields: Any) -> Manifest:
    """A child as a list shows it: without apiVersion and kind."""
    metadata = {
        "namespace": "mlops",
        "name": name,
        "uid": uid,
        "resourceVersion": str(version),
        "ownerReferences": [OWNER],
        "managedFields": [{"manager": "psm-operator", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:x": {}}}}],
    }
    return {"metadata": metadata, "spec": {"a": 1}, **fields}


@pytest.fixture
def cache() -> WatchCache:
    """Empty."""
    return WatchCache()


def versions(cache: WatchCache) -> dict[tuple[str, str], str]:
    """ResourceVersion of every child of our owner."""
    return {key: live["metadata"]["resourceVersion"] for key, live in cache.children_of(REF, "owner").items()}


def test_the_newest_state_wins_whatever_the_order(cache: WatchCache) -> None:
    """The answer to our own write may arrive before an older watch event."""
    assert cache.put(SERVICE, child(5))
    assert not cache.put(SERVICE, child(4, spec={"a": 0}))
    assert versions(cache) == {("Service", "grocery"): "5"}


def test_a_write_that_changes_nothing_of_interest_is_no_change(cache: WatchCache) -> None:
    """Status of an HPA moves every 15 s; no pass needs to know."""
    cache.put(SERVICE, child(5, status={"x": 1}))
    assert not cache.put(SERVICE, child(6, status={"x": 2}))
    assert cache.put(SERVICE, child(7, spec={"a": 2}))


def test_the_status_of_a_deployment_is_of_interest(cache: WatchCache) -> None:
    """Rollouts are read from it."""
    cache.put(DEPLOYMENT, child(5, status={"replicas": 1}))
    assert cache.put(DEPLOYMENT, child(6, status={"replicas": 2}))


def test_what_a_pass_does_not_read_of_a_rollout_is_no_change(cache: WatchCache) -> None:
    """A Deployment's status is written a dozen times per rollout, half of them for times and counters nobody reads."""
    condition = {"type": "Available", "status": "True", "reason": "Enough"}
    cache.put(DEPLOYMENT, child(5, status={"replicas": 1, "conditions": [{**condition, "lastUpdateTime": "1"}]}))
    later = {"replicas": 1, "unavailableReplicas": 1, "conditions": [{**condition, "lastUpdateTime": "2"}]}
    assert not cache.put(DEPLOYMENT, child(6, status=later))
    failed = {"replicas": 1, "conditions": [{**condition, "status": "False"}]}
    assert cache.put(DEPLOYMENT, child(7, status=failed))


def test_a_model_is_kept_whole(cache: WatchCache) -> None:
    """Passes read its status; managedFields are of no use."""
    assert cache.put(MODEL, child(5, status={"phase": "Ready"}))
    found = cache.find(MODEL, "mlops", "grocery")
    assert found is not None
    assert found["status"] == {"phase": "Ready"}
    assert "managedFields" not in found["metadata"]
    assert cache.put(MODEL, child(6, status={"phase": "Degraded"}))


def test_our_own_deletion_is_no_news(cache: WatchCache) -> None:
    """The watch tells of it a moment later."""
    cache.put(SERVICE, child(5))
    cache.drop(SERVICE, "mlops", "grocery", "u1")
    assert not take_in(cache, SERVICE, "DELETED", child(6))


def test_of_managed_fields_only_the_owners_of_replicas_are_kept(cache: WatchCache) -> None:
    """They are most of an object's bytes."""
    cache.put(DEPLOYMENT, child(5))
    cache.put(SERVICE, child(5))
    children = cache.children_of(REF, "owner")
    assert children["Deployment", "grocery"]["metadata"]["managedFields"] == [
        {"manager": "psm-operator", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    assert "managedFields" not in children["Service", "grocery"]["metadata"]
    assert children["Service", "grocery"]["apiVersion"] == "v1"


def test_a_state_older_than_the_deletion_stays_away(cache: WatchCache) -> None:
    """A list that was under way when the object went shows it once more."""
    cache.put(SERVICE, child(5))
    assert take_in(cache, SERVICE, "DELETED", child(8))
    assert not cache.put(SERVICE, child(7))
    assert versions(cache) == {}
    assert cache.put(SERVICE, child(9, uid="u2"))


def test_what_a_watch_by_label_called_deleted_is_taken_in_again(cache: WatchCache) -> None:
    """The event bears the resourceVersion at which the label went; a read shows the object at that version or later."""
    cache.put(SERVICE, child(5))
    assert take_in(cache, SERVICE, "DELETED", child(6))
    assert cache.put(SERVICE, child(6, spec={"a": 2}))
    assert versions(cache) == {("Service", "grocery"): "6"}
    assert take_in(cache, SERVICE, "DELETED", child(7)), "and when it goes for good, it goes"
    assert versions(cache) == {}


def test_a_late_word_that_the_label_went_does_not_hide_what_a_read_has_shown(cache: WatchCache) -> None:
    """The read was faster than the watch."""
    cache.put(SERVICE, child(6))
    assert not take_in(cache, SERVICE, "DELETED", child(6))
    assert versions(cache) == {("Service", "grocery"): "6"}


def test_a_late_deletion_does_not_hit_the_successor(cache: WatchCache) -> None:
    """Same name, another uid."""
    cache.put(SERVICE, child(8, uid="u2"))
    take_in(cache, SERVICE, "DELETED", child(6, uid="u1"))
    assert versions(cache) == {("Service", "grocery"): "8"}


def test_a_sweep_drops_what_is_gone_and_keeps_what_was_learned_since_it_began(cache: WatchCache) -> None:
    """The list is of one moment; what was applied after it is not in it."""
    cache.put(SERVICE, child(5, uid="u1", name="old"))
    cache.put(DEPLOYMENT, child(5, uid="u3", name="other-kind"))
    began = cache.mark()
    cache.put(SERVICE, child(20, uid="u2", name="new"))
    cache.put(SERVICE, child(9, uid="u4", name="listed"), listed_since=began)
    cache.sweep(SERVICE, {ObjectRef("mlops", "listed")}, began, None)
    assert versions(cache) == {("Deployment", "other-kind"): "5", ("Service", "listed"): "9", ("Service", "new"): "20"}


def test_a_sweep_replaces_what_was_known_before_newer_or_not(cache: WatchCache) -> None:
    """An API server that was restored from a backup counts from before; and what it has is not deleted."""
    cache.put(SERVICE, child(900, name="kept"))
    cache.put(SERVICE, child(901, uid="u2", name="newer"))
    cache.put(SERVICE, child(902, uid="u3", name="back"))
    cache.drop(SERVICE, "mlops", "back", "u3", "903")
    began = cache.mark()
    assert cache.put(SERVICE, child(5, name="kept", spec={"a": 7}), listed_since=began)
    assert cache.put(SERVICE, child(6, uid="u3", name="back"), listed_since=began)
    cache.sweep(SERVICE, {ObjectRef("mlops", "kept"), ObjectRef("mlops", "back")}, began, None)
    assert versions(cache) == {("Service", "kept"): "5", ("Service", "back"): "6"}


def test_a_list_does_not_undo_what_was_learned_while_it_was_read(cache: WatchCache) -> None:
    """A write of ours, and a deletion that the watch told of."""
    cache.put(SERVICE, child(5, uid="u2", name="going"))
    began = cache.mark()
    cache.put(SERVICE, child(9))
    cache.drop(SERVICE, "mlops", "going", "u2", "10")
    assert not cache.put(SERVICE, child(5), listed_since=began)
    assert not cache.put(SERVICE, child(5, uid="u2", name="going"), listed_since=began)
    assert versions(cache) == {("Service", "grocery"): "9"}


def test_a_sweep_of_one_namespace_leaves_the_others_alone(cache: WatchCache) -> None:
    """Namespaces are listed one by one when the operator is confined to some."""
    cache.put(SERVICE, child(5))
    cache.sweep(SERVICE, set(), cache.mark(), "elsewhere")
    assert len(cache) == 1
    cache.sweep(SERVICE, set(), cache.mark(), "mlops")
    assert len(cache) == 0


def test_an_owner_that_changes_is_followed(cache: WatchCache) -> None:
    """The index follows the owner reference."""
    cache.put(SERVICE, child(5))
    taken = child(6)
    taken["metadata"]["ownerReferences"] = [{**OWNER, "uid": "another"}]
    cache.put(SERVICE, taken)
    assert versions(cache) == {}
    assert len(cache) == 1
    assert list(cache.children_of(REF, "another")) == [("Service", "grocery")]


def test_the_key_of_a_child_is_its_controlling_model() -> None:
    """Others' owner references do not count."""
    orphan = child(1)
    orphan["metadata"]["ownerReferences"] = [{**OWNER, "controller": False}, {**OWNER, "kind": "ReplicaSet"}]
    assert owner_of(child(1)) == ObjectRef("mlops", "grocery")
    assert owner_of(orphan) is None


def test_an_orphan_is_found_by_its_marks(cache: WatchCache) -> None:
    """Stamp and label of ours, and nobody who controls it; with another controller it is nobody's orphan."""
    orphan = child(5)
    orphan["metadata"] |= {
        "ownerReferences": [],
        "labels": {"retail.mlops/model": "grocery"},
        "annotations": {"retail.mlops/applied": "abc"},
    }
    assert cache.put(SERVICE, orphan)
    assert versions(cache) == {("Service", "grocery"): "5"}
    assert owner_of(orphan) == REF
    taken = child(6)
    taken["metadata"] |= {**orphan["metadata"], "resourceVersion": "6"}
    taken["metadata"]["ownerReferences"] = [{"kind": "ConfigMap", "name": "x", "uid": "y", "controller": True}]
    cache.put(SERVICE, taken)
    assert versions(cache) == {}
    assert owner_of(taken) is None
