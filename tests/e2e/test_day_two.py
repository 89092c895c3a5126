"""What people, autoscalers and crashes do to models that serve, on a real node.

Every model is started at once by `cast`; each test then changes its own.
"""

import json
from collections import Counter
from dataclasses import dataclass

import pytest
from e2e_lab import CLOSE_LIMIT_S, START_LIMIT_S, Json, Lab, Model, Status, condition
from fault_record import FaultRecord

from psm_local.demo.stage import OPERATOR_NAMESPACE
from psm_local.demo.waiting import wait_until
from psm_local.errors import LocalError

pytestmark = pytest.mark.e2e

NAMESPACE = "day-two"
UNVERIFIED = {"minReadySeconds": 0, "soak": "5s", "verification": {"enabled": False}}
CALM = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "10"}}}
NEVER_SMALLER = {
    "minReplicas": 2,
    "maxReplicas": 4,
    "metrics": [CALM],
    "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
}
"""An autoscaler that never acts by itself: what changes the size in a test is the test, or a bug."""


@dataclass(frozen=True)
class Conflict:
    """What was there while a Service of somebody else stood in the way; it is gone by now."""

    made: Json
    found: Json
    others: list[str]
    status: Status


@dataclass(frozen=True)
class Cast:
    """Every model of this module: all serve version 1, `conflicting` a little later."""

    lab: Lab
    conflicting: Model
    conflict: Conflict
    suspended: Model
    pinned: Model
    exposed: Model
    fixed: Model
    scaled: Model
    interrupted: Model


@pytest.fixture(scope="module")
def cast(lab: Lab) -> Cast:
    """Start everything; return once it serves."""
    lab.namespace(NAMESPACE)
    names = ("suspended", "pinned", "exposed", "fixed", "scaled", "interrupted")
    conflicting = lab.model(NAMESPACE, "conflicting")
    conflict = _conflict(lab, conflicting)
    made = Cast(lab, conflicting, conflict, **{name: lab.model(NAMESPACE, name) for name in names})
    for model in (made.exposed, made.fixed, made.scaled):
        lab.offer(model)
    for model in (made.suspended, made.interrupted):
        lab.offer(model, second="PendingManualApproval")
    lab.offer(made.pinned, second="Approved")
    made.interrupted.create(replicas=3)
    made.scaled.create(replicas=None, autoscaling=NEVER_SMALLER, rollout=UNVERIFIED)
    made.pinned.create(version={"pin": 1}, rollout=UNVERIFIED)
    for model in (made.suspended, made.exposed, made.fixed):
        model.create(rollout=UNVERIFIED)
    for model in (made.suspended, made.pinned, made.exposed, made.fixed, made.scaled, made.interrupted):
        model.wait_serving(1)
    return made


def _conflict(lab: Lab, model: Model) -> Conflict:
    """A Service of somebody else, then a model of its name, then no Service."""
    lab.offer(model)
    model.kubectl("create", "service", "clusterip", model.name, "--tcp=80:8080")
    made = model.get("service")
    model.create(rollout=UNVERIFIED)
    status = model.wait("the conflict to be told", lambda s: condition(s, "Stalled")[1] == "AdoptionConflict")
    others = [kind for kind in ("deployment", "serviceaccount", "ingress", "networkpolicy") if model.find(kind)]
    conflict = Conflict(made, model.get("service"), others, status)
    model.kubectl("delete", "service", model.name)
    return conflict


def version_on(deployment: Json) -> str:
    """The version that a Deployment's pods are of."""
    return str(deployment["spec"]["template"]["metadata"]["labels"]["retail.mlops/version"])


# --- people ----------------------------------------------------------------------------------------------------------


