"""How many replicas are wanted when it is not the load that decides: off-hours, and policies that prefer no answer."""

from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.api.policy import OnApprovalRevoked, OnNoTarget
from psm_operator.api.status import ModelStatus, OffHoursStatus, Stage
from psm_operator.decide.evidence import is_doubted, is_revocation_confirmed
from psm_operator.decide.packages import is_same
from psm_operator.decide.plan import AUTOSCALER
from psm_operator.decide.rollback import Blocked
from psm_operator.decide.scene import is_rolling_back, known, serving_target
from psm_operator.decide.schedule import window_at
from psm_operator.values import Observation


def follow_schedule(seen: Observation, status: ModelStatus) -> ModelStatus:
    """Enter and leave off-hours; what moves a version is finished first.

    The entry stays until its end was carried out: it remembers the size that an autoscaler starts with again.
    """
    window, entered = window_at(seen.spec.schedule, seen.now), status.off_hours
    if window is None or _is_moving(status):
        return status if entered is None or not _has_come_back(seen) else _with(status, None)
    before = entered.replicas_before if entered is not None else _size(seen)
    since = entered.since if entered is not None and seen.now < entered.until else seen.now
    off_hours = OffHoursStatus(since=since, until=window.end, replicas=window.replicas, replicas_before=before)
    return _with(status, off_hours)


def off_hours(seen: Observation, status: ModelStatus) -> OffHoursStatus | None:
    """The window in force; None outside, and while a version is on its way."""
    is_wanted = window_at(seen.spec.schedule, seen.now) is not None and not _is_moving(status)
    return status.off_hours if is_wanted else None


def is_paused(seen: Observation, status: ModelStatus) -> bool:
    """Whether the schedule asks for no replica at all."""
    window = off_hours(seen, status)
    return window is not None and window.replicas == 0


def held_at(seen: Observation, status: ModelStatus, blocked: Blocked | None) -> int | None:
    """The size that holds without an autoscaler; None where `replicas` or the autoscaler decides."""
    if _is_better_silent(seen, status, blocked):
        return 0
    window = off_hours(seen, status)
    return window.replicas if window is not None else None


def size_to_start_with(seen: Observation, status: ModelStatus) -> int | None:
    """The size of a Deployment that an autoscaler is to take over: as before the window, as it is, or as it was."""
    if status.off_hours is not None:
        return status.off_hours.replicas_before
    return _size(seen) or seen.status.replicas


def _is_better_silent(seen: Observation, status: ModelStatus, blocked: Blocked | None) -> bool:
    """Whether policy prefers no answer to an answer of the version that serves.

    Once silent, it is not woken by what is unknown: an outage of the registry, or a restart whose reads must confirm anew.
    """
    rules, serving = seen.spec.rollback, serving_target(status)
    if serving is None or seen.spec.version.pin is not None:
        return False
    is_silencing = rules.on_approval_revoked is OnApprovalRevoked.SCALE_TO_ZERO
    if blocked is not None and rules.on_no_target is OnNoTarget.SCALE_TO_ZERO:
        return True
    if is_silencing and is_same(seen.evidence, serving) and is_revocation_confirmed(seen.evidence):
        return True
    may_be_silent = is_silencing or rules.on_no_target is OnNoTarget.SCALE_TO_ZERO
    return may_be_silent and _is_silent(seen) and (known(seen) is None or is_doubted(seen.evidence))


def _is_silent(seen: Observation) -> bool:
    said = next((c.reason for c in seen.status.conditions if c.type is ConditionType.AVAILABLE), None)
    live = seen.children.get(("Deployment", seen.ref.name))
    return said is Reason.SCALED_TO_ZERO and live is not None and live["spec"].get("replicas", 1) == 0


def _is_moving(status: ModelStatus) -> bool:
    """Whether a version is being proved or moved to; a soak can wait for the morning."""
    candidate = status.candidate
    return is_rolling_back(status) or (candidate is not None and candidate.stage is not Stage.SOAKING)


def _has_come_back(seen: Observation) -> bool:
    """Whether the autoscaler, where one is wanted, has the size in its hands again."""
    return seen.spec.autoscaling is None or (AUTOSCALER, seen.ref.name) in seen.children


def _size(seen: Observation) -> int:
    live = seen.children.get(("Deployment", seen.ref.name))
    return int(live["spec"].get("replicas", 1)) if live is not None else 0


def _with(status: ModelStatus, off_hours: OffHoursStatus | None) -> ModelStatus:
    return status.model_copy(update={"off_hours": off_hours})
