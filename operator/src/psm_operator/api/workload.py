"""`spec`, the part about pods: image, identity, resources, autoscaling, networking."""

import re
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from psm_operator.api.base import ApiModel
from psm_operator.api.names import GROUP, IMAGE_PATTERN, LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN
from psm_operator.api.quantities import CountOrShare, Quantity
from psm_operator.api.schema import NOT_STORED, Name, OptionalName, Verbatim, map_by, rules

RESERVED_ENV_PREFIX = "PSM_MODEL_"
"""Environment names that say which model a pod serves; only the operator sets them."""


LABEL_KEY_LIMIT = 317
LabelKey = Annotated[str, StringConstraints(max_length=LABEL_KEY_LIMIT, pattern=f"^$|{LABEL_KEY_PATTERN}")]


def _label_key(key: str) -> str:
    if len(key) > LABEL_KEY_LIMIT or re.fullmatch(LABEL_KEY_PATTERN, key, re.ASCII) is None:
        raise ValueError(f"{key!r} is no key like team or example.com/team")
    return key


MapKey = Annotated[str, AfterValidator(_label_key)]
"""A `LabelKey` in a map: the structural schema cannot say what keys are like, so that CEL does."""
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=LABEL_VALUE_PATTERN)]


def keys_are_label_keys(what: str) -> tuple[str, str]:
    """CEL rule of a map whose keys Kubernetes takes as label or annotation keys."""
    pattern = LABEL_KEY_PATTERN.replace("\\", "\\\\")
    return (
        f"self.all(k, k.size() <= {LABEL_KEY_LIMIT} && k.matches('{pattern}'))",
        f"{what} must have keys like team or example.com/team",
    )


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

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(has(self.value) && self.value.size() > 0 && has(self.valueFrom))",
                "a variable of predictor.env has value or valueFrom, not both",
            )
        ),
    )

    name: Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="Name of the variable. Names that begin with PSM_MODEL_ are the operator's."
    )
    value: Annotated[str, StringConstraints(max_length=4096)] | None = Field(default=None, description="Its value.")
    value_from: Annotated[Verbatim, Field(min_length=1, max_length=1)] | None = Field(
        default=None, description="Its source, as in a pod: a key of a ConfigMap or Secret, or a pod field."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.value and self.value_from is not None:
            raise ValueError("a variable of predictor.env has value or valueFrom, not both")
        return self


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


TOLERATION_RULES = (
    (
        "(has(self.key) && self.key.size() > 0) || (has(self.operator) && self.operator == 'Exists')",
        "a toleration without key must have operator Exists",
    ),
    (
        "!(has(self.operator) && self.operator == 'Exists' && has(self.value) && self.value.size() > 0)",
        "a toleration with operator Exists has no value",
    ),
    (
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "tolerationSeconds needs effect NoExecute",
    ),
)
"""What a pod's validation asks of tolerations, in CEL, and in words."""


class Toleration(ApiModel):
    """A taint that the predictor's pods tolerate, as in a pod."""

    model_config = ConfigDict(
        json_schema_extra=rules(*TOLERATION_RULES),
    )

    key: LabelKey | None = Field(default=None, description="Taint key; unset with operator Exists matches every key.")
    operator: TolerationOperator | None = Field(default=None, description="Exists or Equal; unset is Equal.")
    value: LabelValue | None = Field(default=None, description="Taint value, with operator Equal.")
    effect: TaintEffect | None = Field(default=None, description="Taint effect; unset matches every effect.")
    toleration_seconds: int | None = Field(
        default=None, description="How long a NoExecute taint is tolerated, in seconds; unset is for ever."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_every_key = self.operator is TolerationOperator.EXISTS
        broken = (
            not self.key and not is_every_key,
            is_every_key and bool(self.value),
            self.toleration_seconds is not None and self.effect is not TaintEffect.NO_EXECUTE,
        )
        for is_broken, (_, message) in zip(broken, TOLERATION_RULES, strict=True):
            if is_broken:
                raise ValueError(message)
        return self


DEFAULT_RESOURCES = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"memory": "512Mi"})


