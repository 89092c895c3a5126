"""Judges metrics: one version's numbers against thresholds and against the stable version.

Numbers are compared as decimals. A missing or unreadable number is never a pass and never a fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psm_contract.metadata import EVALUATED, format_metric, is_share, read_metric
from psm_operator.api.metrics import AnalysisMetric, CloudWatchMetric, MetricSource, Threshold
from psm_operator.api.policy import Analysis
from psm_operator.api.status import MetricValue, ModelStatus, Served
from psm_operator.decide.packages import described, is_gone_from, is_older, is_same
from psm_operator.decide.scene import known, own_package, serving_target
from psm_operator.values import (
    Approval,
    MetricQuery,
    MetricReading,
    ModelPackage,
    Observation,
    Outcome,
    Snapshot,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Live:
    """What is measured while a version serves.

    Attributes:
        readings: the newest datapoint of each query.
        since: when every replica began to serve the version; what was measured earlier is about another one.
    """

    readings: Mapping[MetricQuery, MetricReading]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a version must not be worse than: the stable one, by what the registry says or, once it is silent, said.

    Attributes:
        values: the metrics that can be compared with.
        is_withdrawn: it may not be served any more.
    """

    of: Served
    values: Mapping[str, Decimal]
    is_withdrawn: bool = False

    @property
    def version(self) -> int:
        """Its number."""
        return self.of.version


def baseline_of(status: ModelStatus, snapshot: Snapshot | None) -> Baseline | None:
    """The stable version's metrics; None while no version is stable.

    A package that was deleted, or says nothing readable any more, leaves what was judged when it became stable.
    """
    stable = status.stable
    if stable is None:
        return None
    package = described(snapshot, stable) if snapshot is not None else None
    said = package.metrics if package is not None else {}
    texts = [(metric.name, metric.value) for metric in stable.metrics] + list(said.items())
    read = ((name, read_metric(name, text)) for name, text in texts)
    values = {name: value for name, value in read if value is not None}
    return Baseline(stable, values, is_withdrawn=snapshot is not None and _is_withdrawn(snapshot, stable))


def _is_withdrawn(snapshot: Snapshot, stable: Served) -> bool:
    """Whether the stable package may not be served any more; the list says so also when nobody describes it."""
    rows = (row for row in snapshot.summaries if row.version == stable.version)
    return is_gone_from(snapshot, stable) or any(row.approval is not Approval.APPROVED for row in rows)


def judge_metrics(
    analysis: Analysis, package: ModelPackage, stable: Baseline | None, live: Live | None = None
) -> tuple[Verdict, ...]:
    """One verdict per metric of the spec, in the spec's order.

    Args:
        analysis: the metrics and their bounds.
        package: the version judged.
        stable: what it must not be worse than; None, the same version, or a newer one that was withdrawn skips the comparison.
        live: what is measured of `package`; None while it does not serve, and then CloudWatch metrics are left out.
    """
    against = stable if stable is not None and not _is_incomparable(stable, package) else None
    judged = (_judge(metric, package, against, live) for metric in analysis.metrics)
    return tuple(verdict for verdict in judged if verdict is not None)


def _is_incomparable(stable: Baseline, package: ModelPackage) -> bool:
    """Whether a version is the stable one itself, or an older one that is needed since the stable one was withdrawn."""
    return is_same(stable.of, package) or (stable.is_withdrawn and is_older(package, stable.of))


def judge_serving(seen: Observation, status: ModelStatus) -> tuple[Verdict, ...]:
    """The verdicts on the version that serves; empty while there is none or the registry is unknown."""
    serving = serving_target(status)
    package = own_package(seen, serving)
    if package is None:
        return ()
    live = Live(seen.readings, serving_since(status))
    return judge_metrics(seen.spec.analysis, package, baseline_of(status, known(seen)), live)


