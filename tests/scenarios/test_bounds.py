"""No bound of a list, and no Event given up, changes what is decided."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quiet import quiet_hour
from world import GOOD, GROUP, World

from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.api.status import MAX_HISTORY, HistoryResult
from psm_operator.decide import records, scene
from psm_operator.decide.wishes import UNREJECT, unreject_text
from psm_operator.values import Approval

BAD = {**GOOD, "accuracy": "0.10"}


@pytest.fixture
def world() -> World:
    return World()


async def reject(world: World, count: int) -> None:
    """Approve so many versions below the threshold, and let the operator judge them all."""
    for _ in range(count):
        world.register(metrics=BAD)
    for _ in range(2 * count + 2):  # one is described, then judged
        world.clock.advance(1)
        world.polls.poll()
        await world.once()
        world.cluster.settle()


async def test_sixty_bad_versions_are_each_rejected_once(world: World) -> None:
    world.register()
    await world.serve()
    await reject(world, 60)
    assert sorted(entry.version for entry in world.status.rejected) == list(range(2, 62))
    writes = len(world.cluster.writes)
    for _ in range(20):
        world.clock.advance(1)
        world.polls.poll()
        await world.once()
    assert world.cluster.writes[writes:] == []
    assert (world.serving, world.stable) == (1, 1)
    up_to_date = world.condition(ConditionType.UP_TO_DATE)
    assert up_to_date is not None
    assert (up_to_date.reason, "accuracy 0.10" in up_to_date.message) == (Reason.REJECTED, True)


async def test_more_bad_versions_than_are_remembered_end_too_and_a_new_good_one_is_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (records, scene):
        monkeypatch.setattr(module, "MAX_REJECTIONS", 10)
    world.register()
    await world.serve()
    await reject(world, 15)
    assert [entry.version for entry in world.status.rejected] == list(range(7, 17))
    await quiet_hour(world)
    good = world.register()
    await world.pass_time(60)
    assert world.serving == good.version


async def test_rejections_do_not_push_the_ways_back_out_of_history(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(90)
    await reject(world, 30)
    promoted = [entry.version for entry in world.status.history if entry.result is HistoryResult.PROMOTED]
    assert promoted == [2, 1]
    world.measure(2, accuracy="0.40")
    await world.pass_time(60)
    assert world.serving == 1, "the way back was still known"


async def test_an_old_rejection_ends_with_another_note_too(world: World) -> None:
    """Every rejected version is looked at again, a few at each read."""
    world.register()
    await world.serve()
    await reject(world, 20)
    world.registry.update(GROUP, 7, approval_note="retrained", metrics=GOOD)
    await world.pass_time(15 * 20)
    assert world.serving == 7


async def test_a_rejection_beyond_the_detailed_ones_can_be_cleared_by_a_person(world: World) -> None:
    world.register()
    await world.serve()
    await reject(world, 60)
    world.measure(61)
    oldest = next(entry for entry in world.status.rejected if entry.version == 61)
    world.clock.advance(5)
    world.annotate({UNREJECT: unreject_text((oldest,))})
    await world.pass_time(30)
    assert world.serving == 61


async def test_a_way_back_is_found_behind_many_that_may_not_serve(world: World) -> None:
    """More versions that served before than are kept described: the best that may serve is found."""
    for _ in range(7):
        world.register()
        await (world.serve() if world.status.current is None else world.pass_time(60))
    for version in (3, 4, 5, 6):
        world.approve(version, Approval.REJECTED)
    world.measure(7, accuracy="0.40")
    await world.pass_time(60)
    assert world.serving == 2


@settings(max_examples=4)
@given(bad=st.integers(0, 70), good=st.integers(1, 3))
def test_any_number_of_bad_versions_comes_to_rest_at_the_newest_good_one(bad: int, good: int) -> None:
    world = World()
    for _ in range(good):
        world.register()

    async def play() -> None:
        world.create()
        await world.pass_time(60)
        await reject(world, bad)
        await world.pass_time(60)
        await quiet_hour(world)

    asyncio.run(play())
    assert world.serving == good
    assert len(world.status.rejected) == bad
    assert len(world.status.history) <= MAX_HISTORY
