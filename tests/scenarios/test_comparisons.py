"""What a version is compared with: nothing that cannot be compared is a pass, and nothing unreadable is compared with."""

import pytest
from world import GOOD, GROUP, World

from psm_operator.api.conditions import ConditionType, Reason

HIGH, LOW = {**GOOD, "accuracy": "0.950000"}, {**GOOD, "accuracy": "0.760000"}


@pytest.fixture
async def world() -> World:
    """Version 1 is stable with accuracy 0.95."""
    made = World()
    made.register(metrics=HIGH)
    await made.serve()
    return made


async def test_a_stable_package_that_was_deleted_is_still_compared_with(world: World) -> None:
    """By what was judged when it became stable."""
    world.create(rollback={"cooldown": "60s", "onApprovalRevoked": "Hold"})
    world.register(metrics=LOW)
    del world.registry._groups[GROUP][1]
    for _ in range(20):
        world.clock.advance(15)
        world.polls.poll()
        await world.once()
        world.cluster.settle()
    assert world.serving == 1
    assert [(entry.version, entry.reason) for entry in world.status.rejected] == [(2, Reason.METRIC_REGRESSION)]


@pytest.mark.parametrize("text", ["n/a", "0_95", "95.0", "\uff10.95"])
async def test_a_stable_metric_that_became_unreadable_is_compared_as_it_was(world: World, text: str) -> None:
    world.measure(1, accuracy=text)
    world.register(metrics=LOW)
    await world.pass_time(300)
    assert world.serving == 1
    assert [entry.reason for entry in world.status.rejected] == [Reason.METRIC_REGRESSION]


async def test_what_stable_never_had_cannot_be_compared_and_is_no_pass() -> None:
    """It waits and says what to do."""
    world = World()
    world.register()
    regressing = [{"name": "recall_um", "maxRegression": {"absolute": "0.02"}}]
    await world.serve(analysis={"metrics": regressing, "failureLimit": 1})
    assert world.status.current is None
    world.create(version={"pin": 1}, analysis={"metrics": regressing})
    await world.pass_time(120)
    world.create(analysis={"metrics": regressing})
    world.register(metrics={"recall_um": "0.8"})
    await world.pass_time(300)
    assert world.serving == 1
    assert world.status.candidate is not None
    assert "stable version 1 has none that can be read" in world.status.message


async def test_a_share_above_one_is_neither_good_nor_bad() -> None:
    """Per cent, for instance: it does not become what later versions are measured against."""
    world = World()
    world.register()
    await world.serve()
    world.register(metrics={"accuracy": "61.0", "macro_f1": "58.0", "precision_min_class": "55.0"})
    await world.pass_time(200)
    assert (world.serving, world.status.rejected) == (1, ())
    assert "'61.0', which is not a share from 0 to 1" in world.status.message
    world.register(metrics={**GOOD, "accuracy": "0.82"})
    await world.pass_time(200)
    assert (world.serving, world.stable) == (3, 3)


async def test_a_served_share_that_becomes_unreadable_moves_nothing(world: World) -> None:
    world.measure(1, accuracy="61.0")
    await world.pass_time(600)
    assert world.serving == 1
    found = world.condition(ConditionType.METRICS_HEALTHY)
    assert found is not None
    assert found.reason is Reason.METRICS_UNREADABLE
