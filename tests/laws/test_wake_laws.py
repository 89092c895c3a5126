"""The law of waking: passes that are left out because the registry says the same again would have changed nothing.

Two operators live through the same registry, people, faults and restarts. One wakes every model at every poll, the other
only those that need it; whatever a person can see is the same, second by second.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from running_world import RestlessPolls, RunningWorld
from world import GROUP, spec

from psm_operator.adapters.memory_cluster import KIND, READY, STARTING, UNSERVABLE, PodOutcome
from psm_operator.api.conditions import Reason
from psm_operator.api.status import ModelStatus
from psm_operator.decide.wishes import ROLLBACK, UNREJECT, rollback_text, unreject_text
from psm_operator.errors import Retryable, Stalled
from psm_operator.polls import SharedPolls
from psm_operator.values import Approval, MetricQuery, MetricReading, ObjectRef

A, B = ObjectRef("mlops", "a"), ObjectRef("mlops", "b")
QUERY = MetricQuery("PSM", "LiveAccuracy", "Average", 300)
ACCURACY = {"name": "accuracy", "threshold": {"min": "0.75"}, "maxRegression": {"absolute": "0.02"}}
LIVE = {
    "name": "live_accuracy",
    "source": "CloudWatch",
    "cloudWatch": {"namespace": "PSM", "metricName": "LiveAccuracy", "statistic": "Average", "period": 300},
    "threshold": {"min": "0.75"},
}
SPECS = st.fixed_dictionaries(
    {"interval": st.sampled_from(["15s", "20s", "1m"])},
    optional={
        "suspend": st.booleans(),
        "version": st.one_of(st.integers(1, 4).map(lambda pin: {"pin": pin}), st.just({"range": ">=2"})),
        "schedule": st.fixed_dictionaries(
            {
                "timezone": st.just("UTC"),
                "offHours": st.just([{"start": "00:18", "end": "00:20", "replicas": 0}]),
            }
        ),
        "rollout": st.fixed_dictionaries(
            {
                "soak": st.sampled_from(["0s", "30s", "2m"]),
                "verification": st.fixed_dictionaries({"enabled": st.booleans()}),
            }
        ),
        "rollback": st.fixed_dictionaries(
            {
                "mode": st.sampled_from(["Automatic", "Manual"]),
                "onApprovalRevoked": st.sampled_from(["Rollback", "Hold", "ScaleToZero"]),
                "onNoTarget": st.sampled_from(["Hold", "ScaleToZero"]),
                "cooldown": st.sampled_from(["0s", "60s"]),
                "maxPerHour": st.integers(1, 3),
            },
            optional={"rejectionTTL": st.sampled_from(["30s", "90s"])},
        ),
        "analysis": st.fixed_dictionaries(
            {"failureLimit": st.integers(1, 4), "dryRun": st.booleans()},
            optional={"metrics": st.sampled_from([[ACCURACY, LIVE], [ACCURACY]])},
        ),
    },
)
REFS = st.sampled_from([A, B])
VERSIONS = st.integers(1, 4)
FAULTS = (
    None,
    Retryable("away", reason=Reason.REGISTRY_UNAVAILABLE),
    Retryable("slow down", reason=Reason.REGISTRY_THROTTLED),
    Stalled(Reason.MODEL_PACKAGE_GROUP_NOT_FOUND, "no such group"),
)
VALUES = st.sampled_from(["0.90", "0.80", "0.74", "0.10", "NaN", ""])
OUTCOMES = st.sampled_from(
    [READY, STARTING, UNSERVABLE, PodOutcome(ready=False, message="OOMKilled", deadline_exceeded=True)]
)
STEPS = st.one_of(
    st.tuples(st.just("edit"), REFS, SPECS),
    st.tuples(st.just("register"), st.sampled_from(list(Approval)), VALUES, st.booleans()),
    st.tuples(st.just("approve"), VERSIONS, st.sampled_from(list(Approval))),
    st.tuples(st.just("measure"), VERSIONS, VALUES),
    st.tuples(st.just("pods"), VERSIONS, OUTCOMES),
    st.tuples(st.just("registry"), st.sampled_from(FAULTS)),
    st.tuples(st.just("evaluation"), VERSIONS, st.sampled_from(["", "evaluation.json: AccessDenied"])),
    st.tuples(st.just("live"), st.sampled_from([None, "0.90", "0.10"]), st.sampled_from(["", "AccessDenied"])),
    st.tuples(st.just("back"), REFS, VERSIONS, st.one_of(st.none(), VERSIONS)),
    st.tuples(st.just("forgive"), REFS),
    st.tuples(st.just("store"), st.sampled_from(["", "away"])),
    st.tuples(st.just("refuse"), REFS, st.sampled_from(["", "exceeded quota"])),
    st.tuples(st.just("restart")),
)
SCRIPTS = st.lists(st.tuples(STEPS, st.sampled_from([1, 7, 16, 40, 100])), min_size=3, max_size=8)


async def act(world: RunningWorld, step: Sequence[Any]) -> None:
    """Do one step of a script."""
    match step:
        case "edit", ref, changes:
            await world.put(ref, spec(**changes))
        case "back" | "forgive", ref, *versions:
            ask(world, ref, *versions)
        case ("restart",):
            await world.end()
            await world.start()
        case "pods" | "store" | "refuse" | "live", *_:
            break_or_mend(world, step)
        case _:
            tell_registry(world, step)


def tell_registry(world: RunningWorld, step: Sequence[Any]) -> None:
    """What people and jobs do in the registry, and what befalls it; a version that is not there is left alone."""
    known = range(1, world.registered + 1)
    match step:
        case "register", approval, value, is_stored:
            world.register(approval, value, is_stored=is_stored)
        case "registry", fault:
            world.registry.fault = fault
        case "approve", version, approval if version in known:
            world.registry.update(GROUP, version, approval=approval)
        case "measure", version, value if version in known:
            world.registry.update(GROUP, version, metrics={"accuracy": value})
        case "evaluation", version, error if version in known:
            world.registry.update(GROUP, version, evaluation_error=error)


def break_or_mend(world: RunningWorld, step: Sequence[Any]) -> None:
    """What befalls pods, the store of artifacts, a child and CloudWatch."""
    match step:
        case "pods", version, outcome:
            world.cluster.outcomes[version] = outcome
        case "store", fault:
            world.artifacts.fault = fault
        case "refuse", ref, message if message:
            world.cluster.refusals["Service", ref.name] = message
        case "refuse", ref, _:
            world.cluster.refusals.pop(("Service", ref.name), None)
        case "live", value, error:
            shown = None if error or value is None else Decimal(value)
            world.metrics.readings[QUERY] = MetricReading(shown, world.clock.now().replace(microsecond=0), error)


def ask(world: RunningWorld, ref: ObjectRef, from_: int | None = None, to: int | None = None) -> None:
    """A person asks for a rollback, or, without a version, that every rejection is forgotten."""
    if from_ is not None:
        annotate(world, ref, ROLLBACK, rollback_text(from_, to, world.clock.now()))
        return
    status = ModelStatus.model_validate((world.cluster.get(KIND, ref) or {}).get("status") or {})
    annotate(world, ref, UNREJECT, unreject_text(status.rejected))


def annotate(world: RunningWorld, ref: ObjectRef, name: str, text: str) -> None:
    """A person annotates a model."""
    world.cluster.edit(KIND, ref, lambda live: live["metadata"].setdefault("annotations", {}).update({name: text}))


async def live_through(polls: type[SharedPolls], script: list[tuple[Sequence[Any], int]]) -> RunningWorld:
    """A world after a script, and after two minutes of quiet."""
    world = RunningWorld(polls)
    for ref in (A, B):
        await world.put(ref, spec())
    world.register(Approval.APPROVED, "0.78", is_stored=True)
    await world.start()
    await world.pass_time(40)
    for step, seconds in script:
        await act(world, step)
        await world.pass_time(seconds)
    await world.pass_time(120)
    await world.end()
    return world


FAILING = [
    (("register", Approval.APPROVED, "0.90", True), 40),
    (("edit", A, {"interval": "15s", "analysis": {"failureLimit": 3, "dryRun": False, "metrics": [ACCURACY]}}), 40),
    (("measure", 2, "0.10"), 100),
]
REVOKED = [(("register", Approval.APPROVED, "0.90", True), 40), (("approve", 2, Approval.REJECTED), 40)]
REFUSED = [
    (("refuse", A, "exceeded quota"), 1),
    (("edit", A, {"interval": "15s", "networking": {"service": {"port": 81}}}), 40),
    (("refuse", A, ""), 40),
]


@example(script=FAILING)
@example(script=REVOKED)
@example(script=REFUSED)
@settings(max_examples=20)
@given(script=SCRIPTS)
def test_a_world_that_wakes_on_change_shows_the_same_at_the_same_times(
    script: list[tuple[Sequence[Any], int]],
) -> None:
    """Statuses, second by second, and Events and writes, in their order."""
    restless = asyncio.run(live_through(RestlessPolls, script))
    world = asyncio.run(live_through(SharedPolls, script))
    for (second, wanted, events), (_, said, recorded) in zip(restless.timeline, world.timeline, strict=True):
        assert (second, said, recorded) == (second, wanted, events)
    assert world.cluster.writes == restless.cluster.writes
    assert world.passes <= restless.passes


def test_models_at_rest_are_left_alone() -> None:
    """Ten quiet minutes, forty polls: not one pass. What the registry then says is acted upon at the next poll."""

    async def story() -> None:
        world = await live_through(SharedPolls, [])
        await world.start()
        await world.pass_time(60)
        before = world.passes
        await world.pass_time(600)
        assert world.passes == before
        world.register(Approval.APPROVED, "0.79", is_stored=True)
        await world.pass_time(16)
        for ref in (A, B):
            candidate = ModelStatus.model_validate((world.cluster.get(KIND, ref) or {})["status"]).candidate
            assert candidate is not None
            assert candidate.version == 2
        await world.end()

    asyncio.run(story())
