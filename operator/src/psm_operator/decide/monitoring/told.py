"""The condition that tells of a model's dashboard and alarms. It never stands in the way of serving."""

from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.values import Observation

Judgement = tuple[ConditionStatus, Reason, str]


def monitoring_ready(seen: Observation) -> Judgement | None:
    """None while nothing is asked for and nothing is left; before the first look what another process said holds."""
    is_wanted = seen.spec.monitoring.cloud_watch.enabled
    if not is_wanted and not seen.is_guarded:
        return None
    if seen.monitoring is not None:
        status = ConditionStatus.TRUE if seen.monitoring.is_ready else ConditionStatus.FALSE
        return status, seen.monitoring.reason, seen.monitoring.message
    before = next((old for old in seen.status.conditions if old.type is ConditionType.MONITORING_READY), None)
    if before is not None and (before.observed_generation == seen.generation or seen.spec.suspend):
        return before.status, before.reason, before.message
    what = "the dashboard and alarms are about to be looked at" if is_wanted else "the dashboard and alarms are to go"
    waiting = "; spec.suspend keeps them as they are" if seen.spec.suspend else ""
    return ConditionStatus.UNKNOWN, Reason.MONITORING_PENDING, what + waiting
