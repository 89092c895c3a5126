"""Judges metrics: one version's numbers against thresholds and against the stable version.

Numbers are compared as decimals. A missing or unreadable number is never a pass and never a fail.
"""

from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from psm_contract.metadata import parse_metric
from psm_operator.api.metrics import AnalysisMetric
from psm_operator.api.policy import Analysis
from psm_operator.api.status import MetricValue
from psm_operator.values import Approval, DataValidation, Evidence, ModelPackage, Outcome, Snapshot, Verdict

CONFIRMATION = timedelta(seconds=5)
"""Two reads at least this far apart confirm a revoked approval: one alone may be a stale replica."""


def judge_metrics(analysis: Analysis, package: ModelPackage, stable: ModelPackage | None) -> tuple[Verdict, ...]:
    """One verdict per metric of the spec, in the spec's order.

    Args:
        analysis: the metrics and their bounds.
        package: the version judged.
        stable: the version it must not be worse than; None, or the same version, skips the comparison.
    """
    against = stable if stable is not None and stable.version != package.version else None
    return tuple(_judge(metric, package, against) for metric in analysis.metrics)


def _judge(metric: AnalysisMetric, package: ModelPackage, stable: ModelPackage | None) -> Verdict:
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
    if metric.threshold is not None and metric.threshold.min is not None and value < metric.threshold.min:
        message = f"{metric.name} {value} < {metric.threshold.min}"
        return Verdict(metric.name, Outcome.FAIL, value, message)
    floor = _regression_floor(metric, stable)
    if floor is not None and value < floor:
        message = (
            f"{metric.name} {value} is worse than stable {floor + _allowed(metric)} by more than {_allowed(metric)}"
        )
        return Verdict(metric.name, Outcome.FAIL, value, message)
    return Verdict(metric.name, Outcome.PASS, value, f"{metric.name} {value}")


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
    for metric in analysis.metrics:
        if metric.name == verdict.metric and metric.threshold is not None and metric.threshold.min is not None:
            return verdict.value is not None and verdict.value >= metric.threshold.min
    return True


def metric_values(package: ModelPackage, verdicts: tuple[Verdict, ...]) -> tuple[MetricValue, ...]:
    """The judged metrics as status shows them."""
    return tuple(
        MetricValue(name=v.metric, value=package.metrics.get(v.metric, ""), verdict=v.outcome.value) for v in verdicts
    )


def fold_evidence(
    before: Evidence, snapshot: Snapshot, version: int | None, analysis: Analysis, stable: int | None
) -> Evidence:
    """Count one more poll's word on the version being served; the same poll twice counts once.

    A pass resets a metric's count; an inconclusive or unreadable metric leaves it as it is.
    """
    if before.version != version:
        before = Evidence(version=version)
    package = snapshot.packages.get(version) if version is not None else None
    if package is None or snapshot.number == before.poll:
        return before
    revoked = package.approval is not Approval.APPROVED
    return Evidence(
        poll=snapshot.number,
        version=version,
        revoked_since=(before.revoked_since or snapshot.read_at) if revoked else None,
        revoked_until=snapshot.read_at if revoked else None,
        invalid_data_reads=before.invalid_data_reads + 1 if package.data_validation is DataValidation.FAILED else 0,
        metric_failures=MappingProxyType(
            _counted(before, judge_metrics(analysis, package, snapshot.packages.get(stable) if stable else None))
        ),
    )


def _counted(before: Evidence, verdicts: tuple[Verdict, ...]) -> dict[str, int]:
    counts = {}
    for verdict in verdicts:
        count = before.metric_failures.get(verdict.metric, 0)
        if verdict.outcome is Outcome.FAIL:
            counts[verdict.metric] = count + 1
        elif verdict.outcome is not Outcome.PASS and count:
            counts[verdict.metric] = count
    return counts


def is_revocation_seen(evidence: Evidence) -> bool:
    """Whether the last read withdrew the approval, confirmed or not."""
    return evidence.revoked_since is not None


def is_doubted(evidence: Evidence) -> bool:
    """Whether the last read spoke against the served version in any way, confirmed or not."""
    return is_revocation_seen(evidence) or bool(evidence.metric_failures) or evidence.invalid_data_reads > 0


def is_revocation_confirmed(evidence: Evidence) -> bool:
    """Whether two reads far enough apart agree that the approval is withdrawn."""
    if evidence.revoked_since is None or evidence.revoked_until is None:
        return False
    return evidence.revoked_until - evidence.revoked_since >= CONFIRMATION
