"""Packages that are deleted from the registry while a version made of them serves: gone is withdrawn."""

import pytest
from world import GROUP, World

from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.values import Approval


@pytest.fixture
async def world() -> World:
    """Version 2 serves and is stable; 1 is the way back."""
    made = World()
    made.register()
    await made.serve()
    made.register()
    await made.pass_time(60)
    assert (made.serving, made.stable) == (2, 2)
    return made


async def one_read(world: World) -> None:
    world.polls.poll()
    await world.once()
    world.cluster.settle()


async def test_a_served_package_that_is_gone_goes_back_as_a_revoked_one_does(world: World) -> None:
    world.registry.delete(GROUP, 2)
    await world.pass_time(45)
    assert (world.serving, world.stable) == (1, 1)
    rejection = world.status.rejected[0]
    assert (rejection.version, rejection.reason) == (2, Reason.APPROVAL_REVOKED)
    assert rejection.message == f"version 2 is no longer in group {GROUP.name}"


async def test_one_read_that_misses_the_package_changes_nothing(world: World) -> None:
    package = world.registry.package(GROUP, 2)
    world.registry.delete(GROUP, 2)
    await one_read(world)
    assert world.polls.hastened[GROUP] > 1, "a second read is asked for, no sooner than it can confirm"
    world.registry.restore(GROUP, package)
    await world.pass_time(600)
    assert (world.phase, world.serving, world.status.rejected) == ("Ready", 2, ())


async def test_a_package_that_is_gone_is_asked_for_no_more_often_than_every_interval(world: World) -> None:
    world.create(rollback={"onApprovalRevoked": "Hold"})
    world.registry.delete(GROUP, 2)
    await world.pass_time(60)
    for _ in range(60):
        world.clock.advance(1)
        await one_read(world)
        assert GROUP not in world.polls.hastened
    assert world.serving == 2


@pytest.mark.parametrize(
    ("policy", "replicas"), [("Hold", 2), ("ScaleToZero", 0)], ids=["Hold serves on", "ScaleToZero ends it"]
)
async def test_the_policy_for_a_withdrawal_is_followed(world: World, policy: str, replicas: int) -> None:
    world.create(rollback={"onApprovalRevoked": policy})
    world.registry.delete(GROUP, 2)
    await world.pass_time(60)
    assert (world.serving, world.replicas) == (2, replicas)


async def test_what_the_status_says_of_a_package_that_is_gone_agrees(world: World) -> None:
    """Nothing else may be served, so version 2 goes on, and every sentence says why it should not."""
    world.approve(1, Approval.REJECTED)
    world.registry.delete(GROUP, 2)
    await world.pass_time(60)
    gone = f"version 2 is no longer in group {GROUP.name}"
    stalled, up_to_date, healthy, resolved = (
        world.condition(kind)
        for kind in (
            ConditionType.STALLED,
            ConditionType.UP_TO_DATE,
            ConditionType.METRICS_HEALTHY,
            ConditionType.VERSION_RESOLVED,
        )
    )
    assert stalled is not None
    assert up_to_date is not None
    assert healthy is not None
    assert resolved is not None
    assert (world.phase, stalled.reason) == ("Blocked", Reason.NO_ROLLBACK_TARGET)
    assert world.status.message.startswith(f"serving 2; {gone}; ")
    assert stalled.message.startswith(gone)
    assert (up_to_date.status, up_to_date.message) == (ConditionStatus.FALSE, gone)
    assert (healthy.status, healthy.reason) == (ConditionStatus.UNKNOWN, Reason.METRICS_UNREADABLE)
    assert healthy.message.startswith(gone)
    assert (resolved.status, resolved.reason) == (ConditionStatus.FALSE, Reason.NO_APPROVED_VERSION)


async def test_a_pin_of_a_package_that_is_gone_is_not_called_up_to_date(world: World) -> None:
    world.create(version={"pin": 7})
    await world.pass_time(30)
    up_to_date = world.condition(ConditionType.UP_TO_DATE)
    assert up_to_date is not None
    assert (up_to_date.status, up_to_date.reason) == (ConditionStatus.FALSE, Reason.VERSION_NOT_FOUND)
    assert world.serving == 2


async def test_a_group_that_is_emptied_takes_the_approval_with_it_and_one_that_is_gone_moves_nothing(
    world: World,
) -> None:
    world.registry.remove_group(GROUP)
    await world.pass_time(60)
    assert (world.phase, world.serving) == ("Blocked", 2)
    world.registry.add_group(GROUP)
    await world.pass_time(60)
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert (world.serving, stalled.reason) == (2, Reason.NO_ROLLBACK_TARGET)
