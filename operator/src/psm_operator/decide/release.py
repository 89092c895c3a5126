"""The release state machine: an ordered tuple of rules, run until none of them has anything left to say.

Each rule takes the observation and the status so far and returns the status, changed or as it was. Running to the fixpoint makes
deciding twice on one observation change nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from psm_operator.api.conditions import Reason
from psm_operator.api.status import (
    Candidate,
    Desired,
    HistoryEntry,
    HistoryResult,
    ModelStatus,
    Rejection,
    Rollback,
    Stage,
)
from psm_operator.decide.evidence import is_doubted
from psm_operator.decide.gates import first_finding, verification_finding
from psm_operator.decide.packages import Mention, is_older, is_same
from psm_operator.decide.records import identity_of, with_entry, with_rejection
from psm_operator.decide.rollback import Go, has_no_way_back, rollback_decision
from psm_operator.decide.scene import (
    as_served,
    candidate_from,
    is_complete,
    is_gone,
    is_rolling_back,
    known,
    own_package,
    package_of,
    policy_choice,
    serving_target,
    summary_of,
)
from psm_operator.decide.schedule import last_pause_end
from psm_operator.decide.sizing import follow_schedule, is_paused
from psm_operator.decide.wishes import ROLLBACK, is_forgiven, rollback_wish
from psm_operator.values import Approval, ModelPackage, Observation, PackageSummary

Rule = Callable[[Observation, ModelStatus], ModelStatus]

MAX_STEPS = 32
"""Far above the longest chain of rules one observation can set off; a bound, so that a bug cannot hang the operator."""


def settle(seen: Observation) -> ModelStatus:
    """Apply the rules until nothing changes."""
    status = seen.status
    if seen.spec.suspend:
        return note_desired(seen, status)
    for _ in range(MAX_STEPS):
        after = _first_change(seen, status)
        if after == status:
            break
        status = after
    return status


def _first_change(seen: Observation, status: ModelStatus) -> ModelStatus:
    for rule in RULES:
        after = rule(seen, status)
        if after != status:
            return after
    return status


def note_desired(seen: Observation, status: ModelStatus) -> ModelStatus:
    """`desired` is what the policy would pick if nothing had been rejected; kept while the registry is unknown."""
    if known(seen) is None:
        return status
    row = policy_choice(seen, status, ignore_rejections=True)
    return _with(status, desired=Desired(version=row.version, arn=row.arn, created_at=row.created_at) if row else None)


def note_creation(seen: Observation, status: ModelStatus) -> ModelStatus:
    """What an operator before stored does not say when its package was made: it is taken from the package of the same digest."""
    served = {"current": status.current, "stable": status.stable, "candidate": status.candidate}
    unsaid = {name: it for name, it in served.items() if it is not None and it.created_at is None}
    found = ((name, it, own_package(seen, it)) for name, it in unsaid.items())
    return _with(
        status,
        **{name: it.model_copy(update={"created_at": package.created_at}) for name, it, package in found if package},
    )


def clear_rejections(seen: Observation, status: ModelStatus) -> ModelStatus:
    """A rejection ends with a re-approval, a pin, a person's word or its time to live."""
    if known(seen) is None:
        return status
    snapshot = known(seen)
    rows = {row.version: row for row in snapshot.summaries} if snapshot is not None else {}
    kept = (
        _marked(rows.get(entry.version), entry)
        for entry in status.rejected
        if not _is_over(seen, rows.get(entry.version), entry)
    )
    return _with(status, rejected=tuple(kept))


def _is_over(seen: Observation, row: PackageSummary | None, entry: Rejection) -> bool:
    """Re-approved means: seen withdrawn, then approved; or approved with another note or artifact."""
    package = package_of(seen, entry.version)
    is_approved = row is not None and row.approval is Approval.APPROVED
    is_another = is_gone(seen, entry) or (package is not None and entry.fingerprint not in ("", package.fingerprint))
    if is_approved and (entry.revoked or is_another):
        return True
    ttl_s = seen.spec.rollback.rejection_ttl_s
    is_expired = ttl_s is not None and seen.now - entry.at >= timedelta(seconds=ttl_s)
    return is_expired or entry.version == seen.spec.version.pin or is_forgiven(seen, entry)


def _marked(row: PackageSummary | None, entry: Rejection) -> Rejection:
    is_withdrawn = row is not None and row.approval is not Approval.APPROVED
    return entry.model_copy(update={"revoked": True}) if is_withdrawn and not entry.revoked else entry


def finish_rollback(seen: Observation, status: ModelStatus) -> ModelStatus:
    """The rollback has arrived when every replica serves its target."""
    rollback = status.rollback
    if rollback is None or not is_rolling_back(status) or not is_complete(seen.serving, rollback.to):
        return status
    target = rollback.to.model_copy(update={"deployed_at": seen.now})
    done = rollback.model_copy(update={"finished_at": seen.now})
    return _with(status, rollback=done, current=target, stable=target)


