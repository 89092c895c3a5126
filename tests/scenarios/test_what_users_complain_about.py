"""What users of operators like this one complain about, each complaint a test that would fail if it were true of ours.

The number is of the thread in which it was said first. Complaints that only a real cluster can show have their tests there, under
the same names: `grep -rn 'complaint' tests`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from world import GOOD, GROUP, REF, World

from psm_operator.adapters.memory_cluster import CRASHING, KIND, STARTING
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.crd import crd
from psm_operator.errors import Retryable
from psm_operator.values import Approval, Manifest


@pytest.fixture
async def world() -> World:
    """Version 1 is stable and serves."""
    made = World()
    made.register()
    await made.serve()
    return made


async def rolled_back(world: World) -> None:
    """Version 2 came, regressed and went."""
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.60")
    await world.pass_time(60)
    assert world.serving == 1


@pytest.mark.parametrize("event", ["a restart", "an unrelated edit", "an edit of the package", "an hour", "an outage"])
async def test_complaint_argo_rollouts_2929_an_aborted_version_is_retried_by_itself(world: World, event: str) -> None:
    await rolled_back(world)
    world.measure(2, accuracy="0.90")
    match event:
        case "a restart":
            world.restart()
        case "an unrelated edit":
            world.create(disruption={"maxUnavailable": 2})
        case "an edit of the package":
            world.registry.update(GROUP, 2)
        case "an outage":
            world.registry.fault = Retryable("away", reason=Reason.REGISTRY_UNAVAILABLE)
            await world.pass_time(60)
            world.registry.fault = None
    await world.pass_time(3600, step_s=60)
    assert world.serving == 1


async def test_complaint_flux2_4676_newest_wins_pushes_the_bad_version_again(world: World) -> None:
    """The newest is rejected: the newest that is not is served, and a still newer one is taken."""
    await rolled_back(world)
    await world.pass_time(600, step_s=60)
    assert (world.serving, world.status.desired and world.status.desired.version) == (1, 2)
    world.register()
    await world.pass_time(60)
    assert world.serving == 3


async def test_complaint_flagger_1035_no_metric_is_counted_as_failure(world: World) -> None:
    world.register()
    await world.pass_time(90)
    world.measure(2, accuracy="")
    await world.pass_time(3600, step_s=60)
    assert world.serving == 2
    assert world.status.rejected == ()


async def test_complaint_flagger_1581_a_mistyped_metric_name_passes(world: World) -> None:
    world.create(analysis={"metrics": [{"name": "acuracy", "threshold": {"min": "0.75"}}]})
    world.register()
    await world.pass_time(600, step_s=60)
    assert world.serving == 1, "what was never judged is not promoted"
    healthy = world.condition(ConditionType.METRICS_HEALTHY)
    assert healthy is not None
    assert healthy.status is ConditionStatus.UNKNOWN
    assert "'acuracy' (it has: accuracy" in healthy.message


@pytest.mark.parametrize("fault", ["its artifact is gone", "its digest is another", "its approval is gone"])
async def test_complaint_flagger_1931_traffic_moves_back_to_an_unhealthy_target(world: World, fault: str) -> None:
    world.register()
    await world.pass_time(90)
    package = world.registry.package(GROUP, 1)
    match fault:
        case "its artifact is gone":
            world.artifacts.remove(package.model_data_url)
        case "its digest is another":
            world.artifacts.put(package.model_data_url, "0" * 64)
        case "its approval is gone":
            world.approve(1, Approval.REJECTED)
    world.measure(2, accuracy="0.60")
    await world.pass_time(120)
    assert world.serving == 2
    assert world.phase == "Blocked"


async def test_complaint_kuberay_4601_the_old_pods_go_before_the_new_ones_answer(world: World) -> None:
    """A target whose pods do not come up takes nothing from the pods that answer."""
    world.register()
    await world.pass_time(90)
    world.cluster.outcomes[1] = STARTING
    world.measure(2, accuracy="0.60")
    await world.pass_time(120)
    deployment = world.cluster.get("Deployment", REF)
    assert deployment is not None
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert deployment["status"]["availableReplicas"] == deployment["spec"]["replicas"]
    assert world.phase == "RollingBack"


async def test_complaint_kserve_1859_ready_is_true_while_pods_crash_loop(world: World) -> None:
    world.cluster.outcomes[1] = CRASHING
    world.cluster.settle()
    await world.converge()
    ready = world.condition(ConditionType.READY)
    assert ready is not None
    assert ready.status is ConditionStatus.FALSE
    assert "CrashLoopBackOff" in ready.message
    assert world.phase == "Degraded"


async def test_complaint_kuberay_4784_spec_changes_are_dropped_during_a_rollback(world: World) -> None:
    world.register()
    await world.pass_time(90)
    world.cluster.outcomes[1] = STARTING
    world.measure(2, accuracy="0.60")
    await world.pass_time(60)
    assert world.phase == "RollingBack"
    world.create(predictor={"env": [{"name": "PSM_LOG_LEVEL", "value": "DEBUG"}]}, disruption={"maxUnavailable": 2})
    await world.converge()
    assert (world.phase, world.serving) == ("RollingBack", 1)
    budget, deployment = world.cluster.get("PodDisruptionBudget", REF), world.cluster.get("Deployment", REF)
    assert budget is not None
    assert deployment is not None
    assert budget["spec"]["maxUnavailable"] == 2
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "PSM_LOG_LEVEL", "value": "DEBUG"} in env


async def test_complaint_kserve_2269_an_update_resets_the_replicas_of_the_autoscaler(world: World) -> None:
    world.cluster.edit("Deployment", REF, lambda live: live["spec"].update(replicas=7))
    await world.converge()
    world.register()
    await world.pass_time(90)
    assert (world.serving, world.replicas) == (2, 7)
    world.create(rollout={"minReadySeconds": 9})
    await world.converge()
    assert world.replicas == 7


async def test_complaint_kserve_2232_the_operator_writes_the_spec_and_is_out_of_sync_for_ever(world: World) -> None:
    def written() -> Manifest:
        model = world.cluster.get(KIND, REF)
        assert model is not None
        kept = {name: value for name, value in model["metadata"].items() if name != "resourceVersion"}
        return {"metadata": kept, "spec": model["spec"]}

    before = written()
    await rolled_back(world)
    await world.pass_time(3600, step_s=300)
    assert written() == before


def lists(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema of a list item."""
    if "items" in node:
        yield node["items"]
    for child in (*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")):
        if isinstance(child, dict):
            yield from lists(child)


def defaults(node: Any) -> Iterator[Any]:
    """Every default below a node."""
    if isinstance(node, dict):
        yield from [node["default"]] if "default" in node and "type" in node else []
        for child in node.values():
            yield from defaults(child)


def test_complaint_argo_cd_28731_a_default_inside_a_list_item_is_a_difference_for_ever() -> None:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    items = list(lists(schema))
    assert len(items) > 10
    assert [default for item in items for default in defaults(item)] == []


async def test_complaint_argo_rollouts_3080_the_object_has_been_modified_is_the_end_until_a_restart(
    world: World,
) -> None:
    """Somebody writes the resource and the Deployment in the middle of each pass, for a while: then all is as it should be."""
    world.register()
    left = [6]

    def meddle(method: str) -> None:
        if method in {"write_status", "apply"} and left[0]:
            left[0] -= 1
            kind = KIND if method == "write_status" else "Deployment"
            world.cluster.edit(kind, REF, lambda it: it["metadata"].update(labels={"somebody": str(left[0])}))

    world.cluster.before_call = meddle
    world.polls.poll()
    refused = 0
    for _ in range(20):
        await world.once()
        refused += isinstance(world.last_error, Retryable)
        world.cluster.settle()
    assert refused > 2
    assert world.serving == 2
    assert world.condition(ConditionType.STALLED) is None


async def test_complaint_tuist_13211_a_suspended_object_never_reports(world: World) -> None:
    """`kubectl wait` must end: the generation is observed, the conditions speak of it, and pods are looked at."""
    world.create(suspend=True)
    await world.converge()
    model = world.cluster.get(KIND, REF)
    assert model is not None
    assert world.status.observed_generation == model["metadata"]["generation"]
    ready = world.condition(ConditionType.READY)
    assert ready is not None
    assert (ready.status, ready.observed_generation) == (ConditionStatus.TRUE, model["metadata"]["generation"])
    world.cluster.outcomes[1] = CRASHING
    world.cluster.settle()
    await world.converge()
    ready = world.condition(ConditionType.READY)
    assert ready is not None
    assert ready.status is ConditionStatus.FALSE


@pytest.mark.parametrize("method", ["write_status", "apply", "children", "delete", "record"])
async def test_complaint_dask_kubernetes_810_a_vanished_object_is_retried_for_ever(world: World, method: str) -> None:
    """Whenever it goes, the pass after knows nothing of it any more and asks for no further one."""
    world.register(metrics={**GOOD, "accuracy": "0.79"})

    def vanish(called: str) -> None:
        if called == method:
            world.cluster.remove(KIND, REF)

    world.cluster.before_call = vanish
    world.polls.poll()
    for _ in range(4):
        await world.once()
        world.cluster.settle()
    world.cluster.before_call = lambda _: None
    world.cluster.remove(KIND, REF)
    result = await world.once()
    assert (world.last_error, result and result.requeue_after_s) == (None, None)
    assert world.polls.interests == {}
    assert REF in world.telemetry.forgotten