def test_a_suspended_model_is_watched_and_not_touched(cast: Cast) -> None:
    """A new version is noticed and a deleted child is not replaced until spec.suspend is false again."""
    model = cast.suspended
    model.patch(suspend=True)
    model.wait("the phase to be Suspended", lambda s: s.get("phase") == "Suspended")
    model.kubectl("delete", "poddisruptionbudget", model.name)
    cast.lab.registry.approve(model.name, 2)
    model.look_now()
    status = model.wait("version 2 to be noticed", lambda s: s["desired"]["version"] == 2)
    assert "suspended: nothing is changed until spec.suspend is false" in status["message"]
    assert (status["current"]["version"], "candidate" in status) == (1, False)
    assert condition(status, "Ready")[0] == "True"
    assert version_on(model.get("deployment")) == "1"
    assert model.find("poddisruptionbudget") is None
    model.patch(suspend=False)
    model.wait_serving(2)
    assert model.find("poddisruptionbudget") is not None


def test_a_pin_holds_and_a_pin_to_nothing_is_said(cast: Cast) -> None:
    """Version 1 serves although 2 is approved; a version that is not there stalls and changes nothing; then the policy."""
    model = cast.pinned
    assert condition(model.status, "VersionResolved") == ("True", "Pinned", "pinned to version 1")
    model.patch(version={"pin": 7})
    message = model.wait_condition("Stalled", "True", "VersionNotFound")
    assert message == "spec.version.pin is 7, which is not in group pinned; pin a version that exists"
    assert condition(model.status, "Ready")[0] == "True"
    assert version_on(model.get("deployment")) == "1"
    model.patch(version={"pin": None, "policy": "LatestApproved"})
    model.wait_serving(2)


def test_an_ingress_that_is_switched_off_goes(cast: Cast) -> None:
    """It is removed, requests get no answer there any more, and the status names the Service instead."""
    model = cast.exposed
    assert model.ask("/readyz").status_code == 200
    assert model.status["url"] == f"http://{model.host}/"
    model.patch(networking={"ingress": None})
    status = model.wait("the Service as its address", lambda s: s["url"] == f"http://{model.name}.{NAMESPACE}.svc")
    assert model.find("ingress") is None
    assert condition(status, "Ready")[0] == "True"

    def missing() -> str | None:
        code = model.ask("/readyz").status_code
        return None if code == 404 else f"HTTP {code}"

    wait_until("the ingress controller to forget it", missing, limit_s=CLOSE_LIMIT_S)


def test_a_size_set_by_hand_is_put_right_where_the_spec_names_one(cast: Cast) -> None:
    """`kubectl scale` is drift where there is no autoscaler; the Event says what was found."""
    model = cast.fixed
    model.kubectl("scale", "deployment", model.name, "--replicas=2")

    def missing() -> str | None:
        replicas = model.get("deployment")["spec"]["replicas"]
        return None if replicas == 1 else f"there are {replicas}"

    wait_until("one replica", missing, limit_s=CLOSE_LIMIT_S)
    model.the_event("Repaired", "Deployment fixed: spec.replicas is 2, want 1")


def test_a_service_of_somebody_else_is_refused_and_left_alone(cast: Cast) -> None:
    """It hinders no other child; once it is gone, the model's own is made."""
    model, before = cast.conflicting, cast.conflict
    message = (
        "Service/conflicting exists and is not ours: it does not bear retail.mlops/applied; choose another name for this "
        "model, or, if it is meant to be this model's, hand it over: "
        f"kubectl -n {model.namespace} annotate service conflicting retail.mlops/applied=handed-over"
    )
    assert condition(before.status, "Stalled") == ("True", "AdoptionConflict", message)
    assert before.found == before.made
    assert before.others == ["deployment", "serviceaccount", "ingress", "networkpolicy"]
    assert model.the_event("AdoptionConflict", message)["type"] == "Warning"
    status = model.wait_serving(1)
    assert condition(status, "Stalled") == ("", "", "")
    assert model.get("service")["metadata"]["ownerReferences"][0]["name"] == model.name


# --- the autoscaler --------------------------------------------------------------------------------------------------


