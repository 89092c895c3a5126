"""The served version is withdrawn and nothing that served before may serve: an older approved one is verified and served."""

import pytest
from world import GOOD, GROUP, World

from psm_operator.adapters.memory_cluster import UNSERVABLE
from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.values import Approval

REGRESSION = {
    "metrics": [{"name": "accuracy", "threshold": {"min": "0.70"}, "maxRegression": {"absolute": "0.02"}}],
}


async def newest_of_two(**changes: object) -> World:
    """Version 2 serves; 1 is approved and never did."""
    made = World()
    made.register(metrics={**GOOD, "accuracy": "0.75"})
    made.register(metrics={**GOOD, "accuracy": "0.90"})
    await made.serve(**changes)
    assert (made.serving, made.stable) == (2, 2)
    return made


@pytest.mark.parametrize("is_deleted", [False, True], ids=["revoked", "deleted"])
async def test_it_is_verified_and_served_and_not_compared_with_what_was_withdrawn(*, is_deleted: bool) -> None:
    world = await newest_of_two(analysis=REGRESSION)
    if is_deleted:
        world.registry.delete(GROUP, 2)
    else:
        world.approve(2, Approval.REJECTED)
    await world.pass_time(120)
    assert (world.phase, world.serving, world.stable) == ("Ready", 1, 1)
    await world.pass_time(600)
    assert (world.phase, world.serving, world.status.rejected) == ("Ready", 1, ())


async def test_one_that_cannot_serve_leaves_the_withdrawn_one_and_says_so() -> None:
    world = await newest_of_two()
    world.cluster.outcomes[1] = UNSERVABLE
    world.approve(2, Approval.REJECTED)
    await world.pass_time(120)
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert (world.phase, world.serving, stalled.reason) == ("Blocked", 2, Reason.NO_ROLLBACK_TARGET)
    assert [entry.version for entry in world.status.rejected] == [1]


async def test_a_metric_that_fails_does_not_lead_to_one_that_never_served() -> None:
    world = await newest_of_two()
    world.measure(2, accuracy="0.10")
    await world.pass_time(300)
    assert (world.phase, world.serving, world.status.candidate) == ("Blocked", 2, None)


async def test_the_withdrawn_one_comes_back_when_it_is_approved_again() -> None:
    world = await newest_of_two()
    world.approve(2, Approval.REJECTED)
    await world.pass_time(120)
    assert world.serving == 1
    world.approve(2)
    await world.pass_time(300)
    assert (world.phase, world.serving) == ("Ready", 2)


@pytest.mark.parametrize(
    "rollback",
    [{"mode": "Manual"}, {"mode": "Disabled"}, {"onApprovalRevoked": "Hold"}],
    ids=["manual", "disabled", "hold"],
)
async def test_policies_that_keep_the_operator_from_going_back_keep_it_from_this(rollback: dict[str, str]) -> None:
    world = await newest_of_two(rollback=rollback)
    world.approve(2, Approval.REJECTED)
    await world.pass_time(300)
    assert (world.serving, world.status.candidate) == (2, None)


async def test_a_version_withdrawn_while_it_soaks_makes_way_too() -> None:
    world = World()
    world.register()
    world.register()
    await world.serve(rollout={"soak": "1h"})
    assert world.phase == "Soaking"
    world.approve(2, Approval.REJECTED)
    await world.pass_time(60)
    assert (world.phase, world.serving) == ("Soaking", 1)
