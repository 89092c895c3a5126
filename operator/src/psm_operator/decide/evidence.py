"""Counts what several reads in a row said of the version that serves: one read alone moves nothing.

The counts live in memory (docs/adr/0006): they change at every poll, and losing them only delays a rollback.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from psm_operator.api.policy import Analysis
from psm_operator.api.status import ModelStatus
from psm_operator.decide.packages import described, is_gone_from, is_same
from psm_operator.decide.scene import serving_target
from psm_operator.decide.verdict import Live, baseline_of, judge_metrics, serving_since
from psm_operator.values import (
    Approval,
    DataValidation,
    Evidence,
    MetricQuery,
    MetricReading,
    ModelPackage,
    Outcome,
    Snapshot,
    Verdict,
)

CONFIRMATION = timedelta(seconds=1)
"""Two reads at least this far apart confirm a revoked approval, or that its package is gone: one alone may be a stale replica
(docs/adr/0011)."""


def fold_evidence(
    before: Evidence,
    snapshot: Snapshot,
    status: ModelStatus,
    analysis: Analysis,
    readings: Mapping[MetricQuery, MetricReading],
) -> Evidence:
    """Count one more read's word on the version being served; the same poll, or the same datapoint, counts once.

    A pass resets a metric's count; an inconclusive or unreadable metric leaves it as it is.
    """
    serving = serving_target(status)
    if serving is None:
        return Evidence()
    if not is_same(before, serving):
        before = Evidence(
            version=serving.version, arn=serving.arn, sha256=serving.sha256, created_at=serving.created_at
        )
    package = described(snapshot, serving)
    is_new_poll = snapshot.number != before.poll
    if package is None:
        return _with_word(before, snapshot, None) if is_new_poll and is_gone_from(snapshot, serving) else before
    verdicts = judge_metrics(analysis, package, baseline_of(status, snapshot), Live(readings, serving_since(status)))
    fresh = tuple(verdict for verdict in verdicts if _is_fresh(before, verdict, is_new_poll=is_new_poll))
    after = _with_word(before, snapshot, package) if is_new_poll else before
    return replace(
        after,
        metric_failures={} if analysis.dry_run else _counts(before.metric_failures, verdicts, fresh, Outcome.FAIL),
        metric_errors=_counts(before.metric_errors, verdicts, fresh, Outcome.ERROR),
        datapoints=MappingProxyType({verdict.metric: verdict.at for verdict in verdicts if verdict.at is not None}),
    )


def is_counting(
    evidence: Evidence,
    snapshot: Snapshot,
    status: ModelStatus,
    analysis: Analysis,
    readings: Mapping[MetricQuery, MetricReading],
) -> bool:
    """Whether one more read that says the same again would add to what was counted."""
    again = replace(snapshot, number=snapshot.number + 1, read_at=snapshot.read_at + CONFIRMATION)
    after = fold_evidence(evidence, again, status, analysis, readings)
    return replace(after, poll=evidence.poll) != evidence


def _is_fresh(before: Evidence, verdict: Verdict, *, is_new_poll: bool) -> bool:
    """A datapoint is news once; what comes from the registry, or did not come at all, is news at every poll."""
    return is_new_poll if verdict.at is None else before.datapoints.get(verdict.metric) != verdict.at


def _with_word(before: Evidence, snapshot: Snapshot, package: ModelPackage | None) -> Evidence:
    """What the package says of its approval and of its data; one that is gone has no approval any more."""
    revoked = package is None or package.approval is not Approval.APPROVED
    is_invalid = package is not None and package.data_validation is DataValidation.FAILED
    return replace(
        before,
        poll=snapshot.number,
        revoked_since=(before.revoked_since or snapshot.read_at) if revoked else None,
        revoked_until=snapshot.read_at if revoked else None,
        invalid_data_reads=before.invalid_data_reads + 1 if is_invalid else 0,
    )


RESETS = {
    Outcome.FAIL: frozenset({Outcome.PASS}),
    Outcome.ERROR: frozenset({Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE}),
}
"""Outcome counted -> outcomes that end the row."""


def _counts(
    before: Mapping[str, int], verdicts: tuple[Verdict, ...], fresh: tuple[Verdict, ...], counted: Outcome
) -> Mapping[str, int]:
    counts = {verdict.metric: before.get(verdict.metric, 0) for verdict in verdicts}
    for verdict in fresh:
        if verdict.outcome is counted:
            counts[verdict.metric] += 1
        elif verdict.outcome in RESETS[counted]:
            counts[verdict.metric] = 0
    return MappingProxyType({name: count for name, count in counts.items() if count})


def is_revocation_seen(evidence: Evidence) -> bool:
    """Whether the last read withdrew the approval, or had no such package, confirmed or not."""
    return evidence.revoked_since is not None


def is_doubted(evidence: Evidence) -> bool:
    """Whether the last read spoke against the served version in any way, confirmed or not."""
    return is_revocation_seen(evidence) or bool(evidence.metric_failures) or evidence.invalid_data_reads > 0


def is_revocation_confirmed(evidence: Evidence) -> bool:
    """Whether two reads far enough apart agree that the approval is withdrawn."""
    if evidence.revoked_since is None or evidence.revoked_until is None:
        return False
    return evidence.revoked_until - evidence.revoked_since >= CONFIRMATION
