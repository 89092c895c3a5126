"""An explanation asks the operator's own rules: what it says stands in the way does, and without it the version is served."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from plugin_stories import moved_on, observed, rejected, rolled_back, serving, soaking, verifying
from world import GOOD, World

from psm_operator.adapters.memory_cluster import CRASHING, STARTING, UNSERVABLE
from psm_operator.decide.explain import explain, explained, first_stop, is_served
from psm_operator.decide.explain_steps import Answer, Step
from psm_operator.values import Approval, DataValidation

Play = Callable[[World], Awaitable[None]]
BAD = {**GOOD, "accuracy": "0.70"}


async def a_newer_version(world: World, **changes: Any) -> None:
    await serving(world)
    world.register(**changes)
    world.polls.poll()


async def explained_world(play: Play, version: int, **options: Any) -> tuple[World, tuple[Step, ...]]:
    """A world after a play, and what is said of a version in it."""
    world = World()
    await play(world)
    return world, explain(await observed(world, **options), version)


def step(steps: tuple[Step, ...], rule: str) -> Step:
    return next(step for step in steps if step.rule == rule)


def stop(steps: tuple[Step, ...]) -> tuple[str, Answer]:
    """What stands in the way first."""
    found = first_stop(steps)
    return (found.rule, found.answer) if found is not None else ("", Answer.PASS)


def playing(**changes: Any) -> Play:
    """A good version serves, and a newer one is registered so."""

    async def play(world: World) -> None:
        await a_newer_version(world, **changes)

    return play


def with_spec(**spec: Any) -> Play:
    """A good version serves, the spec changes, a good newer one is registered."""

    async def play(world: World) -> None:
        await serving(world)
        world.create(**spec)
        world.register()
        world.polls.poll()

    return play


async def another_rollback(world: World) -> None:
    """A newer version arrives just after a rollback."""
    await rolled_back(world)
    world.register()
    world.polls.poll()


async def during_a_rollback(world: World) -> None:
    await soaking(world)
    world.cluster.outcomes[1] = STARTING
    world.annotate({"retail.mlops/rollback": "2@2025-01-01T00:00:00Z"})
    world.register()
    world.polls.poll()
    await world.once()


async def two_newer(world: World) -> None:
    await a_newer_version(world)
    world.register()
    world.polls.poll()


async def held(world: World) -> None:
    """The served version's approval was withdrawn, and people want it to go on."""
    await serving(world)
    world.register()
    world.create(rollback={"onApprovalRevoked": "Hold"})
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    world.polls.poll()


async def no_artifact(world: World) -> None:
    await a_newer_version(world)
    world.artifacts.remove(world.registry.package(GROUP_OF(world), 2).model_data_url)


async def no_bucket(world: World) -> None:
    await a_newer_version(world)
    world.artifacts.fault = "connection refused"


def GROUP_OF(world: World) -> Any:  # noqa: N802  # shorter than the way to it
    return next(iter(world.polls.interests.values())).group


def pod(outcome: Any) -> Play:
    async def play(world: World) -> None:
        await a_newer_version(world)
        world.cluster.outcomes[2] = outcome
        await world.converge()

    return play


async def unservable(world: World) -> None:
    """The candidate pod has ended for good, and the operator has not looked yet."""
    await verifying(world)
    world.cluster.outcomes[2] = UNSERVABLE
    world.cluster.settle()


async def progressing(world: World) -> None:
    """Verification is off, and the pods do not come up."""
    await serving(world)
    world.create(rollout={"soak": "30s", "verification": {"enabled": False}})
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)


