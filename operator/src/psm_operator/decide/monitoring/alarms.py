"""The alarms of one model: arguments of PutMetricAlarm over the metrics that its pods write into their log.

No traffic is no failure: an alarm over requests treats missing data as good. That pods are gone, or that their lines do not
reach CloudWatch, is an alarm of its own, which is mute while no pod is wanted.
"""

from typing import Any, Final

from psm_contract import cloudwatch
from psm_operator.api.monitoring import CloudWatchMonitoring
from psm_operator.decide.monitoring.model import Owner, Request

MINUTE_S: Final = 60
HOUR_S: Final = 3600
OF_MINUTES: Final = {"EvaluationPeriods": 5, "DatapointsToAlarm": 3}
OF_HOURS: Final = {"EvaluationPeriods": 3, "DatapointsToAlarm": 2}
"""Labels come late and in batches: an hour with few of them says nothing."""

LEAST_LABELS: Final = 100
"""Labels of an hour below which its accuracy counts as 1: at an accuracy of 0.75 a hundred are right to 0.04."""


def alarms(owner: Owner, monitoring: CloudWatchMonitoring, *, is_awake: bool) -> tuple[Request, ...]:
    """Every alarm that the spec asks for, in order of their names.

    Args:
        owner: whose.
        monitoring: the spec's part.
        is_awake: whether any pod is wanted now.
    """
    limits = monitoring.alarms
    found = (
        _accuracy(owner, float(limits.accuracy_min)),
        _error_rate(owner, limits.error_rate_percent),
        _latency(owner, limits.p95_latency_ms),
        _silent(owner, limits.silent_minutes, is_awake=is_awake),
    )
    actions = [monitoring.sns_topic_arn] if monitoring.sns_topic_arn else []
    return tuple({**alarm, "AlarmActions": actions, "OKActions": actions} for alarm in found if alarm is not None)


def _latency(owner: Owner, limit_ms: int) -> dict[str, Any] | None:
    if not limit_ms:
        return None
    return _alarm(owner, "p95-latency", f"the slowest 5 % of predictions took longer than {limit_ms} ms") | {
        **_metric(owner, cloudwatch.LATENCY),
        "ExtendedStatistic": "p95",
        "EvaluateLowSampleCountPercentile": "evaluate",
        "Period": MINUTE_S,
        **OF_MINUTES,
        "Threshold": float(limit_ms),
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _error_rate(owner: Owner, limit_percent: int) -> dict[str, Any] | None:
    if not limit_percent:
        return None
    return _alarm(owner, "error-rate", f"more than {limit_percent} % of predictions failed") | {
        "Metrics": [
            _term(owner, "errors", cloudwatch.ERRORS, "Sum", MINUTE_S),
            _formula("rate", "IF(requests > 0, 100 * errors / requests, 0)", "errors in percent"),
            _term(owner, "requests", cloudwatch.REQUESTS, "Sum", MINUTE_S),
        ],
        **OF_MINUTES,
        "Threshold": float(limit_percent),
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _accuracy(owner: Owner, least: float) -> dict[str, Any] | None:
    if not least:
        return None
    return _alarm(owner, "accuracy", f"live accuracy fell below {least:g}") | {
        "Metrics": [
            _formula("accuracy", f"IF(labels >= {LEAST_LABELS}, correct, 1)", "live accuracy"),
            _term(owner, "correct", cloudwatch.LABEL_CORRECT, "Average", HOUR_S),
            _term(owner, "labels", cloudwatch.LABEL_CORRECT, "SampleCount", HOUR_S),
        ],
        **OF_HOURS,
        "Threshold": least,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _silent(owner: Owner, minutes: int, *, is_awake: bool) -> dict[str, Any] | None:
    if not minutes:
        return None
    why = f"no pod told CloudWatch anything for {minutes} minutes: there is none, or its log does not arrive"
    return _alarm(owner, "silent", why) | {
        "ActionsEnabled": is_awake,
        **_metric(owner, cloudwatch.REQUESTS),
        "Statistic": "SampleCount",
        "Period": MINUTE_S,
        "EvaluationPeriods": minutes,
        "DatapointsToAlarm": minutes,
        "Threshold": 1.0,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "breaching",
    }


def _alarm(owner: Owner, what: str, why: str) -> dict[str, Any]:
    return {
        "AlarmName": f"{owner.stem}-{what}",
        "AlarmDescription": f"{owner.ref}: {why}. Kept by psm-operator; what is changed here is put back.",
        "ActionsEnabled": True,
        "InsufficientDataActions": [],
    }


def _metric(owner: Owner, name: str) -> dict[str, Any]:
    return {
        "Namespace": cloudwatch.NAMESPACE,
        "MetricName": name,
        "Dimensions": [{"Name": cloudwatch.MODEL, "Value": owner.dimension}],
    }


def _term(owner: Owner, name: str, metric: str, statistic: str, period_s: int) -> dict[str, Any]:
    stat = {"Metric": _metric(owner, metric), "Period": period_s, "Stat": statistic}
    return {"Id": name, "MetricStat": stat, "ReturnData": False}


def _formula(name: str, expression: str, label: str) -> dict[str, Any]:
    return {"Id": name, "Expression": expression, "Label": label, "ReturnData": True}
