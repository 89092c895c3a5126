"""PURE. What CloudWatch is to have of one model, and what turns what it has into that."""

from psm_operator.decide.monitoring.difference import (
    Conflict,
    DeleteAlarms,
    DeleteDashboard,
    PutAlarm,
    PutDashboard,
    Step,
    TagAlarm,
    steps,
)
from psm_operator.decide.monitoring.model import (
    FINALIZER,
    Found,
    FoundAlarm,
    FoundDashboard,
    MonitoringDefaults,
    Owner,
    Place,
    Wanted,
)
from psm_operator.decide.monitoring.told import monitoring_ready
from psm_operator.decide.monitoring.wanted import owner_of, place_of, wanted_monitoring

__all__ = [
    "FINALIZER",
    "Conflict",
    "DeleteAlarms",
    "DeleteDashboard",
    "Found",
    "FoundAlarm",
    "FoundDashboard",
    "MonitoringDefaults",
    "Owner",
    "Place",
    "PutAlarm",
    "PutDashboard",
    "Step",
    "TagAlarm",
    "Wanted",
    "monitoring_ready",
    "owner_of",
    "place_of",
    "steps",
    "wanted_monitoring",
]
