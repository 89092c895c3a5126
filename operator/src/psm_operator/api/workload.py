"""`spec`, the part about pods: image, identity, resources, autoscaling, networking."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from psm_operator.api.base import ApiModel
from psm_operator.api.quantities import IntOrPercent, Quantity
from psm_operator.api.schema import NOT_STORED, Name, Verbatim, map_by, rules

RESERVED_ENV_PREFIX = "PSM_MODEL_"
"""Environment names that say which model a pod serves; only the operator sets them."""


class ServiceAccountSpec(ApiModel):
    """The predictor's identity in AWS."""

    role_arn: Annotated[
        str, StringConstraints(max_length=2048, pattern=r"^(arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/.+)?$")
    ] = Field(
        default="",
        alias="roleARN",
        description="IAM role of the predictor's pods (annotation eks.amazonaws.com/role-arn). Empty: none.",
    )


class Resources(ApiModel):
    """Compute resources of one predictor pod."""

    requests: dict[str, Quantity] = Field(
        default={},
        max_length=10,
        description="What a pod is guaranteed, by resource name; the autoscaler's percentages are of these.",
    )
    limits: dict[str, Quantity] = Field(
        default={}, max_length=10, description="What a pod may use at most, by resource name."
    )


class EnvVar(ApiModel):
    """One environment variable of the predictor."""

    name: Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="Name of the variable. Names that begin with PSM_MODEL_ are the operator's."
    )
    value: Annotated[str, StringConstraints(max_length=4096)] | None = Field(default=None, description="Its value.")
    value_from: Verbatim | None = Field(
        default=None, description="Its source, as in a pod: a key of a ConfigMap or Secret, or a pod field."
    )


class SecretName(ApiModel):
    """Names a Secret of the same namespace."""

    name: Name = Field(description="Name of the Secret.")


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    """A taint that the predictor's pods tolerate, as in a pod."""

    key: Annotated[str, StringConstraints(max_length=317)] | None = Field(
        default=None, description="Taint key; unset with operator Exists matches every key."
    )
    operator: TolerationOperator | None = Field(default=None, description="Exists or Equal; unset is Equal.")
    value: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="Taint value, with operator Equal."
    )
    effect: TaintEffect | None = Field(default=None, description="Taint effect; unset matches every effect.")
    toleration_seconds: int | None = Field(
        default=None, description="How long a NoExecute taint is tolerated, in seconds; unset is for ever."
    )


DEFAULT_RESOURCES = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"memory": "512Mi"})


class PredictorSpec(ApiModel):
    """The predictor's pods."""

    image: Annotated[str, StringConstraints(max_length=512)] = Field(
        default="",
        description="Predictor image, best by digest. Empty: the operator's own setting (chart value predictor.image).",
    )
    image_pull_secrets: tuple[SecretName, ...] = Field(
        default=(),
        max_length=10,
        description="Secrets of this namespace that hold registry credentials.",
        json_schema_extra=map_by("name"),
    )
    service_account: ServiceAccountSpec = Field(
        default=ServiceAccountSpec(), description="The predictor's identity in AWS."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Server processes per pod; more pods are better than more workers, unless memory is scarce.",
    )
    resources: Resources = Field(
        default=DEFAULT_RESOURCES,
        description="Compute resources of one predictor pod. Unset: requests 250m CPU and 256Mi, limit 512Mi.",
        json_schema_extra=NOT_STORED,
    )
    env: tuple[EnvVar, ...] = Field(
        default=(),
        max_length=64,
        description="More environment variables; they win over the operator's own settings of the same name.",
        json_schema_extra=map_by("name")
        | rules(
            (
                f"!self.exists(e, e.name.startsWith('{RESERVED_ENV_PREFIX}'))",
                f"predictor.env must not set {RESERVED_ENV_PREFIX}* names; they are the operator's",
            )
        ),
    )
    node_selector: dict[str, Annotated[str, StringConstraints(max_length=63)]] = Field(
        default={}, max_length=32, description="Labels that a node must have to run the predictor."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=32, description="Taints that the predictor's pods tolerate."
    )

    @model_validator(mode="after")
    def _env_is_ours_to_extend(self) -> Self:
        names = [variable.name for variable in self.env]
        if len(set(names)) != len(names):
            raise ValueError("predictor.env names a variable twice")
        if any(name.startswith(RESERVED_ENV_PREFIX) for name in names):
            raise ValueError(f"predictor.env must not set {RESERVED_ENV_PREFIX}* names")
        return self


