"""`spec`, the part about versions: how one comes into service, what it must prove, how the way back is taken."""

from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from psm_operator.api.base import ApiModel
from psm_operator.api.metrics import DEFAULT_METRICS, AnalysisMetric
from psm_operator.api.quantities import Duration, seconds
from psm_operator.api.schema import rules


class RollbackMode(StrEnum):
    """Who may start a rollback."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"
    DISABLED = "Disabled"


class OnApprovalRevoked(StrEnum):
    """What follows when the approval of the served version is withdrawn."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"
    SCALE_TO_ZERO = "ScaleToZero"


class OnNoTarget(StrEnum):
    """What follows when a rollback is due and there is nothing to go back to."""

    HOLD = "Hold"
    SCALE_TO_ZERO = "ScaleToZero"


class Verification(ApiModel):
    """A candidate pod, apart from what serves, answers the artifact's golden rows before any traffic moves."""

    enabled: bool = Field(default=True, description="Verify a version in a pod of its own before it serves.")
    timeout_seconds: int = Field(
        default=120, ge=10, le=3600, description="How long the candidate pod may take to become ready, in seconds."
    )


class Rollout(ApiModel):
    """How a version comes into service."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.progressDeadlineSeconds > self.minReadySeconds",
                "rollout.progressDeadlineSeconds must exceed rollout.minReadySeconds",
            )
        ),
    )

    min_ready_seconds: int = Field(
        default=5, ge=0, le=3600, description="How long a new pod must stay ready before it counts, in seconds."
    )
    progress_deadline_seconds: int = Field(
        default=600,
        ge=1,
        le=86400,
        description="A rollout that makes no progress for this long has failed, in seconds.",
    )
    verification: Verification = Field(
        default=Verification(), description="Proof in a pod of its own before any traffic moves."
    )
    soak: Duration = Field(
        default="5m", description="How long a new version is watched before it becomes the way back, like 5m."
    )

    @property
    def soak_s(self) -> int:
        """`soak` in seconds."""
        return seconds(self.soak)

    @model_validator(mode="after")
    def _deadline_after_ready(self) -> Self:
        if self.progress_deadline_seconds <= self.min_ready_seconds:
            raise ValueError("rollout.progressDeadlineSeconds must exceed rollout.minReadySeconds")
        return self


class Analysis(ApiModel):
    """What a version must prove to serve and to go on serving."""

    failure_limit: int = Field(
        default=3, ge=1, le=100, description="Failed verdicts in a row of one metric before a rollback."
    )
    consecutive_error_limit: int = Field(
        default=4,
        ge=1,
        le=100,
        description="Reads in a row in which a metric could not be read before MetricsHealthy is Unknown; never a rollback.",
    )
    dry_run: bool = Field(
        default=False,
        description="Judge metrics and show the verdicts, but neither reject nor roll back because of them.",
    )
    require_data_validation: bool = Field(
        default=True, description="The package must say that its data validation passed."
    )
    metrics: tuple[AnalysisMetric, ...] = Field(
        default=DEFAULT_METRICS,
        max_length=32,
        description="Metrics and their bounds. Default: accuracy >= 0.75 and at most 0.02 below stable, macro_f1 >= 0.70, "
        "precision_min_class >= 0.65.",
        json_schema_extra=rules(
            ("self.all(a, self.exists_one(b, b.name == a.name))", "analysis.metrics must name each metric once"),
        ),
    )

    @model_validator(mode="after")
    def _each_metric_once(self) -> Self:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            raise ValueError("analysis.metrics must name each metric once")
        return self


class RollbackSpec(ApiModel):
    """How the way back is taken."""

    mode: RollbackMode = Field(
        default=RollbackMode.AUTOMATIC,
        description="Automatic: go back by itself. Manual: report it and wait for a pin. Disabled: only report.",
    )
    on_approval_revoked: OnApprovalRevoked = Field(
        default=OnApprovalRevoked.ROLLBACK,
        description="When the served version's approval is withdrawn: Rollback, Hold or ScaleToZero.",
    )
    on_no_target: OnNoTarget = Field(
        default=OnNoTarget.HOLD,
        description="When there is no version to go back to: Hold (go on serving) or ScaleToZero (stop serving).",
    )
    cooldown: Duration = Field(
        default="10m", description="After a rollback no new version is tried for this long, like 10m."
    )
    max_per_hour: int = Field(
        default=3,
        ge=1,
        le=60,
        description="More automatic switches than this in an hour stop the automation until a person acts.",
    )
    rejection_ttl: Duration | None = Field(
        default=None,
        alias="rejectionTTL",
        description="A rejection ends after this long, like 24h, and the version is tried again. "
        "Unset: it lasts until the version is approved anew, pinned or cleared by a person.",
    )

    @property
    def cooldown_s(self) -> int:
        """`cooldown` in seconds."""
        return seconds(self.cooldown)

    @property
    def rejection_ttl_s(self) -> int | None:
        """`rejectionTTL` in seconds; None if a rejection lasts."""
        return None if self.rejection_ttl is None else seconds(self.rejection_ttl)
