"""When to go back, and where to: an ordered chain of triggers, and a walk over the versions that served before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from psm_operator.api.conditions import Reason
from psm_operator.api.policy import OnApprovalRevoked, RollbackMode
from psm_operator.api.status import HistoryEntry, HistoryResult, ModelStatus, Served, Stage
from psm_operator.decide.evidence import is_revocation_confirmed
from psm_operator.decide.packages import is_same
from psm_operator.decide.scene import (
    artifact_of,
    is_rejected,
    is_rolling_back,
    known,
    own_package,
    package_of,
    serving_target,
    summary_of,
    withdrawal,
)
from psm_operator.decide.verdict import is_registered, is_regression, judge_metrics, judge_serving, metric_value
from psm_operator.decide.wishes import rollback_wish
from psm_operator.values import Approval, ArtifactState, Observation, Outcome

CONFIRMING_READS = 2
"""Reads in a row that must agree before a package's word on its data counts against it."""
LIMIT_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why the served version must go.

    Attributes:
        metric: names the gate that fired, if it was one.
        to: the only version that will do, if a person named one.
    """

    reason: Reason
    message: str
    metric: str | None = None
    to: int | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """Go back to `target` because of `trigger`."""

    trigger: Trigger
    target: Served


@dataclass(frozen=True, slots=True)
class Blocked:
    """A rollback is due and must not happen: keep serving, tell people."""

    trigger: Trigger
    reason: Reason
    message: str


Check = Callable[[Observation, ModelStatus, Served], Trigger | None]


def asked_for(seen: Observation, status: ModelStatus, serving: Served) -> Trigger | None:
    """A person wants the served version gone."""
    wish = rollback_wish(seen.annotations, status)
    if wish is None or wish.from_ != serving.version:
        return None
    if wish.to is not None and summary_of(seen, wish.to) is not None and package_of(seen, wish.to) is None:
        return None  # the registry has it and was asked what it is
    return Trigger(Reason.REQUESTED_BY_PERSON, f"a person asked to go back from version {serving.version}", to=wish.to)


def approval_revoked(seen: Observation, _: ModelStatus, serving: Served) -> Trigger | None:
    """The served version's approval was withdrawn, or its package deleted, confirmed by a second read."""
    if seen.spec.rollback.on_approval_revoked is not OnApprovalRevoked.ROLLBACK:
        return None
    if not is_same(seen.evidence, serving) or not is_revocation_confirmed(seen.evidence):
        return None
    return Trigger(Reason.APPROVAL_REVOKED, withdrawal(seen, serving))


def data_validation_failed(seen: Observation, _: ModelStatus, serving: Served) -> Trigger | None:
    """The served version's package says that its data validation failed."""
    evidence = seen.evidence
    if not seen.spec.analysis.require_data_validation or not is_same(evidence, serving):
        return None
    if evidence.invalid_data_reads < CONFIRMING_READS:
        return None
    return Trigger(Reason.DATA_VALIDATION_FAILED, f"version {serving.version} says psm.data_validation=failed")


def metric_failing(seen: Observation, status: ModelStatus, serving: Served) -> Trigger | None:
    """A metric failed `failureLimit` times in a row."""
    if not is_same(seen.evidence, serving):
        return None
    for verdict in judge_serving(seen, status):
        count = seen.evidence.metric_failures.get(verdict.metric, 0)
        if verdict.outcome is Outcome.FAIL and count >= seen.spec.analysis.failure_limit:
            regressed = is_regression(seen.spec.analysis, verdict)
            reason = Reason.METRIC_REGRESSION if regressed else Reason.METRIC_BELOW_THRESHOLD
            return Trigger(reason, f"{verdict.message} in version {serving.version}", verdict.metric)
    return None


def progress_deadline_exceeded(seen: Observation, status: ModelStatus, serving: Served) -> Trigger | None:
    """The rollout of a candidate did not finish in time, though its pods were tried: no room is not its fault."""
    candidate = status.candidate
    if candidate is None or candidate.stage is not Stage.PROGRESSING or seen.serving is None:
        return None
    if not is_same(seen.serving, serving) or not seen.serving.deadline_exceeded:
        return None
    if not seen.serving.is_tried and not seen.serving.failure_is_final:
        return None
    why = f": {seen.serving.failure}" if seen.serving.failure else ""
    limit = seen.spec.rollout.progress_deadline_seconds
    return Trigger(
        Reason.PROGRESS_DEADLINE_EXCEEDED, f"version {serving.version} was not available within {limit} s{why}"
    )


TRIGGERS: tuple[Check, ...] = (
    asked_for,
    approval_revoked,
    data_validation_failed,
    metric_failing,
    progress_deadline_exceeded,
)