def judge_current(seen: Observation, status: ModelStatus) -> tuple[Verdict, ...]:
    """The verdicts on the version that was last served by every replica, whatever is on its way."""
    current = status.current
    package = own_package(seen, current)
    if current is None or package is None:
        return ()
    live = Live(seen.readings, current.deployed_at)
    return judge_metrics(seen.spec.analysis, package, baseline_of(status, known(seen)), live)


def serving_since(status: ModelStatus) -> datetime | None:
    """When every replica began to serve the version that is meant to serve; None while it is on its way."""
    serving, current = serving_target(status), status.current
    is_there = serving is not None and current is not None and is_same(current, serving)
    return current.deployed_at if is_there and current is not None else None


def metric_query(metric: CloudWatchMetric) -> MetricQuery:
    """What to ask CloudWatch for."""
    dimensions = tuple(sorted((dimension.name, dimension.value) for dimension in metric.dimensions))
    return MetricQuery(metric.namespace, metric.metric_name, metric.statistic, metric.period, dimensions)


def metric_queries(analysis: Analysis) -> frozenset[MetricQuery]:
    """Everything that an analysis asks CloudWatch for."""
    return frozenset(metric_query(metric.cloud_watch) for metric in analysis.metrics if metric.cloud_watch is not None)


def _judge(metric: AnalysisMetric, package: ModelPackage, stable: Baseline | None, live: Live | None) -> Verdict | None:
    if metric.cloud_watch is None:
        return _judge_registered(metric, package, stable)
    return None if live is None else _judge_measured(metric.name, metric.cloud_watch, metric.threshold, live)


def _judge_registered(metric: AnalysisMetric, package: ModelPackage, stable: Baseline | None) -> Verdict:
    if package.evaluation_error and metric.name not in package.live_metrics:
        message = f"{metric.name} of version {package.version} could not be read: {package.evaluation_error}"
        return Verdict(metric.name, Outcome.ERROR, None, message)
    text = package.metrics.get(metric.name)
    if text is None:
        has = ", ".join(sorted(package.metrics)) or "none"
        where = "write it into the evaluation JSON, or " if metric.name in EVALUATED else ""
        message = f"version {package.version} has no metric {metric.name!r} (it has: {has}); {where}register psm.{metric.name}"
        return Verdict(metric.name, Outcome.INCONCLUSIVE, None, message)
    value = read_metric(metric.name, text)
    if value is None:
        kind = "a share from 0 to 1" if is_share(metric.name) else "a finite number"
        message = f"version {package.version} says {metric.name}={text!r}, which is not {kind}; register it again"
        return Verdict(metric.name, Outcome.ERROR, None, message)
    verdict = _against_threshold(metric.name, metric.threshold, value)
    regression = _against_stable(metric, value, stable) if verdict.outcome is Outcome.PASS else None
    return regression or verdict


def _against_stable(metric: AnalysisMetric, value: Decimal, stable: Baseline | None) -> Verdict | None:
    """A verdict only where there is something against the version: what cannot be compared is no pass."""
    if metric.max_regression is None or stable is None:
        return None
    allowed, before = metric.max_regression.absolute, stable.values.get(metric.name)
    if before is None:
        message = (
            f"{metric.name} {value} cannot be compared: stable version {stable.version} has none that can be read; "
            f"register psm.live.{metric.name} for it, or pin a version"
        )
        return Verdict(metric.name, Outcome.INCONCLUSIVE, value, message)
    if value >= before - allowed:
        return None
    return Verdict(
        metric.name, Outcome.FAIL, value, f"{metric.name} {value} is worse than stable {before} by more than {allowed}"
    )


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


def metric_value(package: ModelPackage, name: str) -> Decimal | None:
    """The metric as a finite decimal, or None."""
    return read_metric(name, package.metrics.get(name, ""))


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
        MetricValue(name=v.metric, value=_shown(v.metric, package.metrics.get(v.metric, "")), verdict=v.outcome.value)
        for v in verdicts
    )


def _shown(name: str, text: str) -> str:
    """A value as people read it: an evaluation may write seventeen digits, of which six are enough."""
    value = read_metric(name, text)
    return text if value is None or len(text) <= len("0.803845") else format_metric(value)
