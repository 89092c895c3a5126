"""What the builders are given, and the names and labels that every child shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from psm_operator.api.names import API_VERSION, KIND
from psm_operator.api.spec import Autoscaling, ModelSpec
from psm_operator.values import Manifest, ObjectRef, ServeTarget

MODEL_LABEL: Final = "retail.mlops/model"
ROLE_LABEL: Final = "retail.mlops/role"
VERSION_LABEL: Final = "retail.mlops/version"
MANAGER: Final = "psm-operator"
"""Value of app.kubernetes.io/managed-by."""

SERVING: Final = "serving"
CANDIDATE: Final = "candidate"

HTTP_PORT: Final = 8080
"""Port of the predictor's container."""


@dataclass(frozen=True, slots=True)
class PredictorDefaults:
    """What the operator's own settings say of predictors.

    Attributes:
        image: used where `spec.predictor.image` is empty.
        env: environment of every predictor, such as AWS_ENDPOINT_URL; `spec.predictor.env` wins.
        image_pull_policy: as in a pod.
        metrics_prefix: begins the name under which pods tell CloudWatch of themselves.
    """

    image: str
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    image_pull_policy: str = "IfNotPresent"
    metrics_prefix: str = "psm"


@dataclass(frozen=True, slots=True)
class DesiredModel:
    """One model as it should run.

    Attributes:
        serving: what the Deployment runs; None before the first version is chosen.
        candidate: what is verified in a pod of its own; None when nothing is.
        held_at: keep the Deployment at this size, without autoscaler; None leaves it to the spec.
        replicas_hint: the size to start with when an autoscaler is to take the Deployment over.
    """

    ref: ObjectRef
    uid: str
    spec: ModelSpec
    serving: ServeTarget | None
    candidate: ServeTarget | None
    defaults: PredictorDefaults
    held_at: int | None = None
    replicas_hint: int | None = None

    @property
    def autoscaling(self) -> Autoscaling | None:
        """The autoscaling in force: none at a fixed size, or before anything serves."""
        return None if self.held_at is not None or self.serving is None else self.spec.autoscaling


def candidate_name(ref: ObjectRef) -> str:
    """Name of the Deployment that verifies a candidate; a model's own name has no dot, so the two cannot meet."""
    return f"{ref.name}.candidate"


def labels(ref: ObjectRef) -> dict[str, str]:
    """Labels of every child and of every pod."""
    return {
        "app.kubernetes.io/name": "price-sensitivity-predictor",
        "app.kubernetes.io/instance": ref.name,
        "app.kubernetes.io/managed-by": MANAGER,
        MODEL_LABEL: ref.name,
    }


def role_selector(ref: ObjectRef, role: str) -> dict[str, str]:
    """Labels that pick the pods of one role; never changes, since a Deployment's selector cannot."""
    return {MODEL_LABEL: ref.name, ROLE_LABEL: role}


def serving_selector(ref: ObjectRef) -> str:
    """The serving pods' selector as text, for `status.selector`."""
    return ",".join(f"{key}={value}" for key, value in role_selector(ref, SERVING).items())


def manifest(
    model: DesiredModel, api_version: str, kind: str, name: str, *, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """A child's head: identity, labels, and the owner reference by which Kubernetes removes it with its model."""
    metadata: Manifest = {
        "name": name,
        "namespace": model.ref.namespace,
        "labels": labels(model.ref),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": model.ref.name,
                "uid": model.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
