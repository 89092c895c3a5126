"""`spec`: what a person asks for. These types are the CRD; `crd.py` renders them.

Every default and every rule exists once, here and in `workload.py` and `policy.py`: the schema carries it to the API
server and pydantic applies the same one. A rule of more than one field is written in CEL beside its type and repeated
as a validator, so that `ModelSpec` accepts whatever the API server admits and refuses what contradicts itself. Defaults
that would stand in the way of a later `kubectl apply` are not stored (`NOT_STORED`): a stored `version.policy` would
collide with an added `version.range`, and stored resources would be mixed with given ones.
"""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from psm_operator.api.base import ApiModel
from psm_operator.api.metrics import (
    Against,
    AnalysisMetric,
    CloudWatchMetric,
    Dimension,
    MaxRegression,
    MetricSource,
    Threshold,
)
from psm_operator.api.monitoring import Monitoring
from psm_operator.api.policy import (
    Analysis,
    OnApprovalRevoked,
    OnNoTarget,
    RollbackMode,
    RollbackSpec,
    Rollout,
    Verification,
)
from psm_operator.api.quantities import Duration, VersionRange, range_admits, seconds
from psm_operator.api.schedule import Day, OffHours, Schedule
from psm_operator.api.schema import NOT_STORED, rules
from psm_operator.api.workload import (
    Autoscaling,
    Disruption,
    EnvVar,
    IngressSpec,
    Networking,
    NetworkPolicySpec,
    PredictorSpec,
    Resources,
    SecretName,
    ServiceAccountSpec,
    ServiceSpec,
    Toleration,
)

MIN_INTERVAL_S = 15
"""SageMaker's List calls are throttled per account; polling faster than this gains nothing and starves others."""

GROUP_PATTERN = (
    r"^(arn:aws(-[a-z]+)*:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package-group/)?"
    r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"
)


class VersionPolicy(StrEnum):
    """How a version is chosen from the group."""

    LATEST_APPROVED = "LatestApproved"


