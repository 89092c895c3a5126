"""`kill -9` at every await point of whole stories, in memory: each ends as if nothing had happened."""

import pytest
from fault_record import FaultRecord
from faults.crash_walk import Losses, Step, Story, play, walk
from faults.crash_world import MortalWorld
from world import GROUP, REF, spec

from psm_operator.adapters.memory_cluster import CRASHING, KIND, STARTING
from psm_operator.values import Approval, DataValidation


def pass_time(seconds: float) -> Story:
    """Steps of one poll each."""

    async def step(world: MortalWorld) -> None:
        await world.pass_time(15)

    return [step] * int(seconds / 15)


def serve_two() -> Story:
    """Version 1 serves and is the way back, then version 2 is."""
    return [lambda w: w.create(), *pass_time(60), lambda w: void(w.register()), *pass_time(75)]


def void(_: object) -> None:
    """A step returns nothing."""


def with_version_1() -> MortalWorld:
    """A registry with one approved version."""
    world = MortalWorld()
    world.register()
    return world


def crash(version: int) -> Step:
    """The pods of a version crash."""
    return lambda w: w.cluster.outcomes.update({version: CRASHING})


WATCHED = {"monitoring": {"cloudWatch": {"enabled": True}}}

STORIES: dict[str, Story] = {
    "a first release": [lambda w: w.create(), *pass_time(90)],
    "a roll-out of version 2": serve_two(),
    "a rollback by metric": [*serve_two(), lambda w: w.measure(2, accuracy="0.71"), *pass_time(180)],
    "a rollback by revocation": [*serve_two(), lambda w: w.approve(2, Approval.REJECTED), *pass_time(120)],
    "a rollback by data validation": [
        *serve_two(),
        lambda w: void(w.registry.update(GROUP, 2, data_validation=DataValidation.FAILED)),
        *pass_time(120),
    ],
    "a rollback at the deadline": [
        lambda w: w.create(),
        *pass_time(60),
        crash(2),
        lambda w: w.create(rollout={"soak": "30s", "verification": {"enabled": False}}),
        lambda w: void(w.register()),
        *pass_time(120),
    ],
    "a candidate that cannot be verified": [
        lambda w: w.create(),
        *pass_time(60),
        crash(2),
        lambda w: void(w.register()),
        *pass_time(900),
    ],
    "a version superseded while it soaks": [
        lambda w: w.create(),
        *pass_time(60),
        lambda w: void(w.register()),
        *pass_time(15),
        lambda w: void(w.register()),
        *pass_time(120),
    ],
    "a child is deleted": [*serve_two(), lambda w: w.cluster.remove("Service", REF), *pass_time(30)],
    "a spec is edited": [*serve_two(), lambda w: w.create(replicas=3), *pass_time(60)],
    "off-hours come and go": [
        lambda w: w.create(
            schedule={"timezone": "UTC", "offHours": [{"start": "00:03", "end": "00:06", "replicas": 0}]}
        ),
        *pass_time(420),
    ],
    "off-hours during a rollback": [
        lambda w: w.create(
            schedule={"timezone": "UTC", "offHours": [{"start": "00:03", "end": "00:06", "replicas": 0}]}
        ),
        *pass_time(60),
        lambda w: void(w.register()),
        *pass_time(60),
        lambda w: w.approve(2, Approval.REJECTED),
        lambda w: w.cluster.outcomes.update({1: STARTING}),
        *pass_time(75),
        lambda w: w.cluster.outcomes.clear(),
        *pass_time(240),
    ],
    "a person asks for a rollback": [
        *serve_two(),
        lambda w: void(w.cluster.put_model(REF, spec(), {"retail.mlops/rollback": "2@2025-01-01T00:02:00Z"})),
        *pass_time(60),
    ],
    "a rollback that has nowhere to go": [
        lambda w: w.create(),
        *pass_time(60),
        lambda w: w.approve(1, Approval.REJECTED),
        *pass_time(60),
    ],
    "a dashboard comes, follows a release and goes": [
        lambda w: w.create(**WATCHED),
        *pass_time(60),
        lambda w: void(w.register()),
        *pass_time(75),
        lambda w: w.create(),
        *pass_time(30),
    ],
    "a model with a dashboard is deleted": [
        lambda w: w.create(**WATCHED),
        *pass_time(60),
        lambda w: w.cluster.remove(KIND, REF),
        *pass_time(30),
    ],
    "two rollbacks": [
        *serve_two(),
        lambda w: w.approve(2, Approval.REJECTED),
        *pass_time(120),
        lambda w: void(w.register()),
        *pass_time(120),
        lambda w: w.measure(3, accuracy="0.71"),
        *pass_time(180),
    ],
}


@pytest.mark.parametrize("name", STORIES)
async def test_whatever_the_moment_of_a_crash_the_story_ends_as_if_undisturbed(
    name: str, fault_record: FaultRecord
) -> None:
    """Same status, children, history, Events, rollbacks, path of versions; no moment without an answering replica."""
    report = await walk(with_version_1, STORIES[name])
    harmed = {point: losses for point, losses in report.harmed.items() if not is_tolerated(losses)}
    fault_record.add(
        f"kill -9 at every await point, in memory: {name}",
        runs=report.points,
        survived=report.points - len(harmed),
        lost=sum(len(losses.lost) for losses in harmed.values()),
        duplicated=sum(len(losses.duplicated) for losses in harmed.values()),
    )
    assert report.points > 100
    assert not harmed, str(report)


@pytest.mark.parametrize("name", ["a rollback by metric", "a rollback that has nowhere to go"])
async def test_a_restart_at_rest_writes_nothing(name: str) -> None:
    """That this process has not looked yet is no news about the model."""
    world = with_version_1()
    for act in STORIES[name]:
        await play(world, act)
    before = list(world.cluster.writes)
    world.restart()
    await world.converge()
    await world.pass_time(60)
    assert world.cluster.writes[len(before) :] == []


def is_tolerated(losses: Losses) -> bool:
    """A repair that was written and not yet told: nothing is left that could tell the next process of it."""
    only_told = not losses.duplicated and not losses.other
    return only_told and all(lost.startswith("Normal Repaired: ") for lost in losses.lost)
