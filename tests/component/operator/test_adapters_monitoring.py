"""Dashboards and alarms: one suite for the emulator's CloudWatch and for the one in memory, then what only AWS can say."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cloudwatch_story import DEFAULTS, REF, TOPIC, spec, story, told

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.cloudwatch_monitoring import CloudWatchMonitoring
from psm_operator.adapters.memory import MemoryClock
from psm_operator.adapters.memory_monitoring import MemoryMonitoring
from psm_operator.api.conditions import Reason
from psm_operator.decide.monitoring import Place, PutAlarm, Wanted, steps, wanted_monitoring
from psm_operator.decide.monitoring.difference import essence
from psm_operator.errors import Retryable
from psm_operator.ports import Monitoring
from psm_operator.values import ObjectRef

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
HERE = Place(REGION)
WANTED = told()
CLOCK = MemoryClock()


@dataclass(frozen=True)
class Lab:
    """One CloudWatch, whichever, with the verbs by which somebody else changes it."""

    port: Monitoring
    edit_alarm: Callable[[Mapping[str, Any]], None]
    delete_alarm: Callable[[str], None]
    edit_dashboard: Callable[[str, str], None]

    async def settle(self, wanted: Wanted | None) -> list[str]:
        """Bring it about; which kinds of step it took."""
        found = await self.port.find(WANTED.owner, HERE)
        todo, conflicts = steps(WANTED.owner, wanted, found)
        assert conflicts == ()
        for step in todo:
            await self.port.carry_out(step, HERE)
        return sorted(type(step).__name__ for step in todo)


@pytest.fixture(params=["the emulator", "memory"])
def lab(request: pytest.FixtureRequest) -> Lab:
    if request.param == "memory":
        memory = MemoryMonitoring()
        memory.topics.add(TOPIC)
        return Lab(
            memory,
            lambda alarm: memory.alarms.__setitem__(alarm["AlarmName"], dict(alarm)),
            lambda name: (memory.alarms.pop(name), memory.tags.pop(name, None)),  # type: ignore[arg-type]
            memory.dashboards.__setitem__,
        )
    clients: AwsClients = request.getfixturevalue("account")
    clients.client("sns", REGION).create_topic(Name=TOPIC.rpartition(":")[2])
    cloudwatch = clients.client("cloudwatch", REGION)
    return Lab(
        CloudWatchMonitoring(clients, clock=MemoryClock()),
        lambda alarm: cloudwatch.put_metric_alarm(**alarm),
        lambda name: cloudwatch.delete_alarms(AlarmNames=[name]),
        lambda name, body: cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body),
    )


async def test_everything_is_made_once_and_found_as_it_was_made(lab: Lab) -> None:
    """The second look has nothing to do: what CloudWatch gives back compares equal to what it got."""
    assert await lab.settle(WANTED) == ["PutAlarm"] * 4 + ["PutDashboard"]
    assert await lab.settle(WANTED) == []
    found = await lab.port.find(WANTED.owner, HERE)
    assert [alarm.name for alarm in found.alarms] == [alarm["AlarmName"] for alarm in WANTED.alarms]
    assert [essence(alarm.request) for alarm in found.alarms] == [essence(alarm) for alarm in WANTED.alarms]
    assert all(alarm.tags == WANTED.tags for alarm in found.alarms)
    assert found.dashboard is not None
    assert json.loads(found.dashboard.body) == json.loads(str(WANTED.dashboard))


@pytest.mark.parametrize(
    "change",
    [
        {"Threshold": 7.0},
        {"ActionsEnabled": False},
        {"AlarmActions": []},
        {"AlarmDescription": ""},
        {"Unit": "Seconds"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_changed_alarm_is_put_back_and_keeps_its_tags(lab: Lab, change: dict[str, Any]) -> None:
    await lab.settle(WANTED)
    lab.edit_alarm({**WANTED.alarms[-1], **change})
    assert await lab.settle(WANTED) == ["PutAlarm"]
    assert await lab.settle(WANTED) == []


async def test_what_is_gone_comes_back_and_what_is_not_wanted_goes(lab: Lab) -> None:
    await lab.settle(WANTED)
    lab.delete_alarm(WANTED.alarms[0]["AlarmName"])
    lab.edit_dashboard(WANTED.owner.stem, json.dumps({**json.loads(str(WANTED.dashboard)), "start": "-P7D"}))
    assert await lab.settle(WANTED) == ["PutAlarm", "PutDashboard"]
    fewer = replace(WANTED, alarms=WANTED.alarms[:2], dashboard=None)
    assert await lab.settle(fewer) == ["DeleteAlarms", "DeleteDashboard"]
    assert await lab.settle(fewer) == []


async def test_other_tags_are_set_on_alarms_that_exist(lab: Lab) -> None:
    """PutMetricAlarm leaves the tags of an alarm alone."""
    await lab.settle(WANTED)
    other = replace(WANTED, tags={**WANTED.tags, "Owner": "DataTeam"})
    assert await lab.settle(other) == ["TagAlarm"] * 4
    assert await lab.settle(other) == []


async def test_nothing_of_ours_is_left_and_nothing_else_is_touched(lab: Lab) -> None:
    await lab.settle(WANTED)
    theirs = {**WANTED.alarms[0], "AlarmName": f"{WANTED.owner.stem}-theirs"}
    lab.edit_alarm(theirs)
    assert await lab.settle(None) == ["DeleteAlarms", "DeleteDashboard"]
    found = await lab.port.find(WANTED.owner, HERE)
    assert ([alarm.name for alarm in found.alarms], found.dashboard) == ([theirs["AlarmName"]], None)
    assert await lab.settle(None) == []


async def test_another_clusters_alarm_is_refused(lab: Lab) -> None:
    """Same prefix, same namespace, same name, another uid."""
    other = wanted_monitoring(REF, "another-uid", spec(), story(), DEFAULTS)
    assert other is not None
    for step in (PutAlarm(alarm, other.tags) for alarm in other.alarms):
        await lab.port.carry_out(step, HERE)
    lab.edit_dashboard(WANTED.owner.stem, str(other.dashboard))
    todo, conflicts = steps(WANTED.owner, WANTED, await lab.port.find(WANTED.owner, HERE))
    assert todo == ()
    assert len(conflicts) == 5
    assert sum("another-uid" in str(conflict) for conflict in conflicts) == 4


async def test_deleting_what_is_gone_is_success(lab: Lab) -> None:
    await lab.settle(WANTED)
    found = await lab.port.find(WANTED.owner, HERE)
    for _ in range(2):
        for step in steps(WANTED.owner, None, found)[0]:
            await lab.port.carry_out(step, HERE)


async def test_a_topic_that_does_not_exist_is_named(lab: Lab) -> None:
    assert await lab.port.topic_trouble(TOPIC, HERE) == ""
    assert "does not exist" in await lab.port.topic_trouble(f"{TOPIC}-no", HERE)


# --- AWS alone --------------------------------------------------------------------------------------------------------


@pytest.fixture
def real(account: AwsClients, registry: EmulatorControl) -> tuple[CloudWatchMonitoring, EmulatorControl]:
    return CloudWatchMonitoring(account, clock=CLOCK), registry


async def test_a_look_at_what_is_as_it_was_costs_two_calls(lab: Lab, registry: EmulatorControl) -> None:
    """Tags are read once for each state of an alarm."""
    if isinstance(lab.port, MemoryMonitoring):
        pytest.skip("memory makes no calls")
    await lab.settle(WANTED)
    await lab.settle(WANTED)
    before = registry.calls()
    await lab.settle(WANTED)
    made = {name: count - before.get(name, 0) for name, count in registry.calls().items()}
    assert {name: count for name, count in made.items() if count} == {"DescribeAlarms": 1, "GetDashboard": 1}


@pytest.mark.parametrize(
    ("faults", "reason", "words"),
    [
        ({"refused": {"DescribeAlarms": "AccessDenied"}}, Reason.ACCESS_DENIED, "allow cloudwatch:DescribeAlarms"),
        ({"throttle_rps": 0}, Reason.MONITORING_UNAVAILABLE, "asks to slow down"),
        ({"outage": True}, Reason.MONITORING_UNAVAILABLE, "tried again by itself"),
    ],
    ids=["denied", "throttled", "away"],
)
async def test_trouble_with_looking_is_told_apart(
    real: tuple[CloudWatchMonitoring, EmulatorControl], faults: dict[str, Any], reason: Reason, words: str
) -> None:
    port, emulator = real
    emulator.set_faults(**faults)
    with pytest.raises(Retryable) as raised:
        await port.find(WANTED.owner, HERE)
    assert raised.value.reason is reason
    assert words in str(raised.value)
    assert "spec.registry.roleARN" not in str(raised.value), "it is always the operator's own role"


@pytest.mark.parametrize(
    ("code", "words"),
    [("LimitExceeded", "quota"), ("ValidationError", "correct spec.monitoring.cloudWatch")],
)
async def test_a_refused_alarm_says_what_to_do(
    real: tuple[CloudWatchMonitoring, EmulatorControl], code: str, words: str
) -> None:
    port, emulator = real
    emulator.set_faults(refused={"PutMetricAlarm": code})
    with pytest.raises(Retryable) as raised:
        await port.carry_out(PutAlarm(WANTED.alarms[0], WANTED.tags), HERE)
    assert (raised.value.reason, words in str(raised.value)) == (Reason.MONITORING_REFUSED, True)


async def test_who_may_not_look_at_the_topic_is_not_told_anything(
    real: tuple[CloudWatchMonitoring, EmulatorControl],
) -> None:
    """CloudWatch may tell it all the same."""
    port, emulator = real
    emulator.set_faults(refused={"GetTopicAttributes": "AuthorizationError"})
    assert await port.topic_trouble(TOPIC, HERE) == ""


async def test_a_topic_is_asked_about_once_for_all_models_and_sns_may_be_out_of_reach(
    real: tuple[CloudWatchMonitoring, EmulatorControl], account: AwsClients
) -> None:
    """A subnet without a way to SNS costs one vain connection in ten minutes; a missing topic is asked about each minute."""
    port, emulator = real
    emulator.set_faults(outage=True)
    for _ in range(3):
        assert await port.topic_trouble(TOPIC, HERE) == ""
    emulator.set_faults()
    assert emulator.calls()["GetTopicAttributes"] == 1
    CLOCK.advance(601)
    for _ in range(2):
        assert "does not exist" in await port.topic_trouble(TOPIC, HERE)
    assert emulator.calls()["GetTopicAttributes"] == 2
    account.client("sns", REGION).create_topic(Name=TOPIC.rpartition(":")[2])
    CLOCK.advance(61)
    assert await port.topic_trouble(TOPIC, HERE) == ""


async def test_a_topic_of_another_region_is_named(real: tuple[CloudWatchMonitoring, EmulatorControl]) -> None:
    """CloudWatch tells only topics of its own region."""
    elsewhere = TOPIC.replace(REGION, "eu-west-1")
    assert "is not in region ap-southeast-1" in await real[0].topic_trouble(elsewhere, HERE)


async def test_the_emulator_lacks_nothing_of_it(lab: Lab, registry: EmulatorControl) -> None:
    await lab.settle(WANTED)
    await lab.settle(None)
    assert registry.missing() == []


@pytest.fixture
async def neighbours(lab: Lab) -> Wanted:
    """Another model whose name begins as ours."""
    other = wanted_monitoring(ObjectRef("mlops", "uk-grocery-2"), "its-uid", spec(), story(), DEFAULTS)
    assert other is not None
    for alarm in other.alarms:
        await lab.port.carry_out(PutAlarm(alarm, other.tags), HERE)
    return other


async def test_neighbours_are_not_looked_at(lab: Lab, neighbours: Wanted) -> None:
    await lab.settle(WANTED)
    await lab.settle(None)
    assert len((await lab.port.find(neighbours.owner, HERE)).alarms) == 4