STOPS: dict[str, tuple[Play, int, str, Answer]] = {
    "nothing": (playing(), 2, "", Answer.PASS),
    "suspension": (with_spec(suspend=True), 2, "suspend", Answer.FAIL),
    "another pin": (with_spec(version={"pin": 1}), 2, "pin", Answer.FAIL),
    "a range": (with_spec(version={"range": "<2"}), 2, "range", Answer.FAIL),
    "an absent version": (playing(), 7, "approval", Answer.FAIL),
    "an approval that is pending": (playing(approval=Approval.PENDING), 2, "approval", Answer.FAIL),
    "a rejection": (rejected, 2, "rejection", Answer.FAIL),
    "a newer version": (two_newer, 2, "newest", Answer.FAIL),
    "its age": (moved_on, 2, "newest", Answer.FAIL),
    "a newer version that is only held": (held, 1, "direction", Answer.FAIL),
    "a rollback under way": (during_a_rollback, 3, "rollback", Answer.WAIT),
    "the cooldown": (another_rollback, 3, "cooldown", Answer.WAIT),
    "a missing digest": (playing(sha256=""), 2, "package", Answer.WAIT),
    "failed data validation": (playing(data_validation=DataValidation.FAILED), 2, "data validation", Answer.FAIL),
    "unknown data validation": (playing(data_validation=DataValidation.UNKNOWN), 2, "data validation", Answer.WAIT),
    "a metric below its threshold": (playing(metrics=BAD), 2, "metric accuracy", Answer.FAIL),
    "a metric that is no number": (playing(metrics={**GOOD, "macro_f1": "NaN"}), 2, "metric macro_f1", Answer.WAIT),
    "a missing metric": (playing(metrics={"accuracy": "0.8"}), 2, "metric macro_f1", Answer.WAIT),
    "a missing artifact": (no_artifact, 2, "artifact", Answer.WAIT),
    "an artifact that cannot be asked for": (no_bucket, 2, "artifact", Answer.UNKNOWN),
    "a pod that starts": (pod(STARTING), 2, "candidate pod", Answer.WAIT),
    "a pod that ended for good": (unservable, 2, "candidate pod", Answer.FAIL),
}


@pytest.mark.parametrize(("play", "version", "rule", "answer"), STOPS.values(), ids=STOPS.keys())
async def test_the_first_that_stands_in_the_way_is_named(play: Play, version: int, rule: str, answer: Answer) -> None:
    world, steps = await explained_world(play, version)
    assert stop(steps) == (rule, answer)
    await world.converge()
    if rule:
        current = world.status.current
        assert current is not None
        assert current.version != version, "what the explanation says stands in the way, does"
    else:
        assert world.serving == version, "nothing stands in the way, and so it serves"


@pytest.mark.parametrize(
    "play",
    [serving, soaking, moved_on, rolled_back, progressing],
    ids=["steady", "soaking", "moved on", "rolled back", "progressing"],
)
async def test_what_serves_is_said_to_serve(play: Play) -> None:
    world = World()
    await play(world)
    seen = await observed(world)
    assert world.serving is not None
    current = world.status.current
    assert current is not None
    assert is_served(seen, current.version)
    assert [s.rule for s in explain(seen, world.serving) if s.answer is Answer.FAIL] == []


async def test_a_roll_out_is_counted() -> None:
    """The Deployment moves already; traffic follows pod by pod."""
    _, steps = await explained_world(progressing, 2)
    assert stop(steps) == ("roll-out", Answer.WAIT)
    assert (step(steps, "roll-out").value, step(steps, "soak").answer) == ("2 of 3 ready", Answer.LATER)


async def test_every_gate_is_shown_also_behind_the_one_that_stops() -> None:
    """One round of repairs instead of one per gate."""
    _, steps = await explained_world(playing(metrics=BAD, data_validation=DataValidation.FAILED, sha256=""), 2)
    answers = {s.rule: s.answer for s in steps}
    assert answers["package"] is Answer.WAIT
    assert answers["data validation"] is Answer.FAIL
    assert answers["metric accuracy"] is Answer.FAIL
    assert answers["metric macro_f1"] is Answer.PASS
    assert answers["candidate pod"] is Answer.LATER


