"""The kinds the operator touches, and how their collections are selected."""

from typing import Final

from psm_operator.adapters.resource import Resource

MODEL: Final = Resource("retail.mlops/v1alpha1", "PriceSensitivityModel", "pricesensitivitymodels")

DEPLOYMENT: Final = Resource("apps/v1", "Deployment", "deployments")

CHILDREN: Final = (
    DEPLOYMENT,
    Resource("v1", "Service", "services"),
    Resource("v1", "ServiceAccount", "serviceaccounts"),
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("networking.k8s.io/v1", "Ingress", "ingresses"),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
)
"""Kinds of objects that we make, watch, repair and prune."""

LEASE: Final = Resource("coordination.k8s.io/v1", "Lease", "leases")
POD: Final = Resource("v1", "Pod", "pods")
EVENT: Final = Resource("events.k8s.io/v1", "Event", "events")

CHILD_SELECTOR: Final = "app.kubernetes.io/managed-by=psm-operator"
"""Label selector of every child, for lists and watches. To them a child whose label somebody takes away is deleted; the next
pass reads it and puts the label back."""

BY_KIND: Final = {(resource.api_version, resource.kind): resource for resource in (MODEL, *CHILDREN, LEASE)}
