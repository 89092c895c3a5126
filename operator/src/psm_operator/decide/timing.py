"""When time alone, or one more read of the registry, would change the decision."""

from datetime import datetime, timedelta

from psm_operator.api.status import ModelStatus, Stage
from psm_operator.decide.release import is_cooling_down
from psm_operator.decide.scene import is_rolling_back, known, package_of, policy_choice, requested_at, serving_target
from psm_operator.decide.verdict import CONFIRMATION, is_revocation_confirmed
from psm_operator.values import Observation

LOOK_AT_PODS_S = 5.0
"""Pods are not watched: while a Deployment of ours is moving, look at their complaints this often."""
CONFIRM_AFTER_S = CONFIRMATION.total_seconds() + 0.5


def requeue_after_s(seen: Observation, status: ModelStatus) -> float | None:
    """Seconds until the decision should be taken again though nothing was reported; None if never."""
    if seen.spec.suspend:
        return None
    due: list[float] = []
    candidate = status.candidate
    if is_rolling_back(status) or (candidate is not None and candidate.stage is not Stage.SOAKING):
        due.append(LOOK_AT_PODS_S)
    if candidate is not None and candidate.stage is Stage.SOAKING:
        due.append(_remaining(seen, candidate.started_at + timedelta(seconds=seen.spec.rollout.soak_s)))
    if status.rollback is not None and status.rollback.finished_at is not None and is_cooling_down(seen, status):
        due.append(_remaining(seen, status.rollback.finished_at + timedelta(seconds=seen.spec.rollback.cooldown_s)))
    if seen.serving is not None and not seen.serving.complete:
        due.append(LOOK_AT_PODS_S)
    return min(due) if due else None


def _remaining(seen: Observation, moment: datetime) -> float:
    return max(0.1, (moment - seen.now).total_seconds())


def refresh_registry_after_s(seen: Observation, status: ModelStatus) -> float | None:
    """Seconds until an early poll is wanted: by a person, to confirm a revocation, or to describe a version just chosen."""
    if requested_at(seen) != seen.status.last_handled_reconcile_at:
        return 0.0
    if known(seen) is None:
        return None
    if seen.evidence.revoked_since is not None and not is_revocation_confirmed(seen.evidence):
        return CONFIRM_AFTER_S
    row = policy_choice(seen, status)
    wanted = {row.version} if row is not None else set()
    serving = serving_target(status)
    wanted |= {serving.version} if serving is not None else set()
    return 0.0 if any(package_of(seen, version) is None for version in wanted) else None
