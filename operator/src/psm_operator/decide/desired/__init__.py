"""PURE. One builder per child object: a fresh manifest, or None where the model has no such child."""

from collections.abc import Callable
from typing import Final

from psm_operator.decide.desired.deployment import candidate_deployment, deployment
from psm_operator.decide.desired.identity import service_account
from psm_operator.decide.desired.model import (
    CANDIDATE,
    MANAGER,
    MODEL_LABEL,
    ROLE_LABEL,
    SERVING,
    VERSION_LABEL,
    DesiredModel,
    PredictorDefaults,
    candidate_name,
    serving_selector,
)
from psm_operator.decide.desired.network import ingress, network_policy, service
from psm_operator.decide.desired.scaling import autoscaler, disruption_budget
from psm_operator.values import Manifest

BUILDERS: Final[tuple[Callable[[DesiredModel], Manifest | None], ...]] = (
    service_account,
    network_policy,
    service,
    candidate_deployment,
    deployment,
    autoscaler,
    disruption_budget,
    ingress,
)
"""In the order in which children are applied: identity and protection first, traffic last."""


def children(model: DesiredModel) -> tuple[Manifest, ...]:
    """Every child that `model` should have, in the order in which to apply them."""
    built = (builder(model) for builder in BUILDERS)
    return tuple(child for child in built if child is not None)


__all__ = [
    "CANDIDATE",
    "MANAGER",
    "MODEL_LABEL",
    "ROLE_LABEL",
    "SERVING",
    "VERSION_LABEL",
    "DesiredModel",
    "PredictorDefaults",
    "candidate_name",
    "children",
    "serving_selector",
]
