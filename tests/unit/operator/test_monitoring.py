"""Dashboard and alarms of a model, in memory: when they come, when they go, and what is never touched."""

import json
from typing import Any

import pytest
from world import REF, World

from psm_operator.adapters.memory_cluster import KIND
from psm_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from psm_operator.decide.monitoring import FINALIZER, wanted_monitoring
from psm_operator.decide.monitoring.model import MANAGED_BY_TAG, OWNER_TAG, MonitoringDefaults, Owner, Place, Wanted
from psm_operator.errors import Retryable
from psm_operator.values import Approval, ObjectRef

TOPIC = "arn:aws:sns:ap-southeast-1:123456789012:mlops-dev-alerts"
STEM = Owner(REF, "any", "psm").stem
ALARMS = [f"{STEM}-{what}" for what in ("accuracy", "error-rate", "p95-latency", "silent")]


def asked(**changes: Any) -> dict[str, Any]:
    """The part of a spec that asks for everything."""
    return {"monitoring": {"cloudWatch": {"enabled": True, "snsTopicARN": TOPIC, **changes}}}


@pytest.fixture
def world() -> World:
    made = World()
    made.cloudwatch.topics.add(TOPIC)
    made.register()
    return made


def finalizers(world: World) -> list[str]:
    model = world.cluster.get(KIND, REF)
    return [] if model is None else model["metadata"].get("finalizers") or []


def ready(world: World) -> Condition:
    condition = world.condition(ConditionType.MONITORING_READY)
    assert condition is not None
    return condition


async def test_a_model_that_never_asked_has_no_finalizer_and_costs_no_call(world: World) -> None:
    calls: list[str] = []
    world.cloudwatch.before_call = calls.append
    await world.serve()
    world.cluster.remove(KIND, REF)
    await world.converge()
    assert (calls, finalizers(world), world.condition(ConditionType.MONITORING_READY)) == ([], [], None)
    assert not any("finalizers" in write for write in world.cluster.writes)


async def test_a_model_that_asks_has_everything_and_a_finalizer(world: World) -> None:
    await world.serve(**asked())
    assert sorted(world.cloudwatch.alarms) == ALARMS
    assert list(world.cloudwatch.dashboards) == [STEM]
    assert finalizers(world) == [FINALIZER]
    assert (ready(world).status, ready(world).reason) == (ConditionStatus.TRUE, Reason.MONITORED)
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC] for alarm in world.cloudwatch.alarms.values())
    pod = (world.cluster.get("Deployment", REF) or {})["spec"]["template"]["spec"]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert (variables["PSM_EMF"], variables["PSM_MODEL_NAME"]) == ("1", f"psm/{REF}")


async def test_the_finalizer_is_there_before_the_first_write_and_goes_after_the_last(world: World) -> None:
    found: list[tuple[str, bool]] = []
    world.cloudwatch.before_call = lambda name: found.append((name, FINALIZER in finalizers(world)))
    await world.serve(**asked())
    world.cluster.remove(KIND, REF)
    await world.converge()
    assert found
    assert all(is_guarded for _, is_guarded in found)
    assert world.cluster.get(KIND, REF) is None
    assert world.cloudwatch.is_empty


@pytest.mark.parametrize(
    "change", [{}, {"monitoring": {"cloudWatch": {"enabled": False}}}], ids=["left out", "disabled"]
)
async def test_given_up_it_goes_with_its_finalizer_and_its_condition(world: World, change: dict[str, Any]) -> None:
    await world.serve(**asked())
    world.create(**change)
    await world.pass_time(30)
    assert (world.cloudwatch.is_empty, finalizers(world)) == (True, [])
    assert world.condition(ConditionType.MONITORING_READY) is None
    assert world.phase == "Ready"


async def test_what_is_at_rest_is_not_written_again(world: World) -> None:
    await world.serve(**asked())
    await world.pass_time(60)
    before = len(world.cloudwatch.writes)
    await world.pass_time(120)
    await world.keeper.keep(REF)
    world.restart()
    await world.pass_time(60)
    assert len(world.cloudwatch.writes) == before


async def test_what_somebody_changes_is_put_back(world: World) -> None:
    """A look every ten minutes: an alarm gone, another one changed, its tags lost, an own one more, the dashboard edited."""
    await world.serve(**asked())
    cloudwatch = world.cloudwatch
    wanted = dict(cloudwatch.alarms), dict(cloudwatch.tags), dict(cloudwatch.dashboards)
    del cloudwatch.alarms[ALARMS[0]]
    cloudwatch.alarms[ALARMS[1]] = {**cloudwatch.alarms[ALARMS[1]], "Threshold": 99.0}
    cloudwatch.tags[ALARMS[2]] = {OWNER_TAG: cloudwatch.tags[ALARMS[2]][OWNER_TAG]}
    cloudwatch.alarms[f"{STEM}-old"] = {"AlarmName": f"{STEM}-old"}
    cloudwatch.tags[f"{STEM}-old"] = dict(cloudwatch.tags[ALARMS[1]])
    body = json.loads(cloudwatch.dashboards[STEM])
    cloudwatch.dashboards[STEM] = json.dumps({**body, "widgets": body["widgets"][:2]})
    again = await world.keeper.keep(REF)
    assert (cloudwatch.alarms, cloudwatch.tags, cloudwatch.dashboards) == wanted
    assert again.requeue_after_s == 600