class RegistryRef(ApiModel):
    """Names a SageMaker model package group."""

    model_package_group_name: Annotated[str, StringConstraints(max_length=170, pattern=GROUP_PATTERN)] = Field(
        description="SageMaker model package group, by name or ARN; immutable, make another resource for another.",
        json_schema_extra=rules(
            (
                "self == oldSelf",
                "registry.modelPackageGroupName is immutable; make another resource for another group",
            ),
        ),
    )
    region: Annotated[str, StringConstraints(max_length=32, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = Field(
        description="AWS region of the group and of its artifacts. Immutable, as the group is.",
        json_schema_extra=rules(
            ("self == oldSelf", "registry.region is immutable; make another resource for another region"),
        ),
    )
    role_arn: Annotated[
        str, StringConstraints(max_length=2048, pattern=r"^(arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[\w+=,.@/-]+)?$")
    ] = Field(
        default="",
        alias="roleARN",
        description="IAM role that the operator assumes to read a group, its artifacts and metrics in another account. "
        "Empty: the operator's own role.",
    )


class VersionChoice(ApiModel):
    """Which version of the group to serve: by `policy`, which is LatestApproved, or in a `range`; a `pin` wins over both.

    A pin stands beside the others, so that a person sets and clears it without touching what somebody else, such as Git, wrote.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(has(self.policy) && has(self.range))",
                "version.policy and version.range exclude each other: remove one of them",
            )
        ),
    )

    policy: VersionPolicy | None = Field(
        default=None,
        description="LatestApproved: the newest Approved version that was not rejected; moves by itself.",
    )
    range: VersionRange | None = Field(
        default=None,
        description='As LatestApproved, among these versions only: comparisons that all hold, like ">=12 <40 !=17".',
    )
    pin: Annotated[int, Field(ge=1, le=2147483647)] | None = Field(
        default=None,
        description="Serve exactly this version, whatever policy or range say and even if it was rejected. "
        "Nothing moves by itself while it is set.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.policy is not None and self.range is not None:
            raise ValueError("version.policy and version.range exclude each other: remove one of them")
        return self

    def admits(self, version: int) -> bool:
        """Whether the choice leaves room for a version: it is in the range, if there is one that no pin overrules."""
        return self.pin is not None or self.range is None or range_admits(self.range, version)


class ModelSpec(ApiModel):
    """What to serve, how to run it, what it must prove, and how to go back."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(has(self.replicas) && has(self.autoscaling))",
                "replicas and autoscaling exclude each other: remove one of them",
            )
        ),
    )

    suspend: bool = Field(default=False, description="Stop acting, keep reporting: nothing is written but status.")
    interval: Duration = Field(
        default="60s",
        description="How often the registry is read, like 60s; at least 15s. Resources of one group share the reads.",
        json_schema_extra=rules(("duration(self) >= duration('15s')", "interval must be at least 15s")),
    )
    registry: RegistryRef = Field(description="The SageMaker model package group to serve from.")
    version: VersionChoice = Field(
        default=VersionChoice(policy=VersionPolicy.LATEST_APPROVED),
        description="Which version to serve: by policy or range, unless one is pinned. Unset: policy LatestApproved.",
        json_schema_extra=NOT_STORED,
    )
    predictor: PredictorSpec = Field(default=PredictorSpec(), description="The predictor's pods.")
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="A fixed number of replicas, without autoscaling. Unset: autoscaling decides."
    )
    autoscaling: Autoscaling | None = Field(
        default=None,
        description="How replicas follow the load. Unset, with replicas unset too: from 2 to 10 by CPU and memory.",
    )
    schedule: Schedule | None = Field(
        default=None, description="Hours in which fewer replicas are wanted. Unset: never."
    )
    disruption: Disruption = Field(default=Disruption(), description="How many pods a node drain may take at once.")
    networking: Networking = Field(default=Networking(), description="How the predictor is reached.")
    rollout: Rollout = Field(default=Rollout(), description="How a version comes into service.")
    analysis: Analysis = Field(
        default=Analysis(), description="What a version must prove to serve and to go on serving."
    )
    rollback: RollbackSpec = Field(default=RollbackSpec(), description="How the way back is taken.")
    monitoring: Monitoring = Field(default=Monitoring(), description="What watches the model from outside.")
    revision_history_limit: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Ways back in status.history, other entries beside them, and old ReplicaSets: so many of each.",
    )

    @property
    def interval_s(self) -> int:
        """`interval` in seconds."""
        return seconds(self.interval)

    @model_validator(mode="before")
    @classmethod
    def _scale_by_load_unless_told(cls, data: Any) -> Any:
        """Without a fixed number of replicas, autoscaling is on: it is None only where `replicas` is set."""
        if isinstance(data, dict) and data.get("replicas") is None and data.get("autoscaling") is None:
            return {**data, "autoscaling": Autoscaling()}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError("replicas and autoscaling exclude each other")
        if self.interval_s < MIN_INTERVAL_S:
            raise ValueError(f"interval must be at least {MIN_INTERVAL_S}s")
        return self


__all__ = [
    "Against",
    "Analysis",
    "AnalysisMetric",
    "Autoscaling",
    "CloudWatchMetric",
    "Day",
    "Dimension",
    "Disruption",
    "EnvVar",
    "IngressSpec",
    "MaxRegression",
    "MetricSource",
    "ModelSpec",
    "Monitoring",
    "NetworkPolicySpec",
    "Networking",
    "OffHours",
    "OnApprovalRevoked",
    "OnNoTarget",
    "PredictorSpec",
    "RegistryRef",
    "Resources",
    "RollbackMode",
    "RollbackSpec",
    "Rollout",
    "Schedule",
    "SecretName",
    "ServiceAccountSpec",
    "ServiceSpec",
    "Threshold",
    "Toleration",
    "Verification",
    "VersionChoice",
    "VersionPolicy",
]
