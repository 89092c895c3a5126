"""What could not be tried is never rejected: only what the predictor itself said, watched while it ran, counts against a version."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import REF, World

from psm_operator.adapters.memory_cluster import (
    CRASHING,
    READY,
    STARTING,
    UNPLACED,
    UNSERVABLE,
    PodOutcome,
)
from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.decide.desired.model import candidate_name
from psm_operator.errors import Retryable
from psm_operator.values import Manifest, ObjectRef

NO_IMAGE = PodOutcome(ready=False, message="container predictor cannot pull image predictor:2", is_tried=False)
OUTSIDE = [UNPLACED, NO_IMAGE]
CANDIDATE = ObjectRef(REF.namespace, candidate_name(REF))


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("outcome", OUTSIDE, ids=["no node takes the pod", "the image cannot be pulled"])
@pytest.mark.parametrize("is_first", [True, False], ids=["a first version", "a later version"])
async def test_a_pod_that_never_ran_rejects_nothing_and_is_told_in_the_cluster_s_words(
    world: World, outcome: PodOutcome, *, is_first: bool
) -> None:
    world.register()
    if not is_first:
        await world.serve()
        world.register()
    version = 1 if is_first else 2
    world.cluster.outcomes[version] = outcome
    world.create()
    await world.pass_time(900)
    assert world.status.rejected == ()
    reconciling = world.condition(ConditionType.RECONCILING)
    assert reconciling is not None
    assert outcome.message in reconciling.message
    assert outcome.message in world.status.message

    world.cluster.outcomes[version] = READY
    await world.pass_time(120)
    assert (world.serving, world.stable) == (version, version)


async def test_a_pod_that_ran_and_never_got_ready_is_rejected(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = CRASHING
    await world.pass_time(150)
    assert [(entry.version, entry.reason) for entry in world.status.rejected] == [(2, Reason.VERIFICATION_FAILED)]
    assert CRASHING.message in world.status.rejected[0].message


async def test_an_operator_that_was_away_has_watched_nothing(world: World) -> None:
    """It was killed between writing the status and making the pod, and came back after three minutes."""
    world.register()
    await world.serve()
    world.register()
    world.polls.poll()

    def down(call: str) -> None:
        if call in {"apply", "create"}:
            raise Retryable("the API server is away")

    world.cluster.before_call = down
    for _ in range(3):
        await world.once()
        world.polls.poll()
    assert world.status.candidate is not None
    assert world.status.candidate.proving_since is not None
    assert world.cluster.get("Deployment", CANDIDATE) is None
    world.cluster.before_call = lambda _: None
    world.clock.advance(180)
    world.restart()
    world.polls.poll()
    await world.pass_time(60)
    assert (world.serving, world.status.rejected) == (2, ())


async def test_a_clock_that_jumps_counts_for_one_look(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(30)
    world.clock.advance(3600)
    await world.converge()
    assert world.status.rejected == ()
    world.cluster.outcomes[2] = READY
    await world.pass_time(60)
    assert world.serving == 2


async def test_a_neighbour_called_as_a_candidate_would_be_is_left_alone(world: World) -> None:
    """Two models, one named like the other with `-candidate` behind it: both serve, and both go on."""
    world.register()
    await world.serve()
    neighbour = ObjectRef(REF.namespace, f"{REF.name}-candidate")
    template: Manifest = {"metadata": {"labels": {}}}
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3, "template": template}}
    world.cluster.put({**theirs, "metadata": {"namespace": neighbour.namespace, "name": neighbour.name}})
    world.register()
    await world.pass_time(60)
    assert (world.serving, world.last_error) == (2, None)
    left = world.cluster.get("Deployment", neighbour)
    assert left is not None
    assert left["spec"] == theirs["spec"]


async def test_no_room_for_the_new_pods_of_a_roll_out_rejects_nothing(world: World) -> None:
    """The candidate pod was ready, then a quota was filled: the Deployment's deadline is not the version's."""
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)
    world.cluster.outcomes[2] = READY
    world.cluster.settle()
    await world.once()
    world.cluster.outcomes[2] = PodOutcome(
        ready=False, message="exceeded quota: pods", is_tried=False, deadline_exceeded=True
    )
    await world.pass_time(900)
    assert world.status.rejected == ()
    world.cluster.outcomes[2] = READY
    await world.pass_time(60)
    assert (world.serving, world.stable) == (2, 2)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*OUTSIDE, STARTING]), st.sampled_from([1, 5, 15, 90, 3600]), st.sampled_from(["", "killed"])
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_no_sequence_of_waits_kills_and_jumps_rejects_a_version_that_ran_for_less_than_its_time(
    steps: list[tuple[PodOutcome, int, str]],
) -> None:
    """What counts is at most the time between two looks of one process that both saw it run."""
    world = World()
    world.register()
    ran = timedelta(0)

    async def play() -> None:
        nonlocal ran
        await world.serve()
        world.register()
        for outcome, seconds, fate in steps:
            world.cluster.outcomes[2] = outcome
            world.cluster.settle()
            await world.converge()
            world.clock.advance(seconds)
            world.polls.poll()
            if fate:
                world.restart()
                world.polls.poll()
            await world.converge()
            ran += timedelta(seconds=min(seconds, 15)) if outcome.is_tried else timedelta(0)
            assert ran >= timedelta(seconds=120) or world.status.rejected == ()
        world.cluster.outcomes[2] = READY
        await world.pass_time(90)

    asyncio.run(play())
    assert world.serving == 2 or ran >= timedelta(seconds=120)


async def test_the_predictor_s_own_word_is_final_at_once(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = UNSERVABLE
    await world.pass_time(15)
    assert [entry.version for entry in world.status.rejected] == [2]
