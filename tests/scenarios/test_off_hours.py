"""Off-hours: fewer replicas at night, the old size in the morning, and never in the way of a release or a rollback.

The world's clock starts on Wednesday 2025-01-01 00:00 UTC.
"""

from typing import Any

import pytest
from world import REF, World

from psm_operator.adapters.memory_cluster import STARTING
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.values import Approval, Manifest

HPA = "HorizontalPodAutoscaler"
H = 3600.0


def nights(replicas: int = 0) -> dict[str, Any]:
    """From 20:00 to 07:00, every day, in UTC."""
    return {"timezone": "UTC", "offHours": [{"start": "20:00", "end": "07:00", "replicas": replicas}]}


@pytest.fixture
async def world() -> World:
    """A model that has served since 08:00 and has been scaled to 6 replicas by its autoscaler; it is 19:00."""
    made = World()
    made.clock.advance(8 * H)
    made.register()
    await made.serve(schedule=nights())
    made.cluster.edit("Deployment", REF, lambda live: live["spec"].update(replicas=6))
    made.clock.advance(19 * H - made.clock.now().hour * H - made.clock.now().minute * 60)
    await made.converge()
    return made


async def hours(world: World, count: float) -> None:
    """Time passes in steps of a quarter of an hour."""
    await world.pass_time(count * H, step_s=900)


def has_autoscaler(world: World) -> bool:
    return world.cluster.get(HPA, REF) is not None


async def test_at_night_the_autoscaler_goes_and_with_it_every_replica(world: World) -> None:
    assert (world.replicas, has_autoscaler(world)) == (6, True)
    await hours(world, 1.5)
    assert (world.replicas, has_autoscaler(world)) == (0, False)
    ready = world.condition(ConditionType.READY)
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.TRUE, Reason.OFF_HOURS)
    assert "2025-01-02T07:00:00Z" in world.status.message
    assert world.phase == "Ready"


async def test_in_the_morning_the_autoscaler_is_back_with_the_size_of_the_evening(world: World) -> None:
    await hours(world, 12.5)
    assert (world.replicas, has_autoscaler(world)) == (6, True)
    assert world.status.off_hours is None


async def test_the_size_of_the_evening_is_kept_within_bounds_that_changed_overnight(world: World) -> None:
    await hours(world, 3)
    world.create(schedule=nights(), autoscaling={"minReplicas": 2, "maxReplicas": 4})
    await hours(world, 10)
    assert world.replicas == 4


async def test_a_window_may_keep_some_replicas(world: World) -> None:
    world.create(schedule=nights(replicas=1))
    await hours(world, 2)
    assert (world.replicas, has_autoscaler(world)) == (1, False)
    await hours(world, 11)
    assert (world.replicas, has_autoscaler(world)) == (6, True)


async def test_a_fixed_size_returns_after_the_window() -> None:
    world = World()
    world.clock.advance(18 * H)
    world.register()
    await world.serve(schedule=nights(), replicas=3)
    await hours(world, 4)
    assert world.replicas == 0
    await hours(world, 10)
    assert world.replicas == 3


async def test_nothing_is_written_in_the_middle_of_the_night(world: World) -> None:
    await hours(world, 3)
    before = len(world.cluster.writes)
    await hours(world, 6)
    assert world.cluster.writes[before:] == []


async def test_neither_evening_nor_morning_is_told_as_a_repair(world: World) -> None:
    await hours(world, 26)
    assert [event for event in world.events if event.reason is Reason.REPAIRED] == []


async def test_a_version_approved_at_night_waits_for_the_morning(world: World) -> None:
    await hours(world, 2)
    world.register()
    await hours(world, 1)
    assert (world.serving, world.status.candidate) == (1, None)
    waiting = world.condition(ConditionType.UP_TO_DATE)
    assert waiting is not None
    assert (waiting.status, waiting.reason) == (ConditionStatus.FALSE, Reason.OFF_HOURS)
    await hours(world, 10)
    assert world.serving == 2