def start_rollback(seen: Observation, status: ModelStatus) -> ModelStatus:
    """Write the intent: reject the version that failed and name where to go."""
    decision = rollback_decision(seen, status)
    failed = serving_target(status)
    if not isinstance(decision, Go) or failed is None:
        return status
    trigger, target = decision.trigger, decision.target
    rollback = Rollback(
        id=f"{failed.version}-{target.version}-{seen.now:%Y%m%dT%H%M%SZ}",
        from_=failed.version,
        to=target,
        reason=trigger.reason,
        message=trigger.message,
        started_at=seen.now,
    )
    entry = HistoryEntry(
        version=failed.version,
        result=HistoryResult.ROLLED_BACK,
        reason=trigger.reason,
        from_=failed.version,
        to=target.version,
        at=seen.now,
        **identity_of(failed),
    )
    rejected = _with(status, rejected=with_rejection(seen, status, failed, trigger.reason, trigger.message))
    after = _with(rejected, rollback=rollback, candidate=None, history=with_entry(seen, rejected, entry))
    return _handled(seen, after) if trigger.reason is Reason.REQUESTED_BY_PERSON else after


def drop_wish(seen: Observation, status: ModelStatus) -> ModelStatus:
    """A wish to go back from a version that does not serve, or under a pin, is void: it must not come true later."""
    wish, serving = rollback_wish(seen.annotations, status), serving_target(status)
    if wish is None or known(seen) is None:
        return status
    is_possible = serving is not None and serving.version == wish.from_ and seen.spec.version.pin is None
    return status if is_possible else _handled(seen, status)


def _handled(seen: Observation, status: ModelStatus) -> ModelStatus:
    return _with(status, last_handled_rollback=seen.annotations.get(ROLLBACK))


def drop_candidate(seen: Observation, status: ModelStatus) -> ModelStatus:
    """A candidate goes when the policy wants another version, or when it is no longer approved before it served."""
    candidate = status.candidate
    if candidate is None or known(seen) is None:
        return status
    if seen.spec.version.pin is not None:
        is_pinned = candidate.version == seen.spec.version.pin
        is_another = candidate.stage is Stage.VERIFYING and is_gone(seen, candidate)
        return status if is_pinned and not is_another else _make_way(seen, status, candidate)
    row = summary_of(seen, candidate.version)
    is_approved = row is not None and row.approval is Approval.APPROVED and not is_gone(seen, candidate)
    if candidate.stage is Stage.VERIFYING and not is_approved:
        return _with(status, candidate=None)
    wanted = policy_choice(seen, status)
    is_out_of_range = not seen.spec.version.admits(candidate.version)
    has_gone = wanted is not None and wanted.version == candidate.version and is_gone(seen, candidate)
    is_stuck = candidate.stage is not Stage.VERIFYING and has_no_way_back(seen, status)
    is_superseded = wanted is not None and (is_older(candidate, wanted) or is_out_of_range or has_gone or is_stuck)
    if is_superseded and not _is_only_hope(seen, status, candidate):
        return _make_way(seen, status, candidate)
    return status


def _make_way(seen: Observation, status: ModelStatus, candidate: Candidate) -> ModelStatus:
    """A candidate that serves already is remembered: it may be all there is to go back to."""
    if candidate.stage is not Stage.SOAKING or status.current is None:
        return _with(status, candidate=None)
    entry = HistoryEntry(
        version=candidate.version,
        result=HistoryResult.SUPERSEDED,
        reason=Reason.SUPERSEDED,
        to=candidate.version,
        at=seen.now,
        served=status.current,
    )
    return _with(status, candidate=None, history=with_entry(seen, status, entry))


def _is_only_hope(seen: Observation, status: ModelStatus, candidate: Candidate) -> bool:
    """A first version that is still starting is left to arrive: taking it down would serve nothing."""
    if candidate.stage is not Stage.PROGRESSING or status.current is not None:
        return False
    return seen.serving is None or not seen.serving.deadline_exceeded


def judge_candidate(seen: Observation, status: ModelStatus) -> ModelStatus:
    """A verifying candidate is rejected, waits, or goes on to take traffic."""
    candidate = status.candidate
    if candidate is None or candidate.stage is not Stage.VERIFYING:
        return status
    package = own_package(seen, candidate)
    if package is None:
        return status
    finding = first_finding(seen, status, package)
    if finding is None and candidate.proving_since is None:
        return _with(status, candidate=candidate.model_copy(update={"proving_since": seen.now}))
    finding = finding or verification_finding(seen, status, candidate)
    if finding is None:
        return _take_traffic(seen, status, candidate_from(package, Stage.PROGRESSING, seen, candidate.chosen_at))
    if not finding.is_final or seen.spec.version.pin is not None:
        return status
    entry = HistoryEntry(
        version=candidate.version,
        result=HistoryResult.REJECTED,
        reason=finding.reason,
        at=seen.now,
        **identity_of(candidate),
    )
    rejected = _with(status, rejected=with_rejection(seen, status, candidate, finding.reason, finding.message))
    return _with(rejected, candidate=None, history=with_entry(seen, rejected, entry))


