"""The two Deployments: the one that serves, and the one-pod one that verifies a candidate outside the Service."""

from psm_operator.decide.desired.model import (
    CANDIDATE,
    SERVING,
    DesiredModel,
    candidate_name,
    manifest,
    role_selector,
)
from psm_operator.decide.desired.pod import pod_template
from psm_operator.values import Manifest


def deployment(model: DesiredModel) -> Manifest | None:
    """The serving Deployment; None before a version is chosen.

    `replicas` is always there: under an autoscaler it is only what a new Deployment starts with, and `plan` leaves
    it out or keeps what is live.
    """
    if model.serving is None:
        return None
    rollout = model.spec.rollout
    made = manifest(model, "apps/v1", "Deployment", model.ref.name)
    made["spec"] = {
        "replicas": _replicas(model),
        "revisionHistoryLimit": model.spec.revision_history_limit,
        "minReadySeconds": rollout.min_ready_seconds,
        "progressDeadlineSeconds": rollout.progress_deadline_seconds,
        # Never fewer than wanted: a new pod is ready before an old one goes.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": role_selector(model.ref, SERVING)},
        "template": pod_template(model, model.serving, SERVING),
    }
    return made


def candidate_deployment(model: DesiredModel) -> Manifest | None:
    """One pod of the candidate version, which the Service does not select; None when nothing is being verified."""
    if model.candidate is None:
        return None
    made = manifest(model, "apps/v1", "Deployment", candidate_name(model.ref))
    made["spec"] = {
        "replicas": 1,
        "revisionHistoryLimit": 0,
        "progressDeadlineSeconds": model.spec.rollout.verification.timeout_seconds,
        # A newer candidate replaces the older one; there is no traffic to keep.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": role_selector(model.ref, CANDIDATE)},
        "template": pod_template(model, model.candidate, CANDIDATE),
    }
    return made


def _replicas(model: DesiredModel) -> int:
    if model.held_at is not None:
        return model.held_at
    if model.autoscaling is None:
        return model.spec.replicas if model.spec.replicas is not None else 1
    bounds = model.autoscaling
    return min(max(model.replicas_hint or 0, bounds.min_replicas), bounds.max_replicas)