async def test_values_stand_beside_their_bounds() -> None:
    _, steps = await explained_world(playing(metrics={**GOOD, "accuracy": "0.755"}), 2)
    metric = step(steps, "metric accuracy")
    assert (metric.value, metric.bound) == ("0.755", ">= 0.75, at most 0.02 below stable")
    assert "worse than stable" in metric.message
    assert (step(steps, "direction").value, step(steps, "direction").bound) == ("2", "> 1")


async def test_a_pin_asks_for_the_artifact_and_the_pod_only() -> None:
    async def play(world: World) -> None:
        await serving(world)
        world.register(metrics=BAD, approval=Approval.REJECTED, data_validation=DataValidation.FAILED)
        world.create(version={"pin": 2})
        world.polls.poll()
        await world.converge()

    world, steps = await explained_world(play, 2)
    assert {s.rule for s in steps if s.answer is Answer.SKIP} >= {"approval", "data validation", "metrics"}
    assert stop(steps) == ("", Answer.PASS)
    assert world.serving == 2


async def test_switches_that_are_off_are_said_to_be_off() -> None:
    analysis = {"requireDataValidation": False, "dryRun": True}
    rollout = {"soak": "30s", "verification": {"enabled": False}}

    async def play(world: World) -> None:
        await serving(world)
        world.create(analysis=analysis, rollout=rollout)
        world.register(metrics=BAD, data_validation=DataValidation.FAILED)
        world.polls.poll()

    world, steps = await explained_world(play, 2)
    assert step(steps, "data validation").answer is Answer.SKIP
    assert step(steps, "candidate pod").answer is Answer.SKIP
    note = step(steps, "metric accuracy")
    assert (note.answer, note.message) == (Answer.NOTE, "dry run, not counted: accuracy 0.70 < 0.75")
    assert stop(steps) == ("", Answer.PASS)
    await world.converge()
    assert world.serving == 2


async def test_a_spent_limit_is_noted_since_it_stops_ways_back_and_not_new_versions() -> None:
    async def play(world: World) -> None:
        await serving(world)
        world.create(rollback={"cooldown": "0s", "maxPerHour": 1})
        world.register()
        world.cluster.outcomes[2] = CRASHING
        world.create(
            rollback={"cooldown": "0s", "maxPerHour": 1}, rollout={"verification": {"enabled": False}, "soak": "30s"}
        )
        await world.pass_time(30)
        world.register()
        world.polls.poll()

    world, steps = await explained_world(play, 3)
    limit = step(steps, "rollback limit")
    assert (limit.answer, limit.value, limit.bound) == (Answer.NOTE, "1 in the last hour", "1")
    assert stop(steps) == ("", Answer.PASS)
    await world.converge()
    assert world.serving == 3


async def test_a_rejection_that_a_person_cleared_is_said_to_end() -> None:
    async def play(world: World) -> None:
        await rejected(world)
        world.measure(2)
        at = world.status.rejected[0].at
        world.annotate({"retail.mlops/unreject": f"2@{at.isoformat()}"})
        world.polls.poll()

    _, steps = await explained_world(play, 2)
    assert (step(steps, "rejection").answer, step(steps, "rejection").message) == (
        Answer.PASS,
        "it ends at the operator's next pass",
    )


async def test_without_the_registry_the_status_still_tells_what_it_knows() -> None:
    _, steps = await explained_world(verifying, 2, with_registry=False)
    assert stop(steps) == ("candidate pod", Answer.WAIT)
    assert step(steps, "artifact").message == "as the operator judged it"
    _, steps = await explained_world(playing(metrics=BAD), 2, with_registry=False)
    assert stop(steps) == ("approval", Answer.UNKNOWN), "the operator has not seen it: nothing is claimed"


@pytest.mark.parametrize(
    ("play", "version"), [(serving, 1), (rolled_back, 2), (verifying, 2), (with_spec(version={"pin": 1}), 1)]
)
async def test_the_version_that_people_mean_is_what_the_policy_would_pick(play: Play, version: int) -> None:
    world = World()
    await play(world)
    assert explained(await observed(world)) == version