async def test_a_pin_does_not_wait_for_the_morning(world: World) -> None:
    world.register(approval=Approval.PENDING)
    await hours(world, 2)
    world.create(schedule=nights(), version={"pin": 2})
    await world.converge()
    await world.pass_time(60)
    assert world.serving == 2


async def test_a_rollback_at_night_brings_the_pods_up_and_the_window_follows_when_it_has_arrived(world: World) -> None:
    """Nothing goes back to a version that was not seen to answer."""
    world.register()
    await world.pass_time(90)
    assert world.serving == 2
    await hours(world, 2)
    assert world.replicas == 0
    world.cluster.outcomes[1] = STARTING
    world.approve(2, Approval.REJECTED)
    await world.pass_time(60)
    assert world.phase == "RollingBack"
    assert (world.serving, world.replicas, has_autoscaler(world)) == (1, 6, True)
    assert world.status.off_hours is None
    world.cluster.outcomes.clear()
    await world.pass_time(60)
    assert (world.serving, world.replicas, has_autoscaler(world)) == (1, 0, False)
    await hours(world, 11)
    assert world.replicas == 6


async def test_a_soak_does_not_pass_while_nothing_answers(world: World) -> None:
    world.create(schedule=nights(), rollout={"soak": "2h"})
    world.register()
    await hours(world, 2)
    assert (world.serving, world.replicas, world.stable) == (2, 0, 1)
    await hours(world, 11)
    assert world.stable == 1, "an hour of the evening and an hour of the morning are not two hours on end"
    await hours(world, 2)
    assert world.stable == 2


async def test_a_model_made_at_night_is_proved_first_and_then_put_to_sleep() -> None:
    world = World()
    world.clock.advance(22 * H)
    world.register()
    world.create(schedule=nights())
    await world.converge()
    assert (world.serving, world.phase) == (1, "Soaking")
    await world.pass_time(120)
    assert (world.serving, world.replicas) == (1, 0)


async def test_removing_the_schedule_wakes_the_model(world: World) -> None:
    await hours(world, 2)
    world.create()
    await world.converge()
    assert (world.replicas, has_autoscaler(world)) == (6, True)


async def test_the_operator_looks_again_when_the_window_begins(world: World) -> None:
    result = await world.once()
    assert result is not None
    assert result.requeue_after_s == H


async def test_a_suspended_model_sleeps_no_more_and_no_less(world: World) -> None:
    world.create(schedule=nights(), suspend=True)
    await hours(world, 2)
    assert (world.replicas, has_autoscaler(world)) == (6, True)


@pytest.mark.parametrize("calls", range(14))
async def test_a_crash_at_either_end_of_the_window_loses_no_size(world: World, calls: int) -> None:
    """The process is killed at its n-th call of the cluster, in the evening and in the morning."""

    class KilledError(Exception):
        pass

    left = [0]

    def count_down(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    world.cluster.before_call = count_down
    for wait in (1.0, 11.5):
        world.clock.advance(wait * H)
        left[0] = calls + 1
        try:
            await world.once()
        except KilledError:
            world.restart()
            world.polls.poll()
        left[0] = -1
        await world.converge()
    assert (world.replicas, has_autoscaler(world)) == (6, True)


async def test_a_stale_deployment_is_not_resized(world: World) -> None:
    """The autoscaler scales while the evening's plan is carried out: the plan is made anew and ends at the same size."""
    await hours(world, 1)

    def scale_meanwhile(method: str) -> None:
        if method == "delete":
            world.cluster.before_call = lambda _: None
            world.cluster.edit("Deployment", REF, lambda live: live["spec"].update(replicas=7))

    world.create(schedule=nights())
    world.clock.advance(0.1 * H)
    world.cluster.before_call = scale_meanwhile
    await world.converge()
    deployment: Manifest | None = world.cluster.get("Deployment", REF)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 0