class PredictorSpec(ApiModel):
    """The predictor's pods."""

    image: Annotated[str, StringConstraints(max_length=512, pattern=f"^$|{IMAGE_PATTERN}")] = Field(
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
    node_selector: dict[MapKey, LabelValue] = Field(
        default={},
        max_length=32,
        description="Labels that a node must have to run the predictor.",
        json_schema_extra=rules(keys_are_label_keys("predictor.nodeSelector")),
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

    max_unavailable: CountOrShare = Field(
        default=1,
        description="Pods, or share of them from 1% to 100%, that voluntary disruptions such as node drains may take away "
        "at once; none would stop every drain.",
    )


class ServiceSpec(ApiModel):
    """The predictor's Service."""

    port: int = Field(default=80, ge=1, le=65535, description="Port of the Service.")


PATH_PATTERN = r"^(/|(/[A-Za-z0-9._~-]+)+/?)$"


CLASS_ANNOTATION = "kubernetes.io/ingress.class"
ANNOTATIONS_LIMIT = 60000
"""Characters; Kubernetes' own limit is 256 KiB, and a character may be four bytes."""
ANNOTATION_RULES = (
    (
        f"self.map(k, k.size() + self[k].size()).sum() <= {ANNOTATIONS_LIMIT}",
        f"ingress.annotations must have at most {ANNOTATIONS_LIMIT} characters together",
    ),
    (
        f"!self.exists(k, k.startsWith('{GROUP}/'))",
        f"ingress.annotations must not set {GROUP}/* keys; they are the operator's",
    ),
)
INGRESS_RULES = (
    ("!self.host.matches('^[0-9]+([.][0-9]+){3}$')", "ingress.host must be a DNS name, not an IP address"),
    (
        "!has(self.path) || !self.path.matches('/[.]{1,2}(/|$)')",
        "ingress.path must not have . or .. between slashes",
    ),
    (
        f"!(has(self.annotations) && '{CLASS_ANNOTATION}' in self.annotations && has(self.className) && self.className != '')",
        f"ingress.className and annotation {CLASS_ANNOTATION} exclude each other",
    ),
)
"""What the API server asks of an Ingress, in CEL, and in words."""


class IngressSpec(ApiModel):
    """The predictor's Ingress."""

    model_config = ConfigDict(json_schema_extra=rules(*INGRESS_RULES))

    class_name: OptionalName = Field(
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
    tls_secret_name: OptionalName = Field(
        default="",
        description="Secret of this namespace with the certificate of `host`. Empty: no TLS in the Ingress.",
    )
    annotations: dict[MapKey, Annotated[str, StringConstraints(max_length=8192)]] = Field(
        default={},
        max_length=64,
        description="Annotations for the ingress controller, such as alb.ingress.kubernetes.io/scheme.",
        json_schema_extra=rules(keys_are_label_keys("ingress.annotations"), *ANNOTATION_RULES),
    )

    @model_validator(mode="after")
    def _is_admissible(self) -> Self:
        texts = self.annotations.items()
        broken = (
            sum(len(key) + len(value) for key, value in texts) > ANNOTATIONS_LIMIT,
            any(key.startswith(f"{GROUP}/") for key in self.annotations),
        )
        for is_broken, (_, message) in zip(broken, ANNOTATION_RULES, strict=True):
            if is_broken:
                raise ValueError(message)
        for is_broken, (_, message) in zip(self._contradictions(), INGRESS_RULES, strict=True):
            if is_broken:
                raise ValueError(message)
        return self

    def _contradictions(self) -> tuple[bool, ...]:
        return (
            re.fullmatch(r"[0-9]+(\.[0-9]+){3}", self.host) is not None,
            any(segment in (".", "..") for segment in self.path.split("/")),
            bool(self.class_name) and CLASS_ANNOTATION in self.annotations,
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
