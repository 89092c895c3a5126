"""Cases of each alert: series that make it fire, from which minute, with which labels and words, and series just below.

A minute is a scrape. `test_alerts` turns each case into a unit test of promtool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

Values = list[float | str]
Series = Mapping[str, Values]


def hold(value: float, minutes: int) -> Values:
    """The same value at each scrape."""
    return [value] * minutes


def rise(start: float, step: float, minutes: int) -> Values:
    """A value that grows by `step` at each scrape."""
    return [start + step * number for number in range(minutes)]


def gone(minutes: int) -> Values:
    """Nothing was scraped."""
    return ["_"] * minutes


@dataclass(frozen=True)
class Case:
    """When one alert fires and when it does not.

    Attributes:
        fires: series -> values; the alert is silent one minute before `minute` and fires at it.
        below: series -> values that never make it fire.
        labels: of the alert, severity aside.
        summary: with its values filled in.
        description: likewise; None where it has no values.
    """

    fires: Series
    below: Series
    minute: int
    labels: Mapping[str, str]
    summary: str
    description: str | None = None


OPERATOR = {"namespace": "psm-system", "job": "psm-operator-metrics"}
POD = {**OPERATOR, "instance": "10.0.0.7:9090", "pod": "psm-operator-0"}
OTHER_POD = {**OPERATOR, "instance": "10.0.0.8:9090", "pod": "psm-operator-1"}
MODEL = {"namespace": "mlops", "name": "uk-grocery"}
GROUP = {"region": "ap-southeast-1", "group": "price-sensitivity"}
LISTING = {"service": "sagemaker", "operation": "ListModelPackages"}
DAY = 24 * 60


def s(metric: str, /, *labels: Mapping[str, str], **more: str) -> str:
    """A series as promtool writes it."""
    merged: dict[str, str] = {}
    for part in (*labels, more):
        merged |= part
    return f"{metric}{{{','.join(f'{key}={value!r}' for key, value in sorted(merged.items()))}}}".replace("'", '"')


def passes(outcome: str, per_minute: float, minutes: int = 60) -> Series:
    """Passes that ended so."""
    return {s("psm_reconcile_duration_seconds_count", POD, outcome=outcome): rise(0, per_minute, minutes)}


def slow_passes(slow_per_minute: float) -> Series:
    """A thousand passes a minute, some of which take between 10 and 30 s."""
    name = "psm_reconcile_duration_seconds_bucket"
    fast = rise(0, 1000 - slow_per_minute, 60)
    return {
        s(name, POD, outcome="success", le="10.0"): fast,
        s(name, POD, outcome="success", le="30.0"): rise(0, 1000, 60),
        s(name, POD, outcome="success", le="+Inf"): rise(0, 1000, 60),
    }


def memory(before: float, after: float, children: int, pod: Mapping[str, str] = POD) -> Series:
    """A day apart, in MiB; the number of children was 1,000 before."""
    later = 2 * 60
    return {
        s("process_resident_memory_bytes", pod): hold(before * 2**20, DAY) + hold(after * 2**20, later),
        s("psm_cached_children", pod): hold(1000, DAY) + hold(children, later),
    }


def condition(kind: str, status: str, reason: str, values: Values) -> Series:
    """One condition of the model."""
    return {s("psm_model_condition", MODEL, type=kind, status=status, reason=reason): values}


PREDICTOR = {**MODEL, "version": "18", "instance": "10.0.1.7:8080", "pod": "uk-grocery-5d9c7-a"}
OTHER_PREDICTOR = {**PREDICTOR, "instance": "10.0.1.8:8080", "pod": "uk-grocery-5d9c7-b"}


def labelled(pod: Mapping[str, str], accuracy: float, labels: float, minutes: int = 60) -> Series:
    """What one predictor pod says of the labels that it got, until it ends."""
    return {
        s("psm_predictor_live_accuracy", pod): [*hold(accuracy, minutes), "stale"],
        s("psm_predictor_live_labels", pod): [*hold(labels, minutes), "stale"],
    }


def drifted(pod: Mapping[str, str], minutes: int = 120, **features: float) -> Series:
    """Its stability index of some features, until it ends."""
    return {
        s("psm_predictor_drift_psi", pod, feature=feature): [*hold(value, minutes), "stale"]
        for feature, value in features.items()
    }


WHO = "Model mlops/uk-grocery"

CASES: Mapping[str, Case] = {
    "PsmOperatorDown": Case(
        fires={s("psm_operator_build_info", POD, version="1"): [*hold(1, 6), "stale"]},
        below={s("psm_operator_build_info", POD, version="1"): [*hold(1, 6), "stale", *gone(3), *hold(1, 30)]},
        minute=11,
        labels={},
        summary="No psm-operator is being scraped.",
    ),
    "PsmNoLeader": Case(
        fires={s("psm_leader", POD): hold(1, 6) + hold(0, 20), s("psm_leader", OTHER_POD): hold(0, 26)},
        below={s("psm_leader", POD): hold(1, 6) + hold(0, 20), s("psm_leader", OTHER_POD): hold(0, 8) + hold(1, 18)},
        minute=8,
        labels=OPERATOR,
        summary="No psm-operator of psm-system leads.",
    ),
    "PsmSeveralLeaders": Case(
        fires={s("psm_leader", POD): hold(1, 20), s("psm_leader", OTHER_POD): hold(0, 6) + hold(1, 14)},
        below={s("psm_leader", POD): hold(1, 7) + hold(0, 13), s("psm_leader", OTHER_POD): hold(0, 6) + hold(1, 14)},
        minute=8,
        labels=OPERATOR,
        summary="2 processes of psm-system believe that they lead.",
    ),
    "PsmLeaderFlapping": Case(
        fires={s("psm_lease_transitions_total", POD): hold(7, 61) + rise(8, 1, 5) + hold(12, 30)},
        below={s("psm_lease_transitions_total", POD): hold(7, 61) + rise(8, 1, 4) + hold(11, 90)},
        minute=65,
        labels=OPERATOR,
        summary="The Lease of psm-system changed hands 5 times in an hour.",
    ),
    "PsmQueueStuck": Case(
        fires={s("psm_queue_oldest_seconds", POD): hold(0, 5) + rise(121, 60, 20)},
        below={s("psm_queue_oldest_seconds", POD): hold(0, 5) + hold(120, 20)},
        minute=10,
        labels=POD,
        summary="A model has waited 7m 1s for a worker of psm-operator-0.",
    ),
    "PsmReconcileErrors": Case(
        fires={**passes("success", 75), **passes("retryable", 25)},
        below={**passes("success", 80), **passes("timeout", 20), **passes("stalled", 900)},
        minute=16,
        labels=OPERATOR,
        summary="25% of the passes of psm-system fail.",
    ),
    "PsmOperatorBug": Case(
        fires={s("psm_reconcile_duration_seconds_count", POD, outcome="error"): hold(0, 16) + hold(1, 30)},
        below={s("psm_reconcile_duration_seconds_count", POD, outcome="timeout"): hold(0, 16) + hold(9, 30)},
        minute=16,
        labels=OPERATOR,
        summary="1 passes of psm-system ended with an unexpected error.",
    ),
    "PsmSlowPasses": Case(
        fires=slow_passes(11),
        below=slow_passes(10),
        minute=16,
        labels=OPERATOR,
        summary="One pass in a hundred of psm-system takes 11.82s or longer.",
    ),
    "PsmWatchDead": Case(
        fires={s("psm_watch_running", POD, kind="Service"): hold(1, 5) + hold(0, 20)},
        below={
            s("psm_watch_running", POD, kind="Service"): hold(0, 2) + hold(1, 20),
            s("psm_watch_age_seconds", POD, kind="Service"): rise(0, 60, 22),
            s("psm_watch_age_seconds", POD, kind="Lease"): hold(120, 22),
        },
        minute=7,
        labels={**POD, "kind": "Service"},
        summary="psm-operator-0 does not see what happens to objects of kind Service.",
    ),
    "PsmRegistryUnknown": Case(
        fires={s("psm_registry_unknown_seconds_total", POD, GROUP): hold(0, 16) + rise(60, 60, 30)},
        below={s("psm_registry_unknown_seconds_total", POD, GROUP): hold(0, 16) + rise(35, 35, 60)},
        minute=31,
        labels={**POD, **GROUP},
        summary="Model package group price-sensitivity in ap-southeast-1 cannot be read.",
        description="In the last 15 minutes it was unknown for 15m 0s; its models go on serving and none is promoted "
        "or rolled back.",
    ),
    "PsmAwsThrottled": Case(
        fires={s("psm_aws_calls_total", POD, LISTING, outcome="throttled"): hold(0, 16) + rise(1, 1, 30)},
        below={
            s("psm_aws_calls_total", POD, LISTING, outcome="throttled"): hold(0, 16) + rise(1, 1, 4) + hold(4, 30),
            s("psm_aws_calls_total", POD, LISTING, outcome="away"): rise(0, 9, 50),
        },
        minute=26,
        labels={**OPERATOR, **LISTING},
        summary="AWS throttles sagemaker ListModelPackages.",
        description="11 calls were refused in the last 15 minutes; polls slow down by themselves.",
    ),
    "PsmAwsDenied": Case(
        fires={s("psm_aws_calls_total", POD, LISTING, outcome="denied"): hold(0, 16) + hold(1, 30)},
        below={s("psm_aws_calls_total", POD, LISTING, outcome="missing"): hold(0, 16) + rise(1, 1, 30)},
        minute=21,
        labels={**OPERATOR, **LISTING},
        summary="AWS denies sagemaker ListModelPackages.",
        description="1 calls were denied in the last 15 minutes; a role lacks a right, or credentials are not valid.",
    ),
    "PsmEventsDropped": Case(
        fires={s("psm_events_dropped_total", POD, why="rate"): hold(0, 16) + hold(1, 30)},
        below={s("psm_events_dropped_total", POD, why="rate"): hold(7, 46)},
        minute=21,
        labels={**OPERATOR, "why": "rate"},
        summary="1 Kubernetes Events were not recorded (rate).",
    ),
    "PsmMemoryGrowing": Case(
        fires=memory(160, 201, children=1100),
        below={
            **memory(160, 240, children=1200),
            **memory(160, 200, children=1000, pod=OTHER_POD),
            **memory(90, 128, children=1000, pod={**POD, "instance": "10.0.0.9:9090"}),
        },
        minute=DAY + 60,
        labels=POD,
        summary="psm-operator-0 uses 201MiB, a quarter more than a day ago.",
    ),
    "PsmModelNotReady": Case(
        fires={
            s("psm_model_ready", MODEL): hold(1, 5) + hold(0, 60),
            s("psm_model_schedule_active", MODEL): hold(0, 65),
            s("psm_model_phase", MODEL, phase="Degraded"): hold(1, 65),
            **condition("Available", "False", "Unavailable", hold(1, 65)),
            **condition("Stalled", "True", "ScaledToZero", hold(1, 65)),
        },
        below={
            s("psm_model_ready", MODEL): hold(0, 30) + hold(1, 2) + hold(0, 30),
            s("psm_model_ready", MODEL, name="asleep"): hold(0, 62),
            s("psm_model_schedule_active", MODEL, name="asleep"): hold(1, 62),
            s("psm_model_ready", MODEL, name="suspended"): hold(0, 62),
            s("psm_model_phase", MODEL, name="suspended", phase="Suspended"): hold(1, 62),
            s("psm_model_ready", MODEL, name="stopped"): hold(0, 62),
            s(
                "psm_model_condition",
                MODEL,
                name="stopped",
                type="Available",
                status="False",
                reason="ScaledToZero",
            ): hold(1, 62),
        },
        minute=35,
        labels=MODEL,
        summary=f"{WHO} is not ready.",
    ),
    "PsmModelStalled": Case(
        fires=condition("Stalled", "True", "NoRollbackTarget", hold(1, 20)),
        below={
            **condition("Stalled", "True", "NoRollbackTarget", [*hold(1, 5), "stale", *gone(20)]),
            **condition("Stalled", "True", "RollbackLimitExceeded", hold(1, 26)),
            **condition("Stalled", "False", "ChildRejected", hold(1, 26)),
            **condition("Ready", "True", "Serving", hold(1, 26)),
        },
        minute=5,
        labels={**MODEL, "type": "Stalled", "status": "True", "reason": "NoRollbackTarget"},
        summary=f"{WHO} waits for a person: NoRollbackTarget.",
    ),
    "PsmRollbackLimit": Case(
        fires=condition("Stalled", "True", "RollbackLimitExceeded", gone(5) + hold(1, 20)),
        below={
            **condition("Stalled", "True", "NoRollbackTarget", hold(1, 20)),
            **condition("Reconciling", "True", "RollbackLimitExceeded", hold(1, 20)),
        },
        minute=5,
        labels={**MODEL, "type": "Stalled", "status": "True", "reason": "RollbackLimitExceeded"},
        summary=f"{WHO} rolled back too often and has stopped doing so.",
    ),
    "PsmRollback": Case(
        fires={
            s("psm_model_last_rollback_timestamp_seconds", MODEL, reason="MetricRegression"): gone(5) + hold(240, 30)
        },
        below={
            s("psm_model_last_rollback_timestamp_seconds", MODEL, reason="MetricRegression"): gone(64) + hold(240, 30)
        },
        minute=5,
        labels={**MODEL, "reason": "MetricRegression"},
        summary=f"{WHO} went back to an earlier version: MetricRegression.",
        description="That was 1m 0s ago; the version that failed stays out until it is approved anew.",
    ),
    "PsmVersionBehind": Case(
        fires={
            s("psm_model_desired_version", MODEL): hold(18, 400),
            s("psm_model_version", MODEL): hold(17, 400),
            s("psm_model_phase", MODEL, phase="Ready"): hold(1, 400),
        },
        below={
            s("psm_model_desired_version", MODEL): hold(18, 400),
            s("psm_model_version", MODEL): hold(17, 359) + hold(18, 41),
            s("psm_model_desired_version", MODEL, name="empty"): hold(0, 400),
            s("psm_model_version", MODEL, name="empty"): hold(17, 400),
            s("psm_model_desired_version", MODEL, name="suspended"): hold(18, 400),
            s("psm_model_version", MODEL, name="suspended"): hold(17, 400),
            s("psm_model_phase", MODEL, name="suspended", phase="Suspended"): hold(1, 400),
        },
        minute=360,
        labels=MODEL,
        summary=f"{WHO} does not serve version 18, which the policy picks.",
    ),
    "PsmMetricsUnreadable": Case(
        fires={s("psm_model_metric_verdict", MODEL, metric="accuracy", verdict="Error"): hold(1, 90)},
        below={
            s("psm_model_metric_verdict", MODEL, metric="accuracy", verdict="Inconclusive"): [*hold(1, 60), "stale"],
            s("psm_model_metric_verdict", MODEL, metric="accuracy", verdict="Fail"): hold(1, 120),
        },
        minute=60,
        labels={**MODEL, "metric": "accuracy", "verdict": "Error"},
        summary="Metric accuracy of model mlops/uk-grocery cannot be judged (Error).",
    ),
    "PsmMetricFailing": Case(
        fires={
            s("psm_model_metric_failures", MODEL, metric="accuracy"): hold(0, 5) + hold(2, 20),
            s("psm_model_metric_failure_limit", MODEL): hold(4, 25),
        },
        below={
            s("psm_model_metric_failures", MODEL, metric="accuracy"): hold(1, 25),
            s("psm_model_metric_failure_limit", MODEL): hold(3, 25),
        },
        minute=5,
        labels={**MODEL, "metric": "accuracy"},
        summary="Metric accuracy of model mlops/uk-grocery fails in production.",
        description="50% of the failures in a row that end in a rollback.",
    ),
    "PsmMonitoringNotReady": Case(
        fires=condition("MonitoringReady", "False", "AccessDenied", hold(1, 40)),
        below={
            **condition("MonitoringReady", "False", "TopicNotFound", [*hold(1, 30), "stale", *gone(20)]),
            **condition("MonitoringReady", "True", "Monitored", hold(1, 60)),
            **condition("Ready", "False", "AccessDenied", hold(1, 60)),
        },
        minute=30,
        labels={**MODEL, "type": "MonitoringReady", "status": "False", "reason": "AccessDenied"},
        summary="CloudWatch has not what model mlops/uk-grocery asks for: AccessDenied.",
    ),
    "PsmDataValidationFailed": Case(
        fires=condition("Reconciling", "True", "DataValidationFailed", gone(5) + hold(1, 20)),
        below={
            **condition("Reconciling", "True", "MetricInconclusive", hold(1, 90)),
            s("psm_model_last_rejection_timestamp_seconds", MODEL, reason="DataValidationFailed"): gone(61)
            + hold(60, 29),
            s("psm_model_last_rejection_timestamp_seconds", MODEL, reason="MetricRegression"): hold(0, 90),
        },
        minute=5,
        labels=MODEL,
        summary="A version of model mlops/uk-grocery has no valid data behind it.",
    ),
    "PsmCandidateKeepsFailing": Case(
        fires={
            s("psm_model_rejections_total", MODEL): hold(0, DAY + 1) + hold(1, 60) + hold(2, 60),
            s("psm_model_rollbacks_total", MODEL): hold(0, DAY + 31) + hold(1, 90),
        },
        below={
            s("psm_model_rejections_total", MODEL): hold(0, DAY + 1) + hold(1, 2 * DAY),
            s("psm_model_rollbacks_total", MODEL): hold(3, DAY + 31) + hold(4, 2 * DAY),
        },
        minute=DAY + 61,
        labels=MODEL,
        summary="3 versions of model mlops/uk-grocery failed within a day.",
    ),
    "PsmLiveAccuracyLow": Case(
        fires={**labelled(PREDICTOR, 0.80, 100), **labelled(OTHER_PREDICTOR, 0.70, 400)},
        below={
            **labelled(PREDICTOR, 0.70, 300),
            **labelled(OTHER_PREDICTOR, 0.80, 300),
            **labelled({**PREDICTOR, "name": "few"}, 0.50, 499),
            **labelled({**PREDICTOR, "name": "brief"}, 0.50, 900, minutes=30),
        },
        minute=30,
        labels={**MODEL, "version": "18"},
        summary="Version 18 of model mlops/uk-grocery is right in 72% of the labels that arrived.",
    ),
    "PsmDrift": Case(
        fires={
            **drifted(PREDICTOR, spend=0.3, items=0.3, shop_hour=4.0),
            **drifted(OTHER_PREDICTOR, spend=0.3, items=0.1, shop_hour=4.0),
            s("psm_predictor_drift_prediction_psi", PREDICTOR): hold(0.4, 120),
        },
        below={
            **drifted(PREDICTOR, spend=0.3, items=0.25, shop_hour=4.0, shop_weekday=3.0),
            **drifted(OTHER_PREDICTOR, spend=0.2, items=0.25, shop_hour=4.0, shop_weekday=3.0),
            s("psm_predictor_drift_prediction_psi", PREDICTOR): hold(0.25, 120),
            **drifted({**PREDICTOR, "name": "brief"}, minutes=60, spend=3.0),
        },
        minute=60,
        labels={**MODEL, "version": "18"},
        summary="Baskets of version 18 of model mlops/uk-grocery are not those it was trained on.",
        description="2 features, or its predictions, have had a population stability index above 0.25 for an hour.",
    ),
    "PsmFeedbackUnmatched": Case(
        fires={
            s("psm_predictor_feedback_total", PREDICTOR, outcome="counted"): rise(0, 3, 120),
            s("psm_predictor_feedback_total", OTHER_PREDICTOR, outcome="unknown"): rise(0, 1, 120),
        },
        below={
            s("psm_predictor_feedback_total", PREDICTOR, outcome="counted"): rise(0, 4, 180),
            s("psm_predictor_feedback_total", PREDICTOR, outcome="unknown"): rise(0, 1, 180),
            s("psm_predictor_feedback_total", PREDICTOR, name="rolled", outcome="counted"): rise(0, 1, 180),
            s("psm_predictor_feedback_total", PREDICTOR, name="rolled", outcome="other_version"): rise(0, 9, 180),
            s("psm_predictor_feedback_total", PREDICTOR, name="few", outcome="unknown"): hold(0, 60) + hold(19, 120),
        },
        minute=50,
        labels=MODEL,
        summary="25% of the feedback for model mlops/uk-grocery matches no prediction.",
    ),
}

REJECTED = s("psm_model_last_rejection_timestamp_seconds", MODEL, reason="DataValidationFailed")
WENT_BACK = s("psm_model_last_rollback_timestamp_seconds", MODEL, reason="MetricRegression")

MORE: Mapping[str, Case] = {
    "PsmWatchDead": replace(
        CASES["PsmWatchDead"],
        fires={s("psm_watch_age_seconds", POD, kind="Lease"): hold(1, 5) + hold(121, 20)},
        labels={**POD, "kind": "Lease"},
        summary="psm-operator-0 does not see what happens to objects of kind Lease.",
    ),
    "PsmRollback": replace(
        CASES["PsmRollback"],
        fires={WENT_BACK: gone(63) + hold(240, 30)},
        minute=63,
        description="That was 59m 0s ago; the version that failed stays out until it is approved anew.",
    ),
    "PsmVersionBehind": replace(
        CASES["PsmVersionBehind"],
        fires={s("psm_model_desired_version", MODEL): hold(16, 400), s("psm_model_version", MODEL): hold(17, 400)},
        summary=f"{WHO} does not serve version 16, which the policy picks.",
    ),
    "PsmDataValidationFailed": replace(
        CASES["PsmDataValidationFailed"], fires={REJECTED: gone(60) + hold(60, 30)}, minute=60
    ),
}
"""Other ways in which an alert fires."""
