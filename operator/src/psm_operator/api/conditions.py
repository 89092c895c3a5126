"""Condition types and reasons. Both are API: alerts, Argo CD health checks and people match on them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints

from psm_operator.api.base import OpenEnum, StatusModel
from psm_operator.api.schema import CLOSED, INT64


class ConditionType(OpenEnum):
    """The closed set of condition types; a new one is an API change."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    VERSION_RESOLVED = "VersionResolved"
    AVAILABLE = "Available"
    METRICS_HEALTHY = "MetricsHealthy"
    UP_TO_DATE = "UpToDate"
    MONITORING_READY = "MonitoringReady"
    """Only while spec.monitoring.cloudWatch asks for something, or something of it is left."""


class ConditionStatus(StrEnum):
    """Kubernetes' three values."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(OpenEnum):
    """Why a condition is as it is, why a version was rejected, why an Event was recorded."""

    SERVING = "Serving"
    """The wanted version is served by every replica."""
    RESOLVED = "Resolved"
    """The registry named the version to serve."""
    PENDING = "Pending"
    """Nothing is served yet."""
    VERIFYING = "Verifying"
    """A candidate is proving itself outside the Service."""
    PROGRESSING = "Progressing"
    """The Deployment is moving to the candidate."""
    ROLLING_BACK = "RollingBack"
    """Traffic is moving back to an earlier version."""
    ROLLED_BACK = "RolledBack"
    """An earlier version serves again."""
    PROMOTED = "Promoted"
    """A version finished its soak and became the way back."""
    SUPERSEDED = "Superseded"
    """A newer version took the candidate's place."""
    OFF_HOURS = "OffHours"
    """spec.schedule asks for fewer replicas, or none, at this hour."""
    PINNED = "Pinned"
    """spec.version.pin names the version; nothing moves by itself."""

    NO_APPROVED_VERSION = "NoApprovedVersion"
    """No version of the group is approved and not rejected."""
    MODEL_PACKAGE_GROUP_NOT_FOUND = "ModelPackageGroupNotFound"
    """The model package group does not exist in this account and region."""
    VERSION_NOT_FOUND = "VersionNotFound"
    """The pinned version is not in the group."""
    REGISTRY_UNAVAILABLE = "RegistryUnavailable"
    """SageMaker could not be read; what runs goes on running."""
    REGISTRY_THROTTLED = "RegistryThrottled"
    """SageMaker asked us to slow down; what runs goes on running."""
    ACCESS_DENIED = "AccessDenied"
    """The operator's role may not read the group or the artifact, or may not keep the dashboard and alarms."""

    PACKAGE_INCOMPLETE = "PackageIncomplete"
    """The package does not say where its artifact is or what its digest is."""
    ARTIFACT_MISSING = "ArtifactMissing"
    """The package's model.tar.gz does not exist."""
    ARTIFACT_MISMATCH = "ArtifactMismatch"
    """The object in S3 is not the one the package names."""
    ARTIFACT_UNKNOWN = "ArtifactUnknown"
    """S3 could not be asked about the artifact."""
    DATA_VALIDATION_FAILED = "DataValidationFailed"
    """The package says that its data validation failed, or does not say that it passed."""
    METRIC_BELOW_THRESHOLD = "MetricBelowThreshold"
    """A metric is below its absolute threshold."""
    METRIC_REGRESSION = "MetricRegression"
    """A metric is worse than the stable version's by more than is allowed."""
    METRIC_INCONCLUSIVE = "MetricInconclusive"
    """A metric is missing or not a number: neither pass nor fail."""
    METRICS_UNREADABLE = "MetricsUnreadable"
    """A metric could not be read spec.analysis.consecutiveErrorLimit times in a row."""
    METRICS_PASS = "MetricsPass"  # noqa: S105  # a reason, not a password
    """Every metric passes."""
    APPROVAL_REVOKED = "ApprovalRevoked"
    """The served version's approval was withdrawn, or its package deleted."""
    REQUESTED_BY_PERSON = "RequestedByPerson"
    """A person asked to go back from this version."""
    VERIFICATION_FAILED = "VerificationFailed"
    """The candidate pod did not become ready."""
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """The rollout did not finish in time."""
    REJECTED = "Rejected"
    """The version the policy would pick was rejected."""
    NOT_CHECKED = "NotChecked"
    """There is nothing to judge yet."""

    NO_ROLLBACK_TARGET = "NoRollbackTarget"
    """A rollback is due and no earlier version may be served."""
    ROLLBACK_LIMIT_EXCEEDED = "RollbackLimitExceeded"
    """More automatic switches in an hour than spec.rollback.maxPerHour."""
    ROLLBACK_NOT_AUTOMATIC = "RollbackNotAutomatic"
    """A rollback is due and spec.rollback.mode is not Automatic."""

    AVAILABLE = "Available"
    """Enough replicas answer."""
    UNAVAILABLE = "Unavailable"
    """Too few replicas answer."""
    SCALED_TO_ZERO = "ScaledToZero"
    """No replica is wanted."""
    ADOPTION_CONFLICT = "AdoptionConflict"
    """An object with a child's name, or a dashboard or alarm with one of ours, exists and is not ours."""
    CHILD_REJECTED = "ChildRejected"
    """The API server refuses a child object."""
    INVALID_SPEC = "InvalidSpec"
    """The spec contradicts itself in a way the schema could not refuse."""
    DEPENDENCY_UNAVAILABLE = "DependencyUnavailable"
    """Something the operator needs is away; it retries by itself."""
    MONITORED = "Monitored"
    """CloudWatch has the dashboard and alarms that the spec asks for."""
    MONITORING_PENDING = "MonitoringPending"
    """The dashboard and alarms were asked for, changed or given up, and CloudWatch has not been told yet."""
    MONITORING_UNAVAILABLE = "MonitoringUnavailable"
    """CloudWatch could not be asked or told; it is tried again by itself, and what serves goes on serving."""
    MONITORING_REFUSED = "MonitoringRefused"
    """CloudWatch refuses the dashboard or an alarm: its limit is reached, or a value is not to its liking."""
    TOPIC_NOT_FOUND = "TopicNotFound"
    """spec.monitoring.cloudWatch.snsTopicARN names no topic that alarms of this region could tell."""
    REPAIRED = "Repaired"
    """A child differed from what it should be and was put right."""


