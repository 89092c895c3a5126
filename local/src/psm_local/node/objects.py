"""The Kubernetes objects that the node's own services need: roles, the metrics API, the ingress class, the DNS address.

Pure: returns one List to apply.
"""

import base64
from typing import Any

from psm_local.kubeconfig import Identity
from psm_local.node.layout import ADDRESS, DNS_IP, METRICS_PORT

METRICS = Identity("metrics-server", "psm-local:metrics-server")
INGRESS = Identity("ingress", "psm-local:ingress")

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]


def node_objects(*, ca_certificate: bytes, ingress_class: str) -> dict[str, Any]:
    """Return the objects as one List."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [*_metrics_objects(ca_certificate), *_ingress_objects(ingress_class), _dns_service()],
    }


def _metrics_objects(ca_certificate: bytes) -> list[dict[str, Any]]:
    named = {"name": "metrics-server", "namespace": "kube-system"}
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": _READ},
    ]
    ports = [{"name": "https", "port": METRICS_PORT, "protocol": "TCP"}]
    return [
        *_cluster_role(METRICS, rules),
        _binding("ClusterRoleBinding", METRICS, "ClusterRole", "system:auth-delegator"),
        _binding("RoleBinding", METRICS, "Role", "extension-apiserver-authentication-reader"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": named,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": METRICS_PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": named | {"labels": {"kubernetes.io/service-name": "metrics-server"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
            "ports": ports,
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": "metrics-server", "namespace": "kube-system"},
                "caBundle": base64.b64encode(ca_certificate).decode(),
            },
        },
    ]


def _ingress_objects(ingress_class: str) -> list[dict[str, Any]]:
    rules = [
        {"apiGroups": [""], "resources": ["services", "secrets", "nodes", "namespaces"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update", "patch"]},
    ]
    return [
        *_cluster_role(INGRESS, rules),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": ingress_class},
            "spec": {"controller": "traefik.io/ingress-controller"},
        },
    ]


def _dns_service() -> dict[str, Any]:
    """Return a Service without endpoints at the DNS address: a lookup is refused at once instead of timing out."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "no-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": DNS_IP, "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
    }


def _cluster_role(identity: Identity, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    name = identity.user
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        _binding("ClusterRoleBinding", identity, "ClusterRole", name),
    ]


def _binding(kind: str, identity: Identity, role_kind: str, role: str) -> dict[str, Any]:
    metadata = {"name": f"{identity.user}:{role.rpartition(':')[2]}"}
    if kind == "RoleBinding":
        metadata["namespace"] = "kube-system"
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": role_kind, "name": role},
        "subjects": [{"kind": "User", "apiGroup": _RBAC, "name": identity.user}],
    }
