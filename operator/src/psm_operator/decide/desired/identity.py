"""Who the predictor is: its ServiceAccount."""

from psm_operator.decide.desired.model import DesiredModel, manifest
from psm_operator.values import Manifest

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"


def service_account(model: DesiredModel) -> Manifest:
    """The ServiceAccount; the predictor never talks to the Kubernetes API, so no token is mounted.

    IRSA's own projected token does not depend on that.
    """
    role = model.spec.predictor.service_account.role_arn
    made = manifest(
        model, "v1", "ServiceAccount", model.ref.name, annotations={ROLE_ANNOTATION: role} if role else None
    )
    made["automountServiceAccountToken"] = False
    return made
