"""How the predictor is reached: Service, Ingress, NetworkPolicy."""

from copy import deepcopy

from psm_operator.decide.desired.load_balancer import annotations
from psm_operator.decide.desired.model import (
    HTTP_PORT,
    MODEL_LABEL,
    SERVING,
    DesiredModel,
    manifest,
    role_selector,
)
from psm_operator.decide.desired.pod import HTTPS, endpoint_ports
from psm_operator.values import Manifest

DNS = 53
POD_IDENTITY_AGENT = ("169.254.170.23/32", "fd00:ec2::23/128")
"""Where EKS Pod Identity hands out credentials, on the pod's own node; plain HTTP."""
HTTP = 80


def service(model: DesiredModel) -> Manifest:
    """The Service in front of the serving pods; candidate pods are not in it."""
    made = manifest(model, "v1", "Service", model.ref.name)
    made["spec"] = {
        "type": "ClusterIP",
        "selector": role_selector(model.ref, SERVING),
        "ports": [
            {"name": "http", "port": model.spec.networking.service.port, "targetPort": "http", "protocol": "TCP"}
        ],
    }
    return made


def ingress(model: DesiredModel) -> Manifest | None:
    """The Ingress; None where `spec.networking.ingress` is unset."""
    wanted = model.spec.networking.ingress
    if wanted is None:
        return None
    made = manifest(model, "networking.k8s.io/v1", "Ingress", model.ref.name, annotations=annotations(wanted))
    backend = {"service": {"name": model.ref.name, "port": {"name": "http"}}}
    path = {"path": wanted.path, "pathType": "Prefix", "backend": backend}
    made["spec"] = {"rules": [{"host": wanted.host, "http": {"paths": [path]}}]}
    if wanted.class_name:
        made["spec"]["ingressClassName"] = wanted.class_name
    if wanted.tls_secret_name:
        made["spec"]["tls"] = [{"hosts": [wanted.host], "secretName": wanted.tls_secret_name}]
    return made


def network_policy(model: DesiredModel) -> Manifest | None:
    """Opens the predictor's port and nothing else, and lets it call DNS, HTTPS, its AWS endpoints and Pod Identity; None if disabled.

    An empty `allowFrom` leaves the port open to anyone: an ALB with IP targets, a host-network ingress controller and
    the kubelet come from addresses that no pod selector matches.
    """
    wanted = model.spec.networking.network_policy
    if not wanted.enabled:
        return None
    made = manifest(model, "networking.k8s.io/v1", "NetworkPolicy", model.ref.name)
    ingress_rule: Manifest = {"ports": [_port("TCP", HTTP_PORT)]}
    if wanted.allow_from:
        ingress_rule["from"] = [deepcopy(peer) for peer in wanted.allow_from]
    made["spec"] = {
        "podSelector": {"matchLabels": {MODEL_LABEL: model.ref.name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [ingress_rule],
        "egress": [
            {"ports": [_port("UDP", DNS), _port("TCP", DNS)]},
            {"ports": [_port("TCP", port) for port in (HTTPS, *endpoint_ports(model))]},
            {"to": [{"ipBlock": {"cidr": cidr}} for cidr in POD_IDENTITY_AGENT], "ports": [_port("TCP", HTTP)]},
        ],
    }
    return made


def _port(protocol: str, port: int) -> Manifest:
    return {"protocol": protocol, "port": port}
