"""What people ask for beyond the newest version: a way back now, a rejection forgotten, a range, a dry run; and live metrics."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from world import GOOD, GROUP, REF, World, spec

from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.status import HistoryResult
from psm_operator.decide.wishes import ROLLBACK, UNREJECT, rollback_text, unreject_text
from psm_operator.values import Approval, GroupRef, MetricQuery, MetricReading

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
async def world() -> World:
    """Versions 1 and 2 have served; 2 is stable."""
    made = World()
    made.register()
    await made.serve()
    made.register()
    await made.pass_time(90)
    assert (made.serving, made.stable) == (2, 2)
    return made


def ask(world: World, annotations: dict[str, str], **changes: Any) -> None:
    """A person annotates the resource."""
    world.cluster.put_model(REF, spec(**changes), annotations)


# --- a person's rollback ---------------------------------------------------------------------------------------------


async def test_a_person_goes_back_at_once_and_the_version_stays_out(world: World) -> None:
    ask(world, {ROLLBACK: rollback_text(2, None, NOW)})
    await world.converge()
    assert world.serving == 1
    assert [(entry.version, entry.reason) for entry in world.status.rejected] == [(2, Reason.REQUESTED_BY_PERSON)]
    await world.pass_time(3600, step_s=300)
    assert world.serving == 1


async def test_one_wish_is_one_rollback_even_if_the_version_comes_back(world: World) -> None:
    ask(world, {ROLLBACK: rollback_text(2, None, NOW)})
    await world.converge()
    world.approve(2, Approval.REJECTED)
    await world.pass_time(30)
    world.approve(2)
    await world.pass_time(300)
    assert world.serving == 2
    assert [entry.result for entry in world.status.history].count(HistoryResult.ROLLED_BACK) == 1


async def test_a_person_names_where_to_go(world: World) -> None:
    world.register()
    await world.pass_time(90)
    assert world.serving == 3
    ask(world, {ROLLBACK: rollback_text(3, 1, NOW)})
    await world.converge()
    assert world.serving == 1


async def test_a_person_reaches_further_back_than_the_operator_looks_by_itself(world: World) -> None:
    for _ in range(5):
        world.register()
        await world.pass_time(90)
    assert world.serving == 7
    ask(world, {ROLLBACK: rollback_text(7, 1, NOW)})
    await world.converge()
    assert world.serving == 1
    assert Reason.NO_ROLLBACK_TARGET not in [event.reason for event in world.events]


async def test_a_target_that_never_served_is_refused_with_what_to_do(world: World) -> None:
    ask(world, {ROLLBACK: rollback_text(2, 9, NOW)})
    await world.converge()
    assert world.serving == 2
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.NO_ROLLBACK_TARGET
    assert "version 9 may not be served" in stalled.message
    ask(world, {ROLLBACK: rollback_text(2, 1, NOW)})
    await world.converge()
    assert world.serving == 1
    assert world.condition(ConditionType.STALLED) is None


async def test_a_wish_about_a_version_that_does_not_serve_is_void_for_ever(world: World) -> None:
    ask(world, {ROLLBACK: rollback_text(3, None, NOW)})
    await world.converge()
    world.register()
    await world.pass_time(120)
    assert world.serving == 3


async def test_a_wish_under_a_pin_is_void_also_after_the_pin(world: World) -> None:
    ask(world, {ROLLBACK: rollback_text(2, None, NOW)}, version={"pin": 2})
    await world.converge()
    ask(world, {})
    await world.pass_time(60)
    assert world.serving == 2


@pytest.mark.parametrize("rollback", [{"mode": "Manual"}, {"mode": "Disabled"}, {"maxPerHour": 1}])
async def test_policies_that_bind_the_operator_do_not_bind_a_person(world: World, rollback: dict[str, Any]) -> None:
    world.register()
    await world.pass_time(90)
    if "maxPerHour" in rollback:
        world.measure(3, accuracy="0.1")
        await world.pass_time(60)
        assert world.serving == 2
    else:
        assert world.serving == 3
    ask(world, {ROLLBACK: rollback_text(world.serving or 0, None, NOW)}, rollback=rollback)
    await world.converge()
    assert world.serving == {2: 1, 3: 2}[3 if "mode" in rollback else 2]


async def test_a_persons_rollback_uses_up_none_of_the_operators(world: World) -> None:
    rules = {"maxPerHour": 1, "cooldown": "0s"}
    ask(world, {ROLLBACK: rollback_text(2, None, NOW)}, rollback=rules)
    await world.converge()
    world.register()
    await world.pass_time(90)
    assert world.serving == 3
    world.measure(3, accuracy="0.10")
    await world.pass_time(60)
    assert world.serving == 1


async def test_a_person_does_not_reach_an_unapproved_version(world: World) -> None:
    world.approve(1, Approval.REJECTED)
    await world.pass_time(15)
    ask(world, {ROLLBACK: rollback_text(2, None, NOW)})
    await world.converge()
    assert world.serving == 2
    assert world.phase == "Blocked"


async def test_an_annotation_that_cannot_be_read_is_said_and_harmless(world: World) -> None:
    ask(world, {ROLLBACK: "please"})
    await world.converge()
    assert world.serving == 2
    assert "annotation retail.mlops/rollback is 'please'" in world.status.message
    ask(world, {ROLLBACK: "", UNREJECT: "2@yesterday"})
    await world.converge()
    assert "annotation retail.mlops/unreject is '2@yesterday'" in world.status.message


# --- the end of a rejection ------------------------------------------------------------------------------------------


async def rejected_two(**changes: Any) -> World:
    world = World()
    world.register()
    await world.serve(**changes)
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.71")
    await world.pass_time(60)
    assert [entry.version for entry in world.status.rejected] == [2]
    world.measure(2, accuracy="0.80")
    return world


async def test_a_person_forgives_exactly_one_rejection() -> None:
    world = await rejected_two()
    ask(world, {UNREJECT: unreject_text(world.status.rejected)})
    await world.pass_time(120)
    assert (world.serving, world.status.rejected) == (2, ())
    world.measure(2, accuracy="0.71")
    await world.pass_time(3600, step_s=60)
    assert world.serving == 1, "the old word does not cover the new rejection"
    assert [entry.version for entry in world.status.rejected] == [2]


async def test_a_rejection_with_a_time_to_live_ends_by_itself() -> None:
    world = await rejected_two(rollback={"rejectionTTL": "30m", "cooldown": "60s"})
    result = await world.once()
    assert result is not None
    assert result.requeue_after_s is not None
    await world.pass_time(1500, step_s=60)
    assert world.serving == 1
    await world.pass_time(600, step_s=60)
    assert world.serving == 2


# --- a range ---------------------------------------------------------------------------------------------------------


async def test_a_range_chooses_among_its_versions_only() -> None:
    world = World()
    for _ in range(4):
        world.register()
    await world.serve(version={"range": ">=2 <4 !=1"})
    assert world.serving == 3
    assert world.status.desired is not None
    assert world.status.desired.version == 3


async def test_a_range_that_leaves_the_served_version_out_leads_back_through_verification(world: World) -> None:
    world.create(version={"range": "<2"})
    await world.pass_time(60)
    assert world.serving == 1
    assert world.cluster.writes.count("create Deployment/uk-grocery.candidate") == 2
    assert world.status.rejected == ()


async def test_a_rollback_does_not_leave_the_range(world: World) -> None:
    world.create(version={"range": ">=2"})
    world.approve(2, Approval.REJECTED)
    await world.pass_time(60)
    assert world.serving == 2
    assert world.phase == "Blocked"


async def test_a_range_without_a_version_says_which() -> None:
    world = World()
    world.register()
    world.create(version={"range": ">7"})
    await world.converge()
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert "in range '>7'" in stalled.message


# --- metrics ---------------------------------------------------------------------------------------------------------


async def test_a_dry_run_shows_verdicts_and_moves_nothing(world: World) -> None:
    world.create(analysis={"dryRun": True})
    world.measure(2, accuracy="0.10")
    world.register(metrics={**GOOD, "accuracy": "0.20"})
    await world.pass_time(300)
    assert world.serving == 3, "a bad candidate passes"
    await world.pass_time(120)
    assert (world.stable, world.status.rejected) == (3, ())
    healthy = world.condition(ConditionType.METRICS_HEALTHY)
    assert healthy is not None
    assert healthy.status is ConditionStatus.FALSE
    assert "dryRun" in healthy.message


async def test_a_dry_run_forgets_what_was_counted_before_it(world: World) -> None:
    world.create(rollback={"mode": "Manual"})
    world.measure(2, accuracy="0.10")
    await world.pass_time(60)
    assert world.phase == "Blocked"
    world.create(rollback={"mode": "Manual"}, analysis={"dryRun": True})
    await world.pass_time(15)
    assert world.phase == "Ready"


async def test_a_metric_that_cannot_be_read_now_and_then_changes_nothing_and_at_length_is_unknown(world: World) -> None:
    world.create(analysis={"consecutiveErrorLimit": 3})
    await world.converge()
    for count, status in [(2, ConditionStatus.TRUE), (1, ConditionStatus.UNKNOWN)]:
        world.registry.update(GROUP, 2, evaluation_error="s3://models/evaluation.json: AccessDenied")
        await world.pass_time(15 * count)
        healthy = world.condition(ConditionType.METRICS_HEALTHY)
        assert healthy is not None
        assert healthy.status is status
    healthy = world.condition(ConditionType.METRICS_HEALTHY)
    assert healthy is not None
    assert healthy.reason is Reason.METRICS_UNREADABLE
    assert "AccessDenied" in healthy.message
    await world.pass_time(900)
    assert world.serving == 2


async def test_an_unreadable_evaluation_holds_a_candidate_unless_a_live_metric_speaks() -> None:
    world = World()
    package = world.register()
    world.registry.update(GROUP, 1, evaluation_error="s3://models/evaluation.json does not exist")
    world.create()
    await world.pass_time(60)
    assert world.serving is None
    assert "evaluation.json does not exist" in world.status.message
    world.registry.update(GROUP, 1, live_metrics=frozenset(package.metrics))
    await world.pass_time(60)
    assert world.serving == 1


async def test_seventeen_digits_are_judged_whole_and_shown_as_six(world: World) -> None:
    world.measure(2, accuracy="0.80384467982364718")
    await world.pass_time(15)
    current = world.status.current
    assert current is not None
    assert current.metrics[0].value == "0.803845"
    world.create(analysis={"metrics": [{"name": "accuracy", "threshold": {"min": "0.803844679824"}}]})
    await world.pass_time(60)
    healthy = world.condition(ConditionType.METRICS_HEALTHY)
    assert healthy is not None
    assert healthy.status is ConditionStatus.FALSE


QUERY = MetricQuery("PSM", "LiveAccuracy", "Average", 300, (("Model", "uk-grocery"),))
LIVE = {
    "name": "live_accuracy",
    "source": "CloudWatch",
    "cloudWatch": {
        "namespace": "PSM",
        "metricName": "LiveAccuracy",
        "statistic": "Average",
        "period": 300,
        "dimensions": [{"name": "Model", "value": "uk-grocery"}],
    },
    "threshold": {"min": "0.75"},
}


def read(world: World, value: str | None, *, error: str = "") -> None:
    """CloudWatch has a new datapoint."""
    number = None if value is None else Decimal(value)
    world.live_metrics.put(QUERY, MetricReading(number, None if value is None else world.clock.now(), error))


@pytest.fixture
async def measured(world: World) -> World:
    """The same, watched through CloudWatch."""
    world.create(analysis={"metrics": [LIVE]})
    await world.pass_time(30)
    return world


async def test_what_is_measured_rolls_back_after_failure_limit_datapoints(measured: World) -> None:
    for expected in (2, 2, 1):
        read(measured, "0.60")
        await measured.pass_time(300, step_s=60)
        assert measured.serving == expected
    assert "live_accuracy 0.60 < 0.75" in measured.status.rejected[0].message


async def test_one_bad_datapoint_read_many_times_counts_once(measured: World) -> None:
    read(measured, "0.60")
    await measured.pass_time(3600, step_s=60)
    assert measured.serving == 2


@pytest.mark.parametrize(("value", "error"), [(None, ""), (None, "AccessDenied: cloudwatch:GetMetricData")])
async def test_no_traffic_and_no_metric_are_never_a_failure(measured: World, value: str | None, error: str) -> None:
    read(measured, value, error=error)
    await measured.pass_time(3600, step_s=60)
    assert measured.serving == 2
    healthy = measured.condition(ConditionType.METRICS_HEALTHY)
    assert healthy is not None
    assert healthy.status is ConditionStatus.UNKNOWN
    expected = error or "has no datapoint of PSM/LiveAccuracy (Average, Model=uk-grocery)"
    assert expected in healthy.message


async def test_what_was_measured_of_the_version_before_does_not_count(measured: World) -> None:
    for _ in range(3):
        read(measured, "0.60")
        await measured.pass_time(60)
    assert measured.serving == 1
    await measured.pass_time(3600, step_s=60)
    assert measured.serving == 1
    assert measured.phase == "Ready"


async def test_a_candidate_is_not_judged_by_what_only_a_served_version_has(measured: World) -> None:
    measured.register()
    await measured.pass_time(120)
    assert measured.serving == 3


async def test_the_account_of_a_role_is_asked_with_the_role() -> None:
    world = World()
    role = "arn:aws:iam::222222222222:role/reader"
    group = world.registry.add_group(GroupRef(GROUP.name, GROUP.region, role))
    package = world.registry.register(group, approval=Approval.APPROVED, metrics=GOOD)
    world.artifacts.put(package.model_data_url, package.sha256)
    world.create(registry={"modelPackageGroupName": GROUP.name, "region": GROUP.region, "roleARN": role})
    await world.once()
    await world.pass_time(60)
    assert world.serving == 1


async def test_a_model_that_goes_leaves_no_query_behind(measured: World) -> None:
    assert measured.live_metrics.wanted == {REF: frozenset({QUERY})}
    measured.cluster.remove("PriceSensitivityModel", REF)
    await measured.once()
    assert measured.live_metrics.wanted == {}
