"""`status`: what is served, what is on its way, what was rejected, and why.

Written only by `report`, decided only by `decide`. Values that change at every poll live in Prometheus, not here.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from psm_operator.api.base import OpenEnum, StatusModel
from psm_operator.api.conditions import Condition, Message, Reason

CREATED_AT: Final = "When the model package was made: another one under the same number is another version."
DIGEST: Final = "Digest of model.tar.gz as hex; empty when the package does not say."
MAX_REJECTIONS: Final = 500
"""Entries of status.rejected; with that many, no version below them is chosen by itself."""
MAX_HISTORY: Final = 100
"""Entries of status.history."""


class Phase(OpenEnum):
    """A summary for people; conditions are the truth."""

    PENDING = "Pending"
    VERIFYING = "Verifying"
    PROGRESSING = "Progressing"
    SOAKING = "Soaking"
    READY = "Ready"
    ROLLING_BACK = "RollingBack"
    BLOCKED = "Blocked"
    SUSPENDED = "Suspended"
    DEGRADED = "Degraded"


class Stage(StrEnum):
    """How far a candidate has come."""

    VERIFYING = "Verifying"
    PROGRESSING = "Progressing"
    SOAKING = "Soaking"

    @classmethod
    def _missing_(cls, value: object) -> "Stage":  # noqa: ARG003  # the enum protocol's signature
        """A stage of a newer operator: the proof is begun anew, which loses nothing but time."""
        return cls.VERIFYING


class HistoryResult(OpenEnum):
    """How a version's turn ended."""

    PROMOTED = "Promoted"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    REJECTED = "Rejected"


class MetricValue(StatusModel):
    """One metric of a version as the registry gave it, judged."""

    name: str = Field(description="Metric name.")
    value: str = Field(description="Value as the registry wrote it; empty when it is missing.")
    verdict: str = Field(description="Pass, Fail, Inconclusive or Error.")


class Desired(StatusModel):
    """The version that the policy would pick, rejections ignored."""

    version: int = Field(description="Model package version.")
    arn: str = Field(description="Model package ARN.")
    created_at: datetime | None = Field(default=None, description=CREATED_AT)


class Served(StatusModel):
    """A version that is or was served, with what is needed to serve it again."""

    version: int = Field(description="Model package version.")
    arn: str = Field(description="Model package ARN.")
    model_data_url: str = Field(description="S3 URL of model.tar.gz.")
    sha256: str = Field(default="", description=DIGEST)
    created_at: datetime | None = Field(default=None, description=CREATED_AT)
    chosen_at: datetime | None = Field(default=None, description="When it became the candidate that it is or was.")
    deployed_at: datetime | None = Field(default=None, description="When every replica served it.")
    metrics: tuple[MetricValue, ...] = Field(default=(), description="Its metrics, judged.")


class Candidate(Served):
    """A version on its way to be served."""

    stage: Stage = Field(description="Verifying, Progressing or Soaking.")
    started_at: datetime = Field(description="When this stage began.")
    proving_since: datetime | None = Field(
        default=None, description="When the gates were passed and the candidate pod was asked for."
    )


class Rejection(StatusModel):
    """A version that is not to be served again until it is re-approved or pinned."""

    version: int = Field(description="Model package version.")
    reason: Reason = Field(description="Why it was rejected.")
    message: Message = Field(description="Why it was rejected, with values.")
    at: datetime = Field(description="When it was rejected.")
    fingerprint: str = Field(
        description="Identifies the approval and artifact that were rejected; another one clears the rejection."
    )
    revoked: bool = Field(
        default=False, description="Its approval was seen withdrawn since; approving it again clears the rejection."
    )
    arn: str | None = Field(default=None, description="Model package ARN.")
    sha256: str | None = Field(default=None, description=DIGEST)
    created_at: datetime | None = Field(default=None, description=CREATED_AT)


class HistoryEntry(StatusModel):
    """One thing that happened to a version; newest first."""

    model_config = ConfigDict(
        frozen=True, extra="allow", populate_by_name=True, alias_generator=lambda name: to_camel(name.rstrip("_"))
    )

    version: int = Field(description="Model package version this entry is about.")
    result: HistoryResult = Field(description="Promoted, Superseded, RolledBack or Rejected.")
    reason: Reason = Field(description="Why.")
    from_: int | None = Field(default=None, description="Version served before.")
    to: int | None = Field(default=None, description="Version served after.")
    at: datetime = Field(description="When.")
    arn: str | None = Field(default=None, description="Model package ARN.")
    sha256: str | None = Field(default=None, description=DIGEST)
    created_at: datetime | None = Field(default=None, description=CREATED_AT)
    served: Served | None = Field(
        default=None, description="What is needed to serve this version again; only of versions that served."
    )


class Rollback(StatusModel):
    """The last rollback; unfinished while `finishedAt` is absent."""

    model_config = ConfigDict(
        frozen=True, extra="allow", populate_by_name=True, alias_generator=lambda name: to_camel(name.rstrip("_"))
    )

    id: str = Field(description="Identifies the rollback; a retry after a crash keeps it.")
    from_: int = Field(description="Version that failed.")
    to: Served = Field(description="Version gone back to.")
    reason: Reason = Field(description="What triggered it.")
    message: Message = Field(description="What triggered it, with values.")
    started_at: datetime = Field(description="When the intent was written.")
    finished_at: datetime | None = Field(default=None, description="When every replica served the target.")


class OffHoursStatus(StatusModel):
    """The off-hours window in force, or the last one until its end has been carried out."""

    since: datetime = Field(description="When the window was entered.")
    until: datetime = Field(description="When it ends.")
    replicas: int = Field(description="Replicas inside the window.")
    replicas_before: int = Field(description="Replicas before it: the size that an autoscaler starts with again.")


class ModelStatus(StatusModel):
    """The whole status."""

    observed_generation: int | None = Field(
        default=None, description="Generation of the spec that the last pass acted upon."
    )
    phase: Phase | None = Field(default=None, description="A summary for people; conditions are the truth.")
    message: Message = Field(default="", description="One sentence: what is served and what stands in the way of more.")
    desired: Desired | None = Field(default=None, description="The version the policy would pick, rejections ignored.")
    candidate: Candidate | None = Field(default=None, description="The version on its way.")
    current: Served | None = Field(default=None, description="The version being served.")
    stable: Served | None = Field(default=None, description="The last version that finished its soak: the way back.")
    rejected: tuple[Rejection, ...] = Field(
        default=(), max_length=MAX_REJECTIONS, description="Versions not to be served again, newest first."
    )
    history: tuple[HistoryEntry, ...] = Field(
        default=(), max_length=MAX_HISTORY, description="What happened, newest first."
    )
    rollback: Rollback | None = Field(default=None, description="The last rollback.")
    off_hours: OffHoursStatus | None = Field(default=None, description="The off-hours window in force.")
    replicas: int | None = Field(default=None, description="Replicas that exist.")
    ready_replicas: int | None = Field(default=None, description="Replicas that answer.")
    selector: str | None = Field(
        default=None, description="Label selector of the serving pods, for `kubectl get pods -l`."
    )
    url: str | None = Field(default=None, description="Where to send requests.")
    last_handled_reconcile_at: str | None = Field(
        default=None, description="Echo of annotation retail.mlops/requestedAt."
    )
    last_handled_rollback: str | None = Field(
        default=None, description="Echo of annotation retail.mlops/rollback: the last wish that was acted upon."
    )
    conditions: tuple[Condition, ...] = Field(default=(), description="Standard conditions, one per type.")