def _utilization(resource: str, percent: int) -> dict[str, Any]:
    return {
        "type": "Resource",
        "resource": {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}},
    }


class Autoscaling(ApiModel):
    """The HorizontalPodAutoscaler, in the words of autoscaling/v2."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.minReplicas <= self.maxReplicas", "autoscaling.minReplicas must not exceed autoscaling.maxReplicas")
        ),
    )

    min_replicas: int = Field(default=2, ge=1, le=1000, description="Fewest replicas.")
    max_replicas: int = Field(default=10, ge=1, le=1000, description="Most replicas.")
    metrics: tuple[Verbatim, ...] = Field(
        default=(_utilization("cpu", 70), _utilization("memory", 80)),
        max_length=16,
        description="Metrics of autoscaling/v2. Default: 70 % of the CPU requests and 80 % of the memory requests.",
    )
    behavior: Verbatim | None = Field(
        default=None, description="How fast to scale, as behavior of autoscaling/v2; unset is Kubernetes' own."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("autoscaling.minReplicas must not exceed autoscaling.maxReplicas")
        return self


class Disruption(ApiModel):
    """How many pods a node drain may take at once."""

    max_unavailable: IntOrPercent = Field(
        default=1,
        description="Pods, or share of them, that voluntary disruptions such as node drains may take away at once.",
    )


class ServiceSpec(ApiModel):
    """The predictor's Service."""

    port: int = Field(default=80, ge=1, le=65535, description="Port of the Service.")


PATH_PATTERN = r"^(/|(/[A-Za-z0-9._~-]+)+/?)$"


class IngressSpec(ApiModel):
    """The predictor's Ingress."""

    class_name: Annotated[str, StringConstraints(max_length=253)] = Field(
        default="", description="IngressClass, such as alb or traefik. Empty: the cluster's default class."
    )
    host: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=253,
            pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        ),
    ] = Field(description="Host name that requests are sent to.")
    path: Annotated[str, StringConstraints(max_length=1024, pattern=PATH_PATTERN)] = Field(
        default="/", description="Path prefix that requests are sent to; the predictor answers below it and without it."
    )
    tls_secret_name: Annotated[str, StringConstraints(max_length=253)] = Field(
        default="",
        description="Secret of this namespace with the certificate of `host`. Empty: no TLS in the Ingress.",
    )
    annotations: dict[str, Annotated[str, StringConstraints(max_length=8192)]] = Field(
        default={},
        max_length=64,
        description="Annotations for the ingress controller, such as alb.ingress.kubernetes.io/scheme.",
    )


class NetworkPolicySpec(ApiModel):
    """Who may talk to the predictor and whom it may talk to."""

    enabled: bool = Field(
        default=True,
        description="Keep a NetworkPolicy: one open port in; DNS, HTTPS and the AWS endpoints out.",
    )
    allow_from: tuple[Verbatim, ...] = Field(
        default=(),
        max_length=32,
        description="Who may send requests, as peers of a NetworkPolicy. Empty: anyone; load balancers are no pods.",
    )


class Networking(ApiModel):
    """How the predictor is reached."""

    service: ServiceSpec = Field(default=ServiceSpec(), description="The predictor's Service.")
    ingress: IngressSpec | None = Field(default=None, description="The predictor's Ingress; unset: none.")
    network_policy: NetworkPolicySpec = Field(
        default=NetworkPolicySpec(), description="Who may talk to the predictor and whom it may talk to."
    )