def _take_traffic(seen: Observation, status: ModelStatus, candidate: Candidate) -> ModelStatus:
    rollback = status.rollback
    if rollback is not None and is_rolling_back(status):
        rollback = rollback.model_copy(update={"finished_at": seen.now})
    return _with(status, candidate=candidate, rollback=rollback)


def finish_progress(seen: Observation, status: ModelStatus) -> ModelStatus:
    """Every replica serves the candidate: it becomes current and its soak begins."""
    candidate = status.candidate
    if candidate is None or candidate.stage is not Stage.PROGRESSING or not is_complete(seen.serving, candidate):
        return status
    current = as_served(candidate).model_copy(update={"deployed_at": seen.now})
    soaking = candidate.model_copy(update={"stage": Stage.SOAKING, "started_at": seen.now})
    return _with(status, current=current, candidate=soaking)


def finish_soak(seen: Observation, status: ModelStatus) -> ModelStatus:
    """A version that was watched for `soak` without a finding becomes the way back; unknown promotes nothing."""
    candidate = status.candidate
    if candidate is None or candidate.stage is not Stage.SOAKING or known(seen) is None or status.current is None:
        return status
    is_short = seen.now < soak_end(seen, candidate)
    if is_short or is_paused(seen, status) or _is_under_suspicion(seen):
        return status
    entry = HistoryEntry(
        version=candidate.version,
        result=HistoryResult.PROMOTED,
        reason=Reason.PROMOTED,
        from_=status.stable.version if status.stable is not None else None,
        to=candidate.version,
        at=seen.now,
        served=status.current,
    )
    return _with(status, stable=status.current, candidate=None, history=with_entry(seen, status, entry))


def soak_end(seen: Observation, candidate: Candidate) -> datetime:
    """When a version has been watched long enough; hours without any replica do not count."""
    pause = last_pause_end(seen.spec.schedule, seen.now)
    since = candidate.started_at if pause is None else max(candidate.started_at, pause)
    return since + timedelta(seconds=seen.spec.rollout.soak_s)


def _is_under_suspicion(seen: Observation) -> bool:
    """Whether the last read spoke against the served version; a pin is a person's word and ends the doubt."""
    return seen.spec.version.pin is None and is_doubted(seen.evidence)


def choose_candidate(seen: Observation, status: ModelStatus) -> ModelStatus:
    """The policy's choice becomes the candidate when it is not what serves; by itself only forwards, after the cooldown."""
    row = policy_choice(seen, status)
    package = package_of(seen, row.version) if row is not None else None
    if package is None or status.candidate is not None or (is_rolling_back(status) and not _may_leave_rollback(seen)):
        return status
    if status.current is not None and is_same(package, status.current):
        return status
    if seen.spec.version.pin is None and _must_wait(seen, status, package):
        return status
    return _with(status, candidate=candidate_from(package, Stage.VERIFYING, seen, seen.now))


def _may_leave_rollback(seen: Observation) -> bool:
    """A person's pin, or a target that does not come up, ends the wait for a rollback to arrive."""
    return seen.spec.version.pin is not None or (seen.serving is not None and seen.serving.deadline_exceeded)


def _must_wait(seen: Observation, status: ModelStatus, package: ModelPackage) -> bool:
    """Nothing new starts while no replica is wanted or after a rollback; and going back is a rollback's affair, if it can."""
    if status.current is None:
        return is_cooling_down(seen, status)
    if is_backwards(seen, status, package):
        return is_paused(seen, status) or not has_no_way_back(seen, status)
    return is_paused(seen, status) or is_cooling_down(seen, status)


def is_backwards(seen: Observation, status: ModelStatus, package: Mention) -> bool:
    """Whether a version was made before the served one.

    A range that leaves the served version out is a person's word: it may lead backwards.
    """
    current = status.current
    return current is not None and is_older(package, current) and seen.spec.version.admits(current.version)


def is_cooling_down(seen: Observation, status: ModelStatus) -> bool:
    """Whether the last rollback is so recent that nothing new may start by itself."""
    if status.rollback is None or status.rollback.finished_at is None:
        return False
    return seen.now - status.rollback.finished_at < timedelta(seconds=seen.spec.rollback.cooldown_s)


RULES: tuple[Rule, ...] = (
    note_desired,
    note_creation,
    clear_rejections,
    finish_rollback,
    start_rollback,
    drop_wish,
    drop_candidate,
    judge_candidate,
    finish_progress,
    finish_soak,
    choose_candidate,
    follow_schedule,
)


def _with(status: ModelStatus, **changes: object) -> ModelStatus:
    return status.model_copy(update=changes)