@pytest.mark.parametrize(
    ("tags", "whose"),
    [({}, "no tag OwnerUid"), ({OWNER_TAG: "another-uid"}, "with uid another-uid")],
    ids=["a person's", "another cluster's"],
)
async def test_a_strange_alarm_is_refused_and_survives(world: World, tags: dict[str, str], whose: str) -> None:
    """Everything else is kept all the same, and serving goes on."""
    strange = {"AlarmName": ALARMS[1], "Threshold": 42.0}
    world.cloudwatch.alarms[ALARMS[1]], world.cloudwatch.tags[ALARMS[1]] = strange, tags
    await world.serve(**asked())
    assert world.cloudwatch.alarms[ALARMS[1]] == strange
    assert sorted(world.cloudwatch.alarms) == ALARMS
    assert (ready(world).status, ready(world).reason) == (ConditionStatus.FALSE, Reason.ADOPTION_CONFLICT)
    assert whose in ready(world).message
    assert world.phase == "Ready"
    world.cluster.remove(KIND, REF)
    await world.converge()
    assert world.cloudwatch.alarms == {ALARMS[1]: strange}
    assert world.cluster.get(KIND, REF) is None


@pytest.mark.parametrize(
    "body", ["{}", "no JSON", '{"widgets": [{"type": "text", "properties": {"markdown": "mine"}}]}']
)
async def test_a_strange_dashboard_is_refused_and_survives(world: World, body: str) -> None:
    world.cloudwatch.dashboards[STEM] = body
    await world.serve(**asked())
    assert world.cloudwatch.dashboards[STEM] == body
    assert ready(world).reason is Reason.ADOPTION_CONFLICT
    world.cluster.remove(KIND, REF)
    await world.converge()
    assert world.cloudwatch.dashboards == {STEM: body}


async def test_trouble_is_told_and_never_stops_a_release_or_a_rollback(world: World) -> None:
    """CloudWatch says no for as long as it likes."""

    def refuse(_: str) -> None:
        raise Retryable("no right", reason=Reason.ACCESS_DENIED)

    world.cloudwatch.before_call = refuse
    await world.serve(**asked())
    assert (ready(world).status, ready(world).reason) == (ConditionStatus.FALSE, Reason.ACCESS_DENIED)
    world.register()
    await world.pass_time(120)
    assert world.serving == 2
    world.approve(2, Approval.REJECTED)
    await world.pass_time(60)
    assert (world.serving, world.phase) == (1, "Ready")
    assert [event.reason for event in world.events].count(Reason.ACCESS_DENIED) == 1
    world.cloudwatch.before_call = lambda _: None
    await world.pass_time(60)
    assert ready(world).status is ConditionStatus.TRUE


async def test_a_missing_topic_is_told(world: World) -> None:
    world.cloudwatch.topics.clear()
    await world.serve(**asked())
    assert (ready(world).reason, sorted(world.cloudwatch.alarms)) == (Reason.TOPIC_NOT_FOUND, ALARMS)


async def test_a_deletion_waits_for_aws_says_why_and_how_to_let_go(world: World) -> None:
    """Nothing is decided any more, no child is written, and what serves goes on until the model is gone."""

    def away(_: str) -> None:
        raise Retryable("CloudWatch is away", reason=Reason.MONITORING_UNAVAILABLE)

    await world.serve(**asked())
    world.cloudwatch.before_call = away
    world.cluster.remove(KIND, REF)
    writes = len([write for write in world.cluster.writes if "Deployment" in write])
    await world.pass_time(60)
    assert finalizers(world) == [FINALIZER]
    assert ready(world).reason is Reason.MONITORING_UNAVAILABLE
    assert "finalizer retail.mlops/cloudwatch" in ready(world).message
    assert Reason.MONITORING_UNAVAILABLE in [event.reason for event in world.events]
    assert world.cluster.get("Deployment", REF) is not None
    assert world.polls.interests == {}
    world.cloudwatch.before_call = lambda _: None
    await world.converge()
    assert (world.cluster.get(KIND, REF), world.cloudwatch.is_empty) == (None, True)
    world.cluster.settle()
    assert world.cluster.get("Deployment", REF) is None
    assert len([write for write in world.cluster.writes if "Deployment" in write]) == writes


