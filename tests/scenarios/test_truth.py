"""The status speaks of what answers, and what does not come up is told: no version is blamed for a spec."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import REF, World, spec

from psm_operator.adapters.memory_cluster import READY, STARTING, UNPLACED, PodOutcome
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.status import Phase
from psm_operator.decide.explain import is_served
from psm_operator.observe import observe
from psm_operator.values import Event, Observation

BROKEN = PodOutcome(ready=False, message="container predictor ended with exit code 1", deadline_exceeded=True)
NO_ROOM = PodOutcome(ready=False, message="exceeded quota: pods", is_tried=False, deadline_exceeded=True)
STAGES = [Reason.VERIFYING, Reason.PROGRESSING, Reason.SERVING]


@pytest.fixture
def world() -> World:
    return World()


async def two_versions(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    assert (world.serving, world.stable) == (2, 2)


async def looked_at(world: World) -> Observation:
    seen = await observe(REF, world.deps)
    assert isinstance(seen, Observation)
    return seen


def told(world: World, kind: ConditionType) -> str:
    condition = world.condition(kind)
    assert condition is not None
    return f"{condition.status.value} {condition.reason.value}: {condition.message}"


async def test_a_rollback_whose_pods_do_not_come_says_what_answers(world: World) -> None:
    """A Deployment that somebody holds, or that has no room: version 2 serves on and the status says so."""
    await two_versions(world)
    world.cluster.outcomes[1] = UNPLACED
    world.measure(2, accuracy="0.40")
    await world.pass_time(60)
    assert world.serving == 1, "the template is moved"
    assert world.status.message.startswith("serving 2; rolling back from 2: ")
    assert told(world, ConditionType.READY) == "True Serving: version 2 answers"
    assert told(world, ConditionType.METRICS_HEALTHY).startswith("False MetricBelowThreshold: accuracy 0.40")
    assert told(world, ConditionType.UP_TO_DATE).startswith("False Rejected: version 2 rejected")
    current = world.status.current
    assert current is not None
    assert (current.version, current.metrics[0].value, current.metrics[0].verdict) == (2, "0.40", "Fail")
    seen = await looked_at(world)
    assert (is_served(seen, 2), is_served(seen, 1)) == (True, False)

    world.cluster.outcomes[1] = READY
    await world.pass_time(60)
    assert world.status.message.startswith("serving 1; 2 rejected: ")


async def test_on_the_way_up_too(world: World) -> None:
    await two_versions(world)
    world.register()
    world.cluster.outcomes[3] = STARTING
    await world.pass_time(15)
    world.cluster.outcomes[3] = READY
    world.cluster.settle()
    await world.once()
    world.cluster.outcomes[3] = UNPLACED
    await world.pass_time(60)
    assert world.status.message.startswith("serving 2")
    assert told(world, ConditionType.READY) == "True Serving: version 2 answers"


async def test_an_edit_that_never_rolls_out_is_told_and_the_next_version_does_not_pay_for_it(world: World) -> None:
    await two_versions(world)
    world.cluster.outcomes.update({2: BROKEN, 3: BROKEN})
    world.create(predictor={"env": [{"name": "PSM_WORKERS", "value": "none"}]})
    await world.pass_time(60)
    assert world.phase == Phase.DEGRADED
    assert told(world, ConditionType.STALLED).startswith("True ProgressDeadlineExceeded: version 2 was not rolled out")
    assert BROKEN.message in world.status.message

    world.register()
    await world.pass_time(600)
    assert world.status.rejected == ()
    world.cluster.outcomes.clear()
    world.cluster.put_model(REF, spec())
    await world.pass_time(90)
    assert (world.serving, world.stable, world.condition(ConditionType.STALLED)) == (3, 3, None)


async def test_a_roll_out_without_room_is_told_in_the_cluster_s_words(world: World) -> None:
    await two_versions(world)
    world.register()
    await world.once()
    world.cluster.outcomes[3] = STARTING
    await world.pass_time(15)
    world.cluster.outcomes[3] = READY
    world.cluster.settle()
    await world.once()
    world.cluster.outcomes[3] = NO_ROOM
    await world.pass_time(300)
    assert world.status.rejected == ()
    assert world.phase == Phase.DEGRADED
    assert "exceeded quota: pods" in told(world, ConditionType.STALLED)


def stages_of(events: list[Event], version: int) -> list[Reason]:
    texts = (
        f"verifying version {version}",
        f"moving traffic to version {version}",
        f"every replica serves version {version}",
    )
    return [event.reason for text in texts for event in events if event.message == text]


@settings(max_examples=30)
@given(
    soak=st.sampled_from(["0s", "30s", "5m"]),
    is_verified=st.booleans(),
    rounds=st.lists(st.integers(0, 3), min_size=2, max_size=4),
)
def test_every_version_that_serves_has_been_told_of_stage_by_stage_once(
    soak: str, rounds: list[int], *, is_verified: bool
) -> None:
    """However many stages one pass goes through: with controllers that are faster than the operator, or slower."""
    world = World()

    async def play() -> None:
        world.create(rollout={"soak": soak, "verification": {"enabled": is_verified}})
        for count in rounds:
            world.register()
            for _ in range(8):
                world.clock.advance(2)
                world.polls.poll()
                await world.once()
                for _ in range(count):
                    world.cluster.settle()
            await world.pass_time(600)

    asyncio.run(play())
    for version in range(1, len(rounds) + 1):
        assert stages_of(world.events, version) == STAGES
    assert len({event.key for event in world.events}) == len(world.events)


async def test_nothing_answers_is_said(world: World) -> None:
    await two_versions(world)
    world.cluster.outcomes[2] = PodOutcome(ready=False, message="container predictor: CrashLoopBackOff")
    await world.pass_time(30)
    assert world.status.message == (
        "serving nothing now; version 2: too few replicas answer: container predictor: CrashLoopBackOff"
    )
    ready = world.condition(ConditionType.READY)
    assert ready is not None
    assert ready.status is ConditionStatus.FALSE
