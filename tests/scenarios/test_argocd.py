"""What Argo CD makes of a model: its own Lua, run on resources that the operator wrote."""

from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml
from world import REF, World

from psm_operator.adapters.memory_cluster import CRASHING, KIND, STARTING
from psm_operator.api.conditions import ConditionType
from psm_operator.values import Approval, Manifest

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "integrations/argocd-cm.yaml").read_text())["data"]
HEALTH = CONFIG["resource.customizations.health.retail.mlops_PriceSensitivityModel"]
ACTIONS = yaml.safe_load(CONFIG["resource.customizations.actions.retail.mlops_PriceSensitivityModel"])


def run(script: str, resource: Manifest) -> Any:
    """Run a script of Argo CD's on a resource."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from(resource, recursive=True)
    return to_python(lua.execute(script))


def to_python(value: Any) -> Any:
    """Lua tables as dicts."""
    return {key: to_python(item) for key, item in value.items()} if lupa.lua_type(value) == "table" else value


def health(world: World) -> tuple[str, str]:
    """Argo CD's word for the model, and its message."""
    found = run(HEALTH, resource(world))
    return found["status"], found["message"]


def resource(world: World) -> Manifest:
    """The model as the API server has it."""
    model = world.cluster.get(KIND, REF)
    assert model is not None
    return model


@pytest.fixture
async def world() -> World:
    """Version 1 is stable and serves."""
    made = World()
    made.register()
    await made.serve()
    return made


async def test_a_model_that_serves_what_it_should_is_healthy(world: World) -> None:
    assert health(world) == ("Healthy", "serving 1")


async def test_a_generation_that_was_not_looked_at_is_progressing(world: World) -> None:
    world.create(disruption={"maxUnavailable": 2})
    assert health(world)[0] == "Progressing"
    await world.converge()
    assert health(world)[0] == "Healthy"


async def test_a_new_resource_is_progressing() -> None:
    world = World()
    world.create()
    assert health(world)[0] == "Progressing"


async def test_a_roll_out_is_progressing(world: World) -> None:
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)
    assert health(world)[0] == "Progressing"


async def test_a_rejected_newest_version_is_a_degraded_release_of_healthy_pods(world: World) -> None:
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.60")
    await world.pass_time(60)
    status, message = health(world)
    assert status == "Degraded"
    assert "version 2 rejected" in message


async def test_what_only_a_person_can_end_is_degraded_also_when_suspended(world: World) -> None:
    world.approve(1, Approval.REJECTED)
    await world.pass_time(60)
    assert health(world)[0] == "Degraded"


async def test_a_suspended_model_is_suspended(world: World) -> None:
    world.create(suspend=True)
    await world.converge()
    assert health(world)[0] == "Suspended"


async def test_pods_that_crash_are_degraded_or_on_their_way(world: World) -> None:
    world.cluster.outcomes[1] = CRASHING
    world.cluster.settle()
    await world.converge()
    assert health(world)[0] in {"Degraded", "Progressing"}


async def test_off_hours_are_healthy() -> None:
    world = World()
    world.register()
    await world.serve(schedule={"timezone": "UTC", "offHours": [{"start": "00:30", "end": "20:00"}]})
    await world.pass_time(3600, step_s=600)
    assert world.replicas == 0
    assert health(world)[0] == "Healthy"


def test_complaint_kserve_4791_a_new_condition_type_breaks_the_health_check() -> None:
    """The types that the script does not look at are known; a new one has to be placed here on purpose."""
    read = {kind for kind in ConditionType if f"{kind.value}" in HEALTH}
    assert set(ConditionType) - read == {
        ConditionType.VERSION_RESOLVED,
        ConditionType.AVAILABLE,
        ConditionType.METRICS_HEALTHY,
        ConditionType.MONITORING_READY,
    }


def action(name: str) -> str:
    """The script of an action."""
    (script,) = (entry["action.lua"] for entry in ACTIONS["definitions"] if entry["name"] == name)
    return str(script)


def offered(world: World) -> dict[str, bool]:
    """Action -> whether Argo CD lets people press it."""
    found = run(ACTIONS["discovery.lua"], resource(world))
    return {name: not (settings or {}).get("disabled", False) for name, settings in found.items()}


async def press(world: World, name: str) -> None:
    """A person presses an action's button."""
    changed = run(action(name), resource(world))
    world.annotate(changed["metadata"]["annotations"])
    await world.converge()


async def test_the_rollback_and_retry_actions_do_what_they_say(world: World) -> None:
    world.register()
    await world.pass_time(90)
    assert world.serving == 2
    assert offered(world) == {"look-now": True, "rollback": True, "retry": False}
    await press(world, "rollback")
    assert world.serving == 1
    assert offered(world) == {"look-now": True, "rollback": True, "retry": True}
    await world.pass_time(120)
    await press(world, "retry")
    await world.pass_time(60)
    assert world.serving == 2


async def test_the_look_now_action_is_echoed(world: World) -> None:
    await press(world, "look-now")
    assert world.status.last_handled_reconcile_at is not None


async def test_a_pin_disables_the_rollback_action(world: World) -> None:
    world.create(version={"pin": 1})
    await world.converge()
    assert not offered(world)["rollback"]