async def test_a_model_that_cannot_be_read_keeps_what_it_has_and_can_be_deleted(world: World) -> None:
    await world.serve(**asked())
    world.cluster.edit(KIND, REF, lambda live: live["spec"].update(interval="1s"))
    await world.once()
    assert sorted(world.cloudwatch.alarms) == ALARMS
    world.cluster.remove(KIND, REF)
    await world.once()
    assert (world.cluster.get(KIND, REF), world.cloudwatch.is_empty) == (None, True)


async def test_suspended_nothing_is_touched_until_the_model_is_deleted(world: World) -> None:
    await world.serve(**asked())
    world.create(suspend=True)
    await world.pass_time(30)
    assert sorted(world.cloudwatch.alarms) == ALARMS
    world.cluster.remove(KIND, REF)
    await world.converge()
    assert world.cloudwatch.is_empty


async def test_the_finalizers_of_others_stay(world: World) -> None:
    world.create(**asked())
    world.cluster.edit(KIND, REF, lambda live: live["metadata"].update(finalizers=["example.com/theirs"]))
    await world.converge()
    assert finalizers(world) == ["example.com/theirs", FINALIZER]
    world.create()
    await world.converge()
    assert finalizers(world) == ["example.com/theirs"]


async def test_an_alarm_of_missing_pods_is_mute_while_none_is_wanted(world: World) -> None:
    """Before anything serves; a night without replicas is the same."""
    world.approve(1, Approval.PENDING)
    world.create(**asked())
    await world.converge()
    assert [world.cloudwatch.alarms[name]["ActionsEnabled"] for name in ALARMS] == [True, True, True, False]
    world.approve(1)
    await world.pass_time(60)
    assert world.cloudwatch.alarms[ALARMS[3]]["ActionsEnabled"]


async def test_each_thing_can_be_left_out(world: World) -> None:
    limits = {"p95LatencyMs": 0, "errorRatePercent": 0, "accuracyMin": "0", "silentMinutes": 0}
    await world.serve(**asked(dashboard=False, alarms=limits))
    assert world.cloudwatch.is_empty
    assert (ready(world).status, finalizers(world)) == (ConditionStatus.TRUE, [FINALIZER])


@pytest.mark.parametrize(
    ("one", "other"), [(("a-b", "c"), ("a", "b-c")), (("a", "b"), ("a-b", "b"))], ids=["the same dashes", "a prefix"]
)
def test_two_models_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    stems = [Owner(ObjectRef(*names), "uid", "psm").stem for names in (one, other)]
    assert stems[0] != stems[1]
    assert not f"{stems[1]}-silent".startswith(f"{stems[0]}-")


def test_the_longest_name_is_below_cloudwatchs_limit() -> None:
    stem = Owner(ObjectRef("n" * 63, "m" * 53), "uid", "p" * 32).stem
    assert len(f"{stem}-p95-latency") <= 255


def test_tags_of_the_settings_never_hide_whose_an_alarm_is(world: World) -> None:
    world.create(**asked())
    defaults = MonitoringDefaults(tags={"Project": "x", OWNER_TAG: "mine", MANAGED_BY_TAG: "me"})
    wanted = wanted_monitoring(REF, "uid", world.spec, world.status, defaults)
    assert isinstance(wanted, Wanted)
    assert (wanted.tags["Project"], wanted.tags[OWNER_TAG], wanted.tags[MANAGED_BY_TAG]) == ("x", "uid", "psm-operator")
    assert wanted.place == Place("ap-southeast-1")


class ProcessKilledError(Exception):
    """The process was killed at this call."""


@pytest.mark.parametrize("before", [asked(), {}], ids=["while it is made", "while it is given up"])
async def test_killed_at_any_call_and_deleted_before_the_next_start_nothing_is_left(before: dict[str, Any]) -> None:
    """The worst moment: the model goes while no operator runs."""
    survived = 0
    for calls in range(60):
        world = World()
        world.cloudwatch.topics.add(TOPIC)
        world.register()
        await world.serve(**({} if before else asked()))
        left = [calls]

        def count_down(_: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise ProcessKilledError

        world.create(**before)
        world.cluster.before_call = world.cloudwatch.before_call = count_down
        try:
            await world.once()
            survived += 1
        except ProcessKilledError:
            pass
        world.cluster.before_call = world.cloudwatch.before_call = lambda _: None
        world.cluster.remove(KIND, REF)
        world.restart()
        await world.converge()
        assert world.cloudwatch.is_empty, f"killed at call {calls}"
        assert world.cluster.get(KIND, REF) is None
    assert 0 < survived < 60, "some calls are the last, and some were not reached"
