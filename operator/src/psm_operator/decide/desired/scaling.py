"""How many pods there are: the autoscaler, and how many a node drain may take."""

from copy import deepcopy

from psm_operator.decide.desired.model import SERVING, DesiredModel, manifest, role_selector
from psm_operator.values import Manifest


def autoscaler(model: DesiredModel) -> Manifest | None:
    """The HorizontalPodAutoscaler; None at a fixed size (it cannot hold 0) and before anything serves."""
    wanted = model.autoscaling
    if wanted is None:
        return None
    made = manifest(model, "autoscaling/v2", "HorizontalPodAutoscaler", model.ref.name)
    made["spec"] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": model.ref.name},
        "minReplicas": wanted.min_replicas,
        "maxReplicas": wanted.max_replicas,
    }
    if wanted.metrics:
        made["spec"]["metrics"] = [deepcopy(metric) for metric in wanted.metrics]
    if wanted.behavior:
        made["spec"]["behavior"] = deepcopy(wanted.behavior)
    return made


def disruption_budget(model: DesiredModel) -> Manifest | None:
    """The PodDisruptionBudget; None before anything serves.

    `maxUnavailable` rather than `minAvailable`: the latter blocks every drain when there is one replica.
    """
    if model.serving is None:
        return None
    made = manifest(model, "policy/v1", "PodDisruptionBudget", model.ref.name)
    made["spec"] = {
        "maxUnavailable": model.spec.disruption.max_unavailable,
        # A pod that does not answer protects nobody: it must not hold up a drain.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": role_selector(model.ref, SERVING)},
    }
    return made
