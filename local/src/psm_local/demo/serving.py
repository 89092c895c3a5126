"""The steps in which the model serves: ready, asked, rolled out, rolled back, repaired, scaled, deleted."""

import json
from typing import Any

import httpx

from psm_local.demo import registry
from psm_local.demo.load import Load
from psm_local.demo.stage import HOST, MODEL, NAMESPACE, Stage
from psm_local.demo.waiting import wait_until
from psm_local.errors import LocalError

STEADY_RATE_PER_S = 40.0
ROLLOUT_LIMIT_S = 240.0
ROLLBACK_LIMIT_S = 180.0
SCALE_LIMIT_S = 180.0
_EXPLAINED_TO = 1e-5
_ANSWER_LIMIT_S = 30  # the first explanation of a pod loads LightGBM, on a quarter of a core
BATCH = 16
"""Baskets in one request of the load that must make the autoscaler act; more do not fit into one write of the ingress
controller, which may cut such an answer short when its configuration changes (docs/local.md)."""

CHILDREN = (
    "deployment",
    "replicaset",
    "pod",
    "service",
    "serviceaccount",
    "horizontalpodautoscaler",
    "poddisruptionbudget",
    "ingress",
    "networkpolicy",
)


def becomes_ready(stage: Stage) -> str:
    """READY is True, VERSION is 1, the metrics are shown."""
    stage.wait_for_status(
        "version 1 to be ready", lambda s: _is_serving(s, 1) and _is_ready(s), limit_s=ROLLOUT_LIMIT_S
    )
    columns = stage.cluster.kubectl("get", "models", "-n", NAMESPACE)
    row = dict(zip(*(line.split() for line in columns.splitlines()[:2]), strict=False))
    if row.get("READY") != "True" or row.get("VERSION") != "1" or not row.get("ACCURACY", "").startswith("0."):
        raise LocalError(f"kubectl get models shows {row}")
    return f"\n{columns}"


def predicts(stage: Stage) -> str:
    """One real basket, as till lines, gets a class and its probabilities."""
    answer = _first_answer(stage)
    found = answer.json()
    if found["model_version"] != 1 or set(found["probabilities"]) != {"LA", "MM", "UM"}:
        raise LocalError(f"not the answer of version 1: {found}")
    return f"POST /predict -> {answer.text}\n{_reason(stage)}"


def _reason(stage: Stage) -> str:
    """What moved the answer most, as `?explain=true` tells it; the contributions must make up the probabilities."""
    answer = ask(stage, registry.basket(stage), "/predict?explain=true")
    if answer.status_code != httpx.codes.OK:
        raise LocalError(f"no explanation: HTTP {answer.status_code}: {answer.text[:200]}")
    found = answer.json()
    why = found["explanation"]
    for label, probability in found["probabilities"].items():
        told = why["base"][label] + sum(feature["contributions"][label] for feature in why["features"])
        if abs(told - probability) > _EXPLAINED_TO:
            raise LocalError(f"base and contributions of {label} sum to {told}, the probability is {probability}")
    most = why["features"][0]
    return f"because of {most['name']} = {most['value']} ({most['contributions'][found['label']]:+.2f}) and others"


def _first_answer(stage: Stage) -> httpx.Response:
    """The first prediction that comes through the Ingress; its controller learns of ready pods a little later."""
    answer = httpx.Response(503)

    def missing() -> str | None:
        nonlocal answer
        answer = ask(stage, registry.basket(stage))
        return None if answer.status_code == httpx.codes.OK else f"HTTP {answer.status_code}: {answer.text[:200]}"

    wait_until("a prediction through the Ingress", missing, limit_s=30)
    return answer


def ask(stage: Stage, body: bytes, path: str = "/predict") -> httpx.Response:
    """Send one request through the Ingress."""
    headers = {"Host": HOST, "Content-Type": "application/json"}
    return httpx.post(
        f"{stage.cluster.ingress_url}{path}", content=body, headers=headers, timeout=_ANSWER_LIMIT_S, trust_env=False
    )


def rolls_out_under_load(stage: Stage) -> str:
    """Version 2 takes over while requests go on; none of them fails."""
    stage.start_load(Load(stage.cluster.ingress_url, HOST, registry.basket(stage), rate_per_s=STEADY_RATE_PER_S))
    registry.approve(stage, 2)
    stage.wait_for_status("version 2 to serve", lambda s: _is_stable(s, 2), limit_s=ROLLOUT_LIMIT_S)
    return _no_request_failed(stage, 2)


def rolls_back_on_regression(stage: Stage) -> str:
    """Version 3 is good when it is approved and bad when it was measured; version 2 serves again and 3 is rejected."""
    registry.register_again(stage)
    registry.approve(stage, 3)
    stage.wait_for_status("version 3 to serve", lambda s: _is_serving(s, 3), limit_s=ROLLOUT_LIMIT_S)
    registry.measure(stage, 3, accuracy="0.71")
    status = stage.wait_for_status("version 2 to serve again", _went_back(3, 2), limit_s=ROLLBACK_LIMIT_S)
    rejection = next(entry for entry in status["rejected"] if entry["version"] == 3)  # noqa: PLR2004  # version 3
    return f"{_no_request_failed(stage, 2)}; rejected 3: {rejection['message']}; Event: {_event(stage, 'RollingBack')}"


