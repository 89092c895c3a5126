"""Judges metrics: one version's numbers against thresholds and against the stable version.

Numbers are compared as decimals. A missing or unreadable number is never a pass and never a fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psm_contract.metadata import format_metric, parse_metric
from psm_operator.api.metrics import AnalysisMetric, CloudWatchMetric, MetricSource, Threshold
from psm_operator.api.policy import Analysis
from psm_operator.api.status import MetricValue, ModelStatus
from psm_operator.decide.scene import package_of, serving_target
from psm_operator.values import MetricQuery, MetricReading, ModelPackage, Observation, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Live:
    """What is measured while a version serves.

    Attributes:
        readings: the newest datapoint of each query.
        since: when every replica began to serve the version; what was measured earlier is about another one.
    """

    readings: Mapping[MetricQuery, MetricReading]
    since: datetime | None


def judge_metrics(
    analysis: Analysis, package: ModelPackage, stable: ModelPackage | None, live: Live | None = None
) -> tuple[Verdict, ...]:
    """One verdict per metric of the spec, in the spec's order.

    Args:
        analysis: the metrics and their bounds.
        package: the version judged.
        stable: the version it must not be worse than; None, or the same version, skips the comparison.
        live: what is measured of `package`; None while it does not serve, and then CloudWatch metrics are left out.
    """
    against = stable if stable is not None and stable.version != package.version else None
    judged = (_judge(metric, package, against, live) for metric in analysis.metrics)
    return tuple(verdict for verdict in judged if verdict is not None)


def judge_serving(seen: Observation, status: ModelStatus) -> tuple[Verdict, ...]:
    """The verdicts on the version that serves; empty while there is none or the registry is unknown."""
    serving = serving_target(status)
    package = package_of(seen, serving.version) if serving is not None else None
    if package is None:
        return ()
    stable = package_of(seen, status.stable.version) if status.stable is not None else None
    return judge_metrics(seen.spec.analysis, package, stable, Live(seen.readings, serving_since(status)))


def serving_since(status: ModelStatus) -> datetime | None:
    """When every replica began to serve the version that is meant to serve; None while it is on its way."""
    serving, current = serving_target(status), status.current
    is_there = serving is not None and current is not None and current.version == serving.version
    return current.deployed_at if is_there and current is not None else None


def metric_query(metric: CloudWatchMetric) -> MetricQuery:
    """What to ask CloudWatch for."""
    dimensions = tuple(sorted((dimension.name, dimension.value) for dimension in metric.dimensions))
    return MetricQuery(metric.namespace, metric.metric_name, metric.statistic, metric.period, dimensions)


def metric_queries(analysis: Analysis) -> frozenset[MetricQuery]:
    """Everything that an analysis asks CloudWatch for."""
    return frozenset(metric_query(metric.cloud_watch) for metric in analysis.metrics if metric.cloud_watch is not None)


def _judge(
    metric: AnalysisMetric, package: ModelPackage, stable: ModelPackage | None, live: Live | None
) -> Verdict | None:
    if metric.cloud_watch is None:
        return _judge_registered(metric, package, stable)
    return None if live is None else _judge_measured(metric.name, metric.cloud_watch, metric.threshold, live)


def _judge_registered(metric: AnalysisMetric, package: ModelPackage, stable: ModelPackage | None) -> Verdict:
    if package.evaluation_error and metric.name not in package.live_metrics:
        message = f"{metric.name} of version {package.version} could not be read: {package.evaluation_error}"
        return Verdict(metric.name, Outcome.ERROR, None, message)
    text = package.metrics.get(metric.name)
    if text is None:
        known = ", ".join(sorted(package.metrics)) or "none"
        message = (
            f"version {package.version} has no metric {metric.name!r} (it has: {known}); register psm.{metric.name}"
        )
        return Verdict(metric.name, Outcome.INCONCLUSIVE, None, message)
    value = parse_metric(text)
    if value is None:
        message = (
            f"version {package.version} says {metric.name}={text!r}, which is not a finite number; register it again"
        )
        return Verdict(metric.name, Outcome.ERROR, None, message)
    floor = _regression_floor(metric, stable)
    if floor is not None and value < floor and not missed_bound(metric.threshold, value):
        message = (
            f"{metric.name} {value} is worse than stable {floor + _allowed(metric)} by more than {_allowed(metric)}"
        )
        return Verdict(metric.name, Outcome.FAIL, value, message)
    return _against_threshold(metric.name, metric.threshold, value)


def _judge_measured(name: str, metric: CloudWatchMetric, threshold: Threshold | None, live: Live) -> Verdict:
    query = metric_query(metric)
    reading = live.readings.get(query)
    if reading is not None and reading.error:
        return Verdict(name, Outcome.ERROR, None, f"{name} could not be read: {reading.error}")
    if reading is None or reading.value is None or reading.at is None:
        message = (
            f"CloudWatch has no datapoint of {query} for {name}; check its name and dimensions, and that it is sent"
        )
        return Verdict(name, Outcome.INCONCLUSIVE, None, message)
    if live.since is None or reading.at < live.since:
        return Verdict(name, Outcome.INCONCLUSIVE, None, f"{name} was not measured yet since the version serves")
    return _against_threshold(name, threshold, reading.value, reading.at)


def _against_threshold(name: str, threshold: Threshold | None, value: Decimal, at: datetime | None = None) -> Verdict:
    missed = missed_bound(threshold, value)
    if missed:
        return Verdict(name, Outcome.FAIL, value, f"{name} {value} {missed}", at)
    said = f"{name} {value}" if at is None else f"{name} within bounds"  # a message must not change at every read
    return Verdict(name, Outcome.PASS, value, said, at)


def missed_bound(threshold: Threshold | None, value: Decimal) -> str:
    """The absolute bound that a value misses, like `< 0.75`; empty if none."""
    if threshold is not None and threshold.min is not None and value < threshold.min:
        return f"< {threshold.min}"
    if threshold is not None and threshold.max is not None and value > threshold.max:
        return f"> {threshold.max}"
    return ""


def _regression_floor(metric: AnalysisMetric, stable: ModelPackage | None) -> Decimal | None:
    if metric.max_regression is None or stable is None:
        return None
    before = parse_metric(stable.metrics.get(metric.name, ""))
    return None if before is None else before - _allowed(metric)


def _allowed(metric: AnalysisMetric) -> Decimal:
    return metric.max_regression.absolute if metric.max_regression is not None else Decimal(0)


def metric_value(package: ModelPackage, name: str) -> Decimal | None:
    """The metric as a finite decimal, or None."""
    return parse_metric(package.metrics.get(name, ""))


def is_regression(analysis: Analysis, verdict: Verdict) -> bool:
    """Whether a failing verdict failed against the stable version and not its absolute threshold."""
    thresholds = {metric.name: metric.threshold for metric in analysis.metrics}
    return verdict.value is not None and not missed_bound(thresholds.get(verdict.metric), verdict.value)


def is_registered(analysis: Analysis, name: str) -> bool:
    """Whether a metric is one that every version of the registry has, serving or not."""
    return any(metric.name == name and metric.source is MetricSource.REGISTRY for metric in analysis.metrics)


def metric_values(package: ModelPackage, verdicts: tuple[Verdict, ...]) -> tuple[MetricValue, ...]:
    """The judged metrics as status shows them; a measured value is left out, since it changes at every read."""
    return tuple(
        MetricValue(name=v.metric, value=_shown(package.metrics.get(v.metric, "")), verdict=v.outcome.value)
        for v in verdicts
    )


def _shown(text: str) -> str:
    """A value as people read it: an evaluation may write seventeen digits, of which six are enough."""
    value = parse_metric(text)
    return text if value is None or len(text) <= len("0.803845") else format_metric(value)