def test_a_change_of_the_spec_leaves_the_size_to_the_autoscaler(cast: Cast) -> None:
    """Neither when the operator lets go of `replicas`, nor later, does anybody write another size in between."""
    model = cast.scaled
    _change_history_limit(model, 3, expected_replicas=2)
    model.kubectl("scale", "deployment", model.name, "--replicas=3")
    _change_history_limit(model, 4, expected_replicas=3)


def _change_history_limit(model: Model, limit: int, *, expected_replicas: int) -> None:
    """Change what reaches the Deployment but not its pods; its generation counts the writes that changed anything."""
    before = model.get("deployment")
    model.patch(revisionHistoryLimit=limit)

    def missing() -> str | None:
        now = model.get("deployment")["spec"]["revisionHistoryLimit"]
        return None if now == limit else f"revisionHistoryLimit is {now}"

    wait_until("the Deployment to follow the spec", missing, limit_s=CLOSE_LIMIT_S)
    after = model.get("deployment")
    assert after["spec"]["replicas"] == before["spec"]["replicas"] == expected_replicas
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1


# --- the node ----------------------------------------------------------------------------------------------------


def test_a_drained_node_takes_one_replica_and_no_answer(cast: Cast, fault_record: FaultRecord) -> None:
    """The budget lets one pod of the only node go, whose successor has nowhere to run; the others answer every request."""
    model, kubectl = cast.scaled, cast.lab.cluster.kubectl
    node = kubectl("get", "nodes", "-o=name").removeprefix("node/").strip()
    selector = f"retail.mlops/model={model.name}"
    before = {pod["metadata"]["name"] for pod in model.pods()}
    load = model.load(cast.lab.basket)
    load.start()
    try:
        with pytest.raises(LocalError, match="drain"):
            kubectl("drain", node, "--delete-emptydir-data", f"--pod-selector={selector}", "--timeout=20s")
    finally:
        kubectl("uncordon", node)
    status = model.wait("every replica to be back", lambda s: s.get("readyReplicas") == len(before))
    counted = load.stop()
    evicted = before - {pod["metadata"]["name"] for pod in model.pods()}
    assert (len(evicted), counted.failed, status["current"]["version"]) == (1, 0, 1)
    assert counted.requests > 50
    fault_record.add("a real node is drained under load", survived=1, lost=counted.failed)


# --- a crash ---------------------------------------------------------------------------------------------------------


def test_an_operator_that_is_killed_mid_rollout_goes_on_where_it_was(cast: Cast) -> None:
    """The next process takes the lease, finishes the rollout and tells nothing twice."""
    model, lab = cast.interrupted, cast.lab
    lab.registry.approve(model.name, 2)
    model.look_now()
    model.wait("the rollout", lambda s: s.get("candidate", {}).get("stage") == "Progressing", limit_s=START_LIMIT_S)
    killed = _operator_container(lab)
    _kill(lab, killed["containerID"].removeprefix("containerd://"))
    status = model.wait_serving(2)
    assert _operator_container(lab)["restartCount"] == killed["restartCount"] + 1
    assert [entry["version"] for entry in status["history"]] == [2, 1]
    assert status.get("rejected", []) == []
    model.the_event("Promoted", "version 2 finished its soak")
    told = Counter((event["reason"], event["note"]) for event in model.events())
    assert [what for what, count in told.items() if count > 1] == []
    assert len({event["reportingInstance"] for event in model.events()}) == 2


def _operator_container(lab: Lab) -> Json:
    """The status of the operator's container."""
    [pod] = json.loads(lab.cluster.kubectl("get", "pods", "-n", OPERATOR_NAMESPACE, "-o=json"))["items"]
    found: Json = pod["status"]["containerStatuses"][0]
    return found


def _kill(lab: Lab, container: str) -> None:
    """SIGKILL, as the kernel does when memory is out: nobody gets to say goodbye or to release the lease."""
    socket = lab.cluster.run_dir / "node" / "containerd.sock"
    ctr = ["ctr", "--address", str(socket), "--namespace", "k8s.io"]
    lab.cluster.exec_in_node([*ctr, "tasks", "kill", "--signal", "SIGKILL", container])