def rollback_decision(seen: Observation, status: ModelStatus) -> Go | Blocked | None:
    """Whether the served version must go now, and where to.

    An unknown registry, a pin and `suspend` answer None: unknown never moves anything, and a person has the word.
    """
    serving = serving_target(status)
    is_held = seen.spec.version.pin is not None or seen.spec.suspend or known(seen) is None
    if serving is None or is_held:
        return None
    found = (check(seen, status, serving) for check in TRIGGERS)
    trigger = next((t for t in found if t is not None), None)
    return _answer(seen, status, serving, trigger) if trigger is not None else None


def _answer(seen: Observation, status: ModelStatus, serving: Served, trigger: Trigger) -> Go | Blocked | None:
    rules, is_asked = seen.spec.rollback, trigger.reason is Reason.REQUESTED_BY_PERSON
    if rules.mode is RollbackMode.DISABLED and not is_asked:
        return None
    if rules.mode is RollbackMode.MANUAL and not is_asked:
        message = (
            f"{trigger.message}; spec.rollback.mode is {rules.mode.value}: pin a version to move, or ask for a rollback"
        )
        return Blocked(trigger, Reason.ROLLBACK_NOT_AUTOMATIC, message)
    if recent_rollbacks(seen, status) >= rules.max_per_hour and not is_asked:
        limit = f"already {rules.max_per_hour} rollbacks within an hour (spec.rollback.maxPerHour)"
        return Blocked(trigger, Reason.ROLLBACK_LIMIT_EXCEEDED, f"{trigger.message}; {limit}: pin or approve a version")
    target = find_target(seen, status, serving, trigger)
    if target is None:
        which = "no earlier version may" if trigger.to is None else f"version {trigger.to} may not"
        message = f"{trigger.message}; {which} be served: approve one, or pin one"
        return Blocked(trigger, Reason.NO_ROLLBACK_TARGET, message)
    return Go(trigger, target)


def has_no_way_back(seen: Observation, status: ModelStatus) -> bool:
    """Whether what serves was withdrawn and nothing that served before may replace it: then an older version may be tried.

    Only a withdrawal allows that: a version whose metrics fail is still approved, and would take the older one's place again.
    """
    decision = rollback_decision(seen, status)
    if not isinstance(decision, Blocked) or decision.reason is not Reason.NO_ROLLBACK_TARGET:
        return False
    return decision.trigger.reason is Reason.APPROVAL_REVOKED


def recent_rollbacks(seen: Observation, status: ModelStatus) -> int:
    """Automatic switches back within the last hour."""
    return sum(is_counted(seen, entry) for entry in status.history)


def is_counted(seen: Observation, entry: HistoryEntry) -> bool:
    """Whether an entry is an automatic switch back within the last hour."""
    is_automatic = entry.result is HistoryResult.ROLLED_BACK and entry.reason is not Reason.REQUESTED_BY_PERSON
    return is_automatic and seen.now - entry.at < LIMIT_WINDOW


def find_target(seen: Observation, status: ModelStatus, serving: Served, trigger: Trigger) -> Served | None:
    """The first version that served before and may serve now: stable first, then history, newest first."""
    ways_back = earlier_versions(status)
    return next(
        (t for t in ways_back if not is_same(t, serving) and _may_serve(seen, status, t, serving, trigger)), None
    )


def earlier_versions(status: ModelStatus) -> Iterator[Served]:
    """Versions that served before, the best way back first; each once."""
    known_good = [status.stable] if status.stable is not None else []
    if is_rolling_back(status) or (status.candidate is not None and status.candidate.stage is Stage.PROGRESSING):
        known_good += [status.current] if status.current is not None else []
    known_good += [entry.served for entry in status.history if entry.served is not None]
    seen_packages: set[tuple[int, str, str]] = set()
    for served in known_good:
        package = (served.version, served.arn, served.sha256)
        if package not in seen_packages:
            seen_packages.add(package)
            yield served


def _may_serve(seen: Observation, status: ModelStatus, target: Served, serving: Served, trigger: Trigger) -> bool:
    package = own_package(seen, target)
    if package is None or package.approval is not Approval.APPROVED or is_rejected(status, target.version):
        return False
    if not seen.spec.version.admits(target.version) or trigger.to not in (None, target.version):
        return False
    if target.sha256 and package.sha256 != target.sha256:
        return False
    if artifact_of(seen, target.version).state is not ArtifactState.PRESENT:
        return False
    is_comparable = trigger.metric is not None and is_registered(seen.spec.analysis, trigger.metric)
    return trigger.metric is None or not is_comparable or _is_no_worse(seen, target, serving, trigger.metric)


def _is_no_worse(seen: Observation, target: Served, serving: Served, metric: str) -> bool:
    """The target passes the gate that fired and is not worse than what it replaces: this stops ping-pong."""
    package = own_package(seen, target)
    if package is None:
        return False
    verdicts = judge_metrics(seen.spec.analysis, package, None)
    if any(v.metric == metric and v.outcome is not Outcome.PASS for v in verdicts):
        return False
    before, after = own_package(seen, serving), metric_value(package, metric)
    failing = metric_value(before, metric) if before is not None else None
    return after is not None and (failing is None or after >= failing)
