"""What CloudWatch is to have of a model, from its spec and its status."""

from types import MappingProxyType

from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus
from psm_operator.decide.monitoring.alarms import alarms
from psm_operator.decide.monitoring.dashboard import dashboard
from psm_operator.decide.monitoring.model import (
    MANAGED_BY,
    MANAGED_BY_TAG,
    MODEL_TAG,
    OWNER_TAG,
    MonitoringDefaults,
    Owner,
    Place,
    Wanted,
)
from psm_operator.values import ObjectRef


def owner_of(ref: ObjectRef, uid: str, defaults: MonitoringDefaults) -> Owner:
    """Whose things in AWS: known without the spec, so that a model that cannot be read can be deleted."""
    return Owner(ref, uid, defaults.prefix)


def place_of(registry_region: str, defaults: MonitoringDefaults) -> Place:
    """Where: the operator's own region, or else the registry's."""
    return Place(defaults.region or registry_region)


def wanted_monitoring(
    ref: ObjectRef, uid: str, spec: ModelSpec, status: ModelStatus, defaults: MonitoringDefaults
) -> Wanted | None:
    """Everything that is to be there; None if the spec asks for nothing."""
    monitoring = spec.monitoring.cloud_watch
    if not monitoring.enabled:
        return None
    owner, place = owner_of(ref, uid, defaults), place_of(spec.registry.region, defaults)
    wanted_alarms = alarms(owner, monitoring, is_awake=_is_awake(spec, status))
    own = {MANAGED_BY_TAG: MANAGED_BY, OWNER_TAG: uid, MODEL_TAG: str(ref)}
    return Wanted(
        owner=owner,
        place=place,
        alarms=wanted_alarms,
        dashboard=dashboard(owner, place, spec, status, defaults.cluster) if monitoring.dashboard else None,
        topic=monitoring.sns_topic_arn,
        tags=MappingProxyType({**defaults.tags, **own}),
    )


def _is_awake(spec: ModelSpec, status: ModelStatus) -> bool:
    """Whether a pod is wanted at this hour: something serves, and neither the spec nor a window asks for none."""
    is_off = status.off_hours is not None and status.off_hours.replicas == 0
    return status.current is not None and spec.replicas != 0 and not is_off
