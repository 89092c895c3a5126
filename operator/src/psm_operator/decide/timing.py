"""When time alone, or one more read of the registry, would change the decision."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from psm_operator.api.status import ModelStatus, Stage
from psm_operator.decide.evidence import CONFIRMATION, is_counting, is_revocation_confirmed
from psm_operator.decide.release import is_cooling_down, soak_end
from psm_operator.decide.scene import (
    is_rolling_back,
    known,
    package_of,
    policy_choice,
    requested_at,
    serving_target,
    summary_of,
)
from psm_operator.decide.schedule import next_change
from psm_operator.decide.wishes import rollback_wish
from psm_operator.values import Observation

LOOK_AT_PODS_S = 5.0
"""Pods are not watched: while a Deployment of ours is moving, look at their complaints this often."""
CONFIRM_AFTER_S = CONFIRMATION.total_seconds() + 0.1


def requeue_after_s(seen: Observation, status: ModelStatus) -> float | None:
    """Seconds until the decision should be taken again though nothing was reported; None if never."""
    if seen.spec.suspend:
        return None
    left = [(moment - seen.now).total_seconds() for moment in _moments(seen, status)]
    due = [seconds for seconds in left if seconds > 0] + [LOOK_AT_PODS_S] * _is_moving(seen, status)
    return min(due, default=None)


def _is_moving(seen: Observation, status: ModelStatus) -> bool:
    """Whether a version is on its way, or a Deployment has not arrived: pods and artifacts are asked at every pass."""
    candidate = status.candidate
    is_on_its_way = is_rolling_back(status) or (candidate is not None and candidate.stage is not Stage.SOAKING)
    return is_on_its_way or (seen.serving is not None and not seen.serving.complete)


def _moments(seen: Observation, status: ModelStatus) -> Iterator[datetime]:
    """When something ends by itself; what is past already waits for something else."""
    candidate, rollback, ttl_s = status.candidate, status.rollback, seen.spec.rollback.rejection_ttl_s
    if candidate is not None and candidate.stage is Stage.SOAKING:
        yield soak_end(seen, candidate)
    if rollback is not None and rollback.finished_at is not None and is_cooling_down(seen, status):
        yield rollback.finished_at + timedelta(seconds=seen.spec.rollback.cooldown_s)
    if ttl_s is not None:
        yield from (entry.at + timedelta(seconds=ttl_s) for entry in status.rejected)
    change = next_change(seen.spec.schedule, seen.now)
    if change is not None:
        yield change


def needs_every_read(seen: Observation, status: ModelStatus) -> bool:
    """Whether a read of the registry that says nothing new may change the decision all the same.

    It does where reads are counted, where a person waits, and where a pass asks what nobody watches. What time alone changes comes with
    `requeue_after_s`, except while the model is suspended: nothing is requeued then.
    """
    if seen.spec.suspend or _is_moving(seen, status) or rollback_wish(seen.annotations, status) is not None:
        return True
    snapshot = known(seen)
    is_counted = snapshot is not None and is_counting(
        seen.evidence, snapshot, status, seen.spec.analysis, seen.readings
    )
    return is_counted or refresh_registry_after_s(seen, status) is not None


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
    wish = rollback_wish(seen.annotations, status)
    wanted |= {wish.to} if wish is not None and wish.to is not None else set()
    is_described = (
        package_of(seen, version) is not None for version in wanted if summary_of(seen, version) is not None
    )
    return None if all(is_described) else 0.0  # what is not listed any more will never be described