MESSAGE_LIMIT: Final = 32768
"""Characters of a condition's message, as metav1.Condition has it."""
TYPE_PATTERN: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
REASON_PATTERN: Final = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"


def shortened(message: object) -> object:
    """A message that fits into a condition; what others say, such as an API server, may be longer."""
    if not isinstance(message, str) or len(message) <= MESSAGE_LIMIT:
        return message
    return message[: MESSAGE_LIMIT - 1] + "…"


Message = Annotated[str, BeforeValidator(shortened), StringConstraints(max_length=MESSAGE_LIMIT)]
"""What a person reads in the status."""


class Condition(StatusModel):
    """One standard Kubernetes condition, within the bounds of metav1.Condition."""

    type: ConditionType = Field(
        description="Condition type; one entry per type.",
        json_schema_extra={"pattern": TYPE_PATTERN, "maxLength": 316},
    )
    status: ConditionStatus = Field(description="True, False or Unknown.", json_schema_extra=CLOSED)
    reason: Reason = Field(
        description="Why, as one word that alerts may match on.",
        json_schema_extra={"pattern": REASON_PATTERN, "minLength": 1, "maxLength": 1024},
    )
    message: Message = Field(description="Why, as a sentence for people: what, which value, what to do.")
    observed_generation: int = Field(
        ge=0, description="Generation of the resource that this condition speaks about.", json_schema_extra=INT64
    )
    last_transition_time: datetime = Field(description="When `status` last changed.")
