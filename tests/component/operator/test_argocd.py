"""What Argo CD makes of a model: its own Lua, run on resources that the operator wrote."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from argocd_scripts import ACTIONS, DISCOVERY, HEALTH, SCRIPTS, ScriptError, run_script
from world import GOOD, REF, World

from psm_operator.adapters.memory_cluster import CRASHING, KIND, STARTING
from psm_operator.api.conditions import ConditionType
from psm_operator.values import Approval, Manifest

pytestmark = pytest.mark.component  # a Go program, built in seconds


def health(world: World) -> tuple[str, str]:
    """Argo CD's word for the model, and its message."""
    found = run_script(HEALTH, resource(world))
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


async def test_a_rejected_newest_version_is_healthy_and_told(world: World) -> None:
    """Git is innocent: a later sync wave must not wait for the model registry."""
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.60")
    await world.pass_time(60)
    status, message = health(world)
    assert status == "Healthy"
    assert "2 rejected" in message


async def test_a_version_that_waits_for_the_registry_holds_nothing_up(world: World) -> None:
    """Its metrics cannot be read, which may last for days; what Git asks for is served."""
    world.register(metrics={**GOOD, "accuracy": "n/a"})
    await world.pass_time(600, step_s=15)
    assert world.serving == 1
    assert health(world)[0] == "Healthy"


async def test_a_version_that_git_pins_and_that_cannot_be_had_is_degraded(world: World) -> None:
    world.register()
    world.cluster.outcomes[2] = CRASHING
    world.create(version={"pin": 2})
    await world.pass_time(600, step_s=15)
    assert world.serving == 1
    assert health(world)[0] == "Degraded"


async def test_a_revoked_version_without_a_way_back_is_healthy_and_told(world: World) -> None:
    world.approve(1, Approval.REJECTED)
    await world.pass_time(60)
    status, message = health(world)
    assert status == "Healthy"
    assert "approval" in message


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
        ConditionType.AVAILABLE,
        ConditionType.METRICS_HEALTHY,
        ConditionType.MONITORING_READY,
    }


def offered(resource: Manifest) -> dict[str, bool]:
    """Action -> whether Argo CD lets people press it."""
    found = run_script(DISCOVERY, resource)
    return {name: not (isinstance(settings, dict) and settings.get("disabled")) for name, settings in found.items()}


async def press(world: World, name: str) -> None:
    """A person presses an action's button."""
    changed = run_script(ACTIONS[name], resource(world))
    world.annotate(changed["metadata"]["annotations"])
    await world.converge()


async def test_the_rollback_and_retry_actions_do_what_they_say(world: World) -> None:
    world.register()
    await world.pass_time(90)
    assert world.serving == 2
    assert offered(resource(world)) == {"look-now": True, "rollback": True, "retry": False}
    await press(world, "rollback")
    assert world.serving == 1
    assert offered(resource(world)) == {"look-now": True, "rollback": True, "retry": True}
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
    assert not offered(resource(world))["rollback"]


def live_state(name: str) -> Manifest:
    """A live state that Argo CD could meet."""
    found: Manifest = yaml.safe_load((SCRIPTS / "actions" / name).read_text(encoding="utf-8"))
    return found


STATES = sorted(path.stem for path in (SCRIPTS / "testdata").glob("*.yaml"))
HEALTH_TESTS = yaml.safe_load((SCRIPTS / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
ACTION_TESTS = yaml.safe_load((SCRIPTS / "actions/action_test.yaml").read_text(encoding="utf-8"))


def test_every_live_state_has_a_health() -> None:
    assert [Path(test["inputPath"]).stem for test in HEALTH_TESTS] != []
    assert {Path(test["inputPath"]).stem for test in HEALTH_TESTS} == set(STATES)


@pytest.mark.parametrize("test", HEALTH_TESTS, ids=lambda test: Path(test["inputPath"]).stem)
def test_the_health_of_a_live_state_is_as_stated(test: Manifest) -> None:
    assert run_script(HEALTH, live_state(f"../{test['inputPath']}")) == test["healthStatus"]


@pytest.mark.parametrize("test", ACTION_TESTS["discoveryTests"], ids=lambda test: Path(test["inputPath"]).stem)
def test_the_actions_of_a_live_state_are_as_stated(test: Manifest) -> None:
    assert offered(live_state(test["inputPath"])) == {entry["name"]: not entry["disabled"] for entry in test["result"]}


@pytest.mark.parametrize("test", ACTION_TESTS["actionTests"], ids=lambda test: test["action"])
def test_an_action_changes_what_is_stated(test: Manifest) -> None:
    changed = run_script(ACTIONS[test["action"]], live_state(test["inputPath"]))
    assert changed["metadata"] == live_state(test["expectedOutputPath"])["metadata"]


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_an_action_annotates_or_says_why_not(state: str, name: str) -> None:
    """The command line runs an action also where its button is greyed out; nothing else of the resource changes."""
    before = live_state(f"../testdata/{state}.yaml")
    if not offered(before)[name]:
        with pytest.raises(ScriptError, match=r"nothing|change it in Git"):
            run_script(ACTIONS[name], before)
        return
    after = run_script(ACTIONS[name], before)
    annotations = after["metadata"].pop("annotations")
    assert {key: value for key, value in annotations.items() if key.startswith("retail.mlops/")}
    before["metadata"].pop("annotations", None)
    assert after["metadata"] == before["metadata"]


def test_a_moment_is_the_clock_in_utc() -> None:
    changed = run_script(ACTIONS["rollback"], live_state("../testdata/healthy.yaml"))
    served, _, at = changed["metadata"]["annotations"]["retail.mlops/rollback"].partition("@")
    assert served == "1"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()) < 60  # noqa: TID251  # the program's own clock


@pytest.mark.parametrize("script", ["return {string.format('%d', 1)}", "return {os.date()}", "return {io.open('x')}"])
def test_the_machine_lacks_what_argo_cd_lacks(script: str) -> None:
    with pytest.raises(ScriptError, match="attempt to index"):
        run_script(script, {})
