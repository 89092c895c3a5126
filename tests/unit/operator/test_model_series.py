"""Metrics of models: bounded by what exists, counted once, gone with the model."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from psm_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import (
    Desired,
    MetricValue,
    ModelStatus,
    OffHoursStatus,
    Phase,
    Rejection,
    Rollback,
    Served,
)
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import Evidence, ObjectRef, Observation, Plan, RegistryUnknown

REF = ObjectRef("mlops", "uk-grocery")
REGISTRY = {"modelPackageGroupName": "price-sensitivity", "region": "ap-southeast-1"}
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def samples(telemetry: PrometheusTelemetry) -> dict[str, float]:
    """Every sample as `name{label values}` -> value; labels in the order of their names."""
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        f"{sample.name}{{{','.join(sample.labels[label] for label in sorted(sample.labels))}}}": sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("psm_")
    }


def series(telemetry: PrometheusTelemetry) -> set[str]:
    """Names and labels alone."""
    return set(samples(telemetry))


def served(version: int, **metrics: str) -> Served:
    """A version that serves with metrics that pass."""
    values = tuple(MetricValue(name=name, value=value, verdict="Pass") for name, value in metrics.items())
    return Served(version=version, arn=f"arn/{version}", model_data_url="s3://a/b", metrics=values)


def condition(kind: ConditionType, status: ConditionStatus, reason: Reason) -> Condition:
    """One condition."""
    return Condition(
        type=kind, status=status, reason=reason, message="", observed_generation=1, last_transition_time=NOW
    )


def rejection(version: int, reason: Reason, minutes: int) -> Rejection:
    """A version that was rejected so many minutes from now."""
    return Rejection(version=version, reason=reason, message="", at=NOW + timedelta(minutes=minutes), fingerprint="")


def rollback(number: int) -> Rollback:
    """The n-th rollback."""
    return Rollback(
        id=f"id-{number}",
        from_=number + 1,
        to=served(number),
        reason=Reason.METRIC_REGRESSION,
        message="",
        started_at=NOW + timedelta(minutes=number),
    )


READY = condition(ConditionType.READY, ConditionStatus.TRUE, Reason.SERVING)
STATUS = ModelStatus(
    phase=Phase.READY,
    desired=Desired(version=3, arn="arn/3"),
    current=served(2, accuracy="0.78", macro_f1="n/a"),
    stable=served(2),
    conditions=(READY,),
)


def observation(status: ModelStatus = STATUS, ref: ObjectRef = REF, **spec: Any) -> Observation:
    """A look at a model whose status is as given."""
    return Observation(
        ref=ref,
        uid="uid",
        generation=1,
        spec=ModelSpec.model_validate({"registry": REGISTRY, **spec}),
        status=status,
        registry=RegistryUnknown(Reason.NOT_CHECKED, ""),
        evidence=Evidence(metric_failures={"accuracy": 2}),
        artifacts={},
        serving=None,
        candidate=None,
        children={},
        now=NOW,
    )


def look(telemetry: PrometheusTelemetry, before: ModelStatus, after: ModelStatus, ref: ObjectRef = REF) -> None:
    """One pass that finds a status and leaves another."""
    seen = observation(before, ref)
    telemetry.noticed(seen)
    telemetry.observed(seen, Plan(release=after, actions=()))


@pytest.fixture
def telemetry() -> PrometheusTelemetry:
    """A fresh one."""
    return PrometheusTelemetry(version="1.2.3")


def test_a_model_is_shown_whole(telemetry: PrometheusTelemetry) -> None:
    """Phase, conditions, four versions, metrics with verdict and bound, evidence, schedule, last steps."""
    window = OffHoursStatus(since=NOW, until=NOW, replicas=0, replicas_before=2)
    rejected = (rejection(3, Reason.ARTIFACT_MISMATCH, 5),)
    look(
        telemetry,
        STATUS,
        STATUS.model_copy(update={"off_hours": window, "rejected": rejected, "rollback": rollback(1)}),
    )
    found = {name: value for name, value in samples(telemetry).items() if name.startswith("psm_model_")}
    who = "uk-grocery,mlops"
    at = NOW.timestamp()
    assert found == {
        f"psm_model_info{{price-sensitivity,{who},ap-southeast-1}}": 1,
        f"psm_model_phase{{{who},Ready}}": 1,
        f"psm_model_condition{{{who},Serving,True,Ready}}": 1,
        f"psm_model_ready{{{who}}}": 1,
        f"psm_model_stalled{{{who}}}": 0,
        f"psm_model_version{{{who}}}": 2,
        f"psm_model_stable_version{{{who}}}": 2,
        f"psm_model_desired_version{{{who}}}": 3,
        f"psm_model_candidate_version{{{who}}}": 0,
        f"psm_model_metric{{accuracy,{who}}}": 0.78,
        f"psm_model_metric_verdict{{accuracy,{who},Pass}}": 1,
        f"psm_model_metric_verdict{{macro_f1,{who},Pass}}": 1,
        f"psm_model_metric_threshold{{min,accuracy,{who}}}": 0.75,
        f"psm_model_metric_threshold{{min,macro_f1,{who}}}": 0.7,
        f"psm_model_metric_threshold{{min,precision_min_class,{who}}}": 0.65,
        f"psm_model_metric_failures{{accuracy,{who}}}": 2,
        f"psm_model_metric_failures{{macro_f1,{who}}}": 0,
        f"psm_model_metric_failures{{precision_min_class,{who}}}": 0,
        f"psm_model_metric_failure_limit{{{who}}}": 3,
        f"psm_model_schedule_active{{{who}}}": 1,
        f"psm_model_last_rollback_timestamp_seconds{{{who},MetricRegression}}": at + 60,
        f"psm_model_last_rejection_timestamp_seconds{{{who},ArtifactMismatch}}": at + 300,
        f"psm_model_last_pass_timestamp_seconds{{{who}}}": at,
        f"psm_model_rollbacks_total{{{who}}}": 1,
        f"psm_model_rejections_total{{{who}}}": 1,
    }


def test_names_of_metrics_come_from_the_spec_only(telemetry: PrometheusTelemetry) -> None:
    """A status of yesterday's spec brings no series of today's, and there are never more than 32 names."""
    names = [f"m{number}" for number in range(32)]
    status = STATUS.model_copy(update={"current": served(2, **dict.fromkeys([*names, "no-longer-asked-for"], "1"))})
    seen = observation(status, analysis={"metrics": [{"name": name} for name in names]})
    telemetry.observed(seen, Plan(release=status, actions=()))
    shown = {name.split("{")[1].split(",")[0] for name in series(telemetry) if name.startswith("psm_model_metric{")}
    assert shown == set(names)


def test_argo_rollouts_4571_a_thousand_models_that_came_and_went_leave_no_series(
    telemetry: PrometheusTelemetry,
) -> None:
    """There, label sets outlived their objects: 140 Mi became 8.8 GB in 127 days."""
    before = series(telemetry)
    refs = [ObjectRef(f"team-{number % 7}", f"model-{number}") for number in range(1000)]
    for number, ref in enumerate(refs):
        changed = STATUS.model_copy(update={"phase": list(Phase)[number % len(Phase)], "rollback": rollback(number)})
        look(telemetry, STATUS, changed, ref)
        look(telemetry, changed, STATUS, ref)
    assert len(series(telemetry)) > len(before) + 1000 * 20
    for ref in refs:
        telemetry.forget(ref)
    assert series(telemetry) == before
    assert not telemetry._models.shown
    assert not telemetry._models.steps


def test_a_rollback_is_counted_once_however_often_it_is_looked_at(telemetry: PrometheusTelemetry) -> None:
    """From the intent to its end and ever after."""
    under_way = STATUS.model_copy(
        update={"rollback": rollback(1), "rejected": (rejection(2, Reason.METRIC_REGRESSION, 1),)}
    )
    done = under_way.model_copy(update={"rollback": under_way.rollback.model_copy(update={"finished_at": NOW})})  # type: ignore[union-attr]  # set above
    for before, after in ((STATUS, under_way), (under_way, under_way), (under_way, done), (done, done)):
        look(telemetry, before, after)
    found = samples(telemetry)
    assert found["psm_rollbacks_total{MetricRegression}"] == 1
    assert found["psm_model_rollbacks_total{uk-grocery,mlops}"] == 1
    assert found["psm_rejections_total{MetricRegression}"] == 0, "the rollback's own rejection is no candidate's"
    look(telemetry, done, done.model_copy(update={"rollback": rollback(2)}))
    assert samples(telemetry)["psm_rollbacks_total{MetricRegression}"] == 2


def test_after_a_restart_what_the_status_tells_of_already_is_not_counted_again(
    telemetry: PrometheusTelemetry,
) -> None:
    """Counters begin at 0 in a new process; the old one counted, and Prometheus adds the two up."""
    old = STATUS.model_copy(
        update={"rollback": rollback(1), "rejected": (rejection(9, Reason.VERIFICATION_FAILED, 2),)}
    )
    look(telemetry, old, old)
    assert samples(telemetry)["psm_rollbacks_total{MetricRegression}"] == 0
    assert samples(telemetry)["psm_rejections_total{VerificationFailed}"] == 0
    assert samples(telemetry)["psm_model_last_rollback_timestamp_seconds{uk-grocery,mlops,MetricRegression}"] > 0


def test_a_rollback_whose_pass_broke_off_is_counted_by_the_next(telemetry: PrometheusTelemetry) -> None:
    """The intent was written, then the API server went away: `observed` was never called."""
    telemetry.noticed(observation(STATUS))
    under_way = STATUS.model_copy(update={"rollback": rollback(1)})
    look(telemetry, under_way, under_way)
    assert samples(telemetry)["psm_rollbacks_total{MetricRegression}"] == 1


def test_candidates_are_counted_by_the_reason_of_their_rejection(telemetry: PrometheusTelemetry) -> None:
    """A version that is rejected anew counts anew; one that stays rejected does not."""
    first = STATUS.model_copy(update={"rejected": (rejection(3, Reason.VERIFICATION_FAILED, 1),)})
    again = STATUS.model_copy(update={"rejected": (rejection(3, Reason.DATA_VALIDATION_FAILED, 2),)})
    for before, after in ((STATUS, first), (first, first), (first, again)):
        look(telemetry, before, after)
    found = samples(telemetry)
    assert found["psm_rejections_total{VerificationFailed}"] == 1
    assert found["psm_rejections_total{DataValidationFailed}"] == 1
    assert found["psm_model_rejections_total{uk-grocery,mlops}"] == 2


def test_counters_are_there_before_anything_happened(telemetry: PrometheusTelemetry) -> None:
    """`increase()` of a counter that appears with 1 is 0: the first rollback would raise no alert."""
    found = samples(telemetry)
    zero = {name for name, value in found.items() if name.startswith(("psm_rollbacks_total", "psm_rejections_total"))}
    assert {f"psm_rollbacks_total{{{reason}}}" for reason in ("ApprovalRevoked", "RequestedByPerson")} <= zero
    assert all(found[name] == 0 for name in zero)
    assert found["psm_reconcile_duration_seconds_count{error}"] == 0
    assert found["psm_events_dropped_total{refused}"] == 0


def test_a_model_that_cannot_be_understood_is_stalled(telemetry: PrometheusTelemetry) -> None:
    """What was known of it stays; a model that never could be is shown too."""
    look(telemetry, STATUS, STATUS)
    strange = replace(REF, name="strange")
    for ref in (REF, strange, strange):
        telemetry.unreadable(ref, Reason.INVALID_SPEC)
    found = samples(telemetry)
    for name in ("uk-grocery", "strange"):
        assert found[f"psm_model_stalled{{{name},mlops}}"] == 1
        assert found[f"psm_model_condition{{{name},mlops,InvalidSpec,True,Stalled}}"] == 1
    assert found["psm_model_version{uk-grocery,mlops}"] == 2
    telemetry.forget(strange)
    assert not any("strange" in name for name in series(telemetry))