def rolls_back_on_revocation(stage: Stage) -> str:
    """A person withdraws version 2's approval; version 1 serves again."""
    registry.reject(stage, 2)
    stage.wait_for_status("version 1 to serve again", _went_back(2, 1), limit_s=ROLLBACK_LIMIT_S)
    seen = _no_request_failed(stage, 1)
    count = stage.stop_load()
    return f"{seen}; {count.requests} requests since version 2 was approved"


def repairs_drift(stage: Stage) -> str:
    """Somebody deletes the Deployment and edits the autoscaler; both are as they were."""
    before = _child(stage, "deployment")["metadata"]["uid"]
    stage.cluster.kubectl("delete", "deployment", MODEL, "-n", NAMESPACE, "--wait=false")
    edit = json.dumps({"spec": {"maxReplicas": 99}})
    stage.cluster.kubectl("patch", "hpa", MODEL, "-n", NAMESPACE, "--type=merge", "-p", edit)

    def missing() -> str | None:
        found = stage.cluster.kubectl("get", "deployment", MODEL, "-n", NAMESPACE, "-o", "json", "--ignore-not-found")
        deployment = json.loads(found) if found else None
        if deployment is None or deployment["metadata"]["uid"] == before:
            return "the Deployment is not back"
        bound = _child(stage, "hpa")["spec"]["maxReplicas"]
        if bound == 99:  # noqa: PLR2004  # as edited above
            return "the autoscaler still has maxReplicas 99"
        return None if _is_ready(stage.status()) else "the model is not ready"

    wait_until("the children to be put right", missing, limit_s=ROLLOUT_LIMIT_S)
    _first_answer(stage)
    return f"both are as they were; Event: {_event(stage, 'Repaired')}"


def scales_out(stage: Stage) -> str:
    """Batches of baskets keep the pods busy until there are more of them."""
    before = stage.status()["replicas"]
    body = registry.batch(stage, BATCH)
    load = Load(stage.cluster.ingress_url, HOST, body, threads=4)
    stage.start_load(load)
    stage.wait_for_status("more replicas", lambda s: s.get("readyReplicas", 0) > before, limit_s=SCALE_LIMIT_S)
    count = stage.stop_load()
    if count.failed:
        raise LocalError(f"{count.failed} of {count.requests} requests failed: {dict(load.failures)}")
    return f"{before} -> {stage.status()['replicas']} replicas under {count.requests} requests of {BATCH} baskets, none failed"


def leaves_nothing(stage: Stage) -> str:
    """The owner references take every child with the model."""
    stage.cluster.kubectl("delete", "pricesensitivitymodel", MODEL, "-n", NAMESPACE)
    kinds = ",".join(CHILDREN)

    def missing() -> str | None:
        left = stage.cluster.kubectl("get", kinds, "-n", NAMESPACE, "-l", f"retail.mlops/model={MODEL}", "-o", "name")
        return f"still there: {', '.join(left.split())}" if left.strip() else None

    wait_until("every child to go", missing, limit_s=90)
    return f"no {', '.join(CHILDREN)} of the model is left"


def _no_request_failed(stage: Stage, version: int) -> str:
    load = stage.load
    if load is None:
        raise LocalError("no load is running")
    seen_before = load.versions[version]
    wait_until(
        f"answers of version {version}",
        lambda: None if load.versions[version] > seen_before else f"answers so far: {dict(load.versions)}",
        limit_s=30,
    )
    if load.failures:
        raise LocalError(f"requests failed: {dict(load.failures)}; answers by version: {dict(load.versions)}")
    return f"answers by version {dict(sorted(load.versions.items()))}, none failed"


def _event(stage: Stage, reason: str) -> str:
    found = json.loads(stage.cluster.kubectl("get", "events", "-n", NAMESPACE, "-o", "json"))["items"]
    messages = [item["message"] for item in found if item["reason"] == reason]
    if not messages:
        raise LocalError(f"no Event with reason {reason}")
    return str(messages[-1])


def _child(stage: Stage, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.cluster.kubectl("get", kind, MODEL, "-n", NAMESPACE, "-o", "json"))
    return found


def _is_ready(status: Any) -> bool:
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return conditions.get("Ready") == "True" and conditions.get("Available") == "True"


def _is_serving(status: Any, version: int) -> bool:
    return bool((status.get("current") or {}).get("version") == version)


def _is_stable(status: Any, version: int) -> bool:
    return _is_serving(status, version) and bool((status.get("stable") or {}).get("version") == version)


def _went_back(failed: int, to: int) -> Any:
    def look(status: Any) -> bool:
        rollback = status.get("rollback") or {}
        is_finished = rollback.get("from") == failed and "finishedAt" in rollback
        is_rejected = any(entry["version"] == failed for entry in status.get("rejected", []))
        return is_finished and is_rejected and _is_serving(status, to)

    return look
