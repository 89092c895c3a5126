"""The predictor's pod template: the same for serving and candidate pods, but for the role they are labelled with."""

from copy import deepcopy
from typing import Final
from urllib.parse import urlsplit

from psm_contract import environment
from psm_operator.decide.desired.load_balancer import pause_s
from psm_operator.decide.desired.model import CANDIDATE, HTTP_PORT, VERSION_LABEL, DesiredModel, labels, role_selector
from psm_operator.decide.monitoring.model import dimension
from psm_operator.values import Manifest, ServeTarget

CONTAINER: Final = "predictor"
WORKERS: Final = "PSM_WORKERS"
"""The predictor's setting for `spec.predictor.workers`."""
ROOT_PATH: Final = "PSM_ROOT_PATH"
"""The predictor's setting for a path prefix that requests may carry."""
USER: Final = 10001
END_S: Final = 25
"""SIGTERM to SIGKILL; covers every request in flight."""
STARTUP_S: Final = 3600
"""How long a pod may load before it is restarted: as long as `rollout.verification.timeoutSeconds` can be. Not that field
itself, since a change of how long a proof may take must not replace the pods that serve."""
LAST_LOOK_S: Final = 10
"""Two looks of the operator at its pods: what a candidate's pod ended with is seen before its time is over."""
SCRATCH_LIMIT: Final = "1Gi"
"""Size of /tmp: the archive and what is unpacked from it."""


def pod_template(model: DesiredModel, target: ServeTarget, role: str) -> Manifest:
    """The pod template that serves `target`; label and annotation name the version, so a crash loses nothing."""
    predictor = model.spec.predictor
    spec: Manifest = {
        "serviceAccountName": model.ref.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pause_s(model.spec.networking.ingress) + END_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread(model, role, "topology.kubernetes.io/zone"),
            _spread(model, role, "kubernetes.io/hostname"),
        ],
        "containers": [_container(model, target, role)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": SCRATCH_LIMIT}}],
    }
    if predictor.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret.name} for secret in predictor.image_pull_secrets]
    if predictor.node_selector:
        spec["nodeSelector"] = dict(predictor.node_selector)
    if predictor.tolerations:
        spec["tolerations"] = [
            toleration.model_dump(mode="json", by_alias=True, exclude_none=True) for toleration in predictor.tolerations
        ]
    return {
        "metadata": {
            "labels": labels(model.ref) | role_selector(model.ref, role) | {VERSION_LABEL: str(target.version)},
            "annotations": {
                VERSION_LABEL: str(target.version),
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(HTTP_PORT),
                "prometheus.io/path": "/metrics",
            },
        },
        "spec": spec,
    }


def _container(model: DesiredModel, target: ServeTarget, role: str) -> Manifest:
    predictor = model.spec.predictor
    return {
        "name": CONTAINER,
        "image": predictor.image or model.defaults.image,
        "imagePullPolicy": model.defaults.image_pull_policy,
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "env": _env(model, target),
        "resources": predictor.resources.model_dump(mode="json", exclude_defaults=True),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # A pod is ready once its artifact's golden rows were answered; until then liveness waits.
        "startupProbe": _probe("/readyz", period_s=1, timeout_s=3, failures=_startup_s(model, role)),
        "readinessProbe": _probe("/readyz", period_s=5, timeout_s=3, failures=3),
        # Slow under load is not dead: a full minute of silence before a restart.
        "livenessProbe": _probe("/healthz", period_s=10, timeout_s=5, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": pause_s(model.spec.networking.ingress)}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  # a volume of the pod's own
    }


def _startup_s(model: DesiredModel, role: str) -> int:
    """A candidate's pod that waits for its archive is stopped within the time of its proof: its exit code tells that it did."""
    if role != CANDIDATE:
        return STARTUP_S
    timeout_s = model.spec.rollout.verification.timeout_seconds
    return max(timeout_s - pause_s(model.spec.networking.ingress) - LAST_LOOK_S, timeout_s // 2)


def _env(model: DesiredModel, target: ServeTarget) -> list[Manifest]:
    """Operator's settings first, then the user's, then what says which model this is: later wins."""
    variables: dict[str, Manifest] = {}
    ours = {
        "AWS_REGION": model.spec.registry.region,
        WORKERS: str(model.spec.predictor.workers),
        **model.defaults.env,
    }
    ingress = model.spec.networking.ingress
    if ingress is not None and ingress.path != "/":
        ours[ROOT_PATH] = ingress.path.rstrip("/")
    is_watched = model.spec.monitoring.cloud_watch.enabled
    if is_watched:
        ours[environment.EMF] = "1"
    for name, value in ours.items():
        variables[name] = {"name": name, "value": value}
    for variable in model.spec.predictor.env:
        variables[variable.name] = deepcopy(variable.model_dump(mode="json", by_alias=True, exclude_none=True))
    served = {
        environment.MODEL_DATA_URL: target.model_data_url,
        environment.MODEL_SHA256: target.sha256,
        environment.MODEL_PACKAGE_ARN: target.arn,
        environment.MODEL_PACKAGE_VERSION: str(target.version),
    }
    if is_watched:
        served[environment.MODEL_NAME] = dimension(model.defaults.metrics_prefix, model.ref)
    for name, value in served.items():
        variables[name] = {"name": name, "value": value}
    return list(variables.values())


def endpoint_ports(model: DesiredModel) -> tuple[int, ...]:
    """TCP ports, other than 443, that the predictor's AWS endpoints (AWS_ENDPOINT_URL…) are reached on, ascending."""
    values = {name: value for name, value in model.defaults.env.items() if name.startswith("AWS_ENDPOINT_URL")}
    for variable in model.spec.predictor.env:
        if variable.name.startswith("AWS_ENDPOINT_URL"):
            values[variable.name] = variable.value or ""
    ports = {_port(value) for value in values.values()}
    return tuple(sorted(port for port in ports if port is not None and port != HTTPS))


HTTPS: Final = 443


def _port(url: str) -> int | None:
    """The TCP port of a URL; None where the text is no such URL, which the AWS SDK in the pod will report."""
    try:
        parts = urlsplit(url)
        return parts.port or {"http": 80, "https": HTTPS}.get(parts.scheme)
    except ValueError:
        return None


def _probe(path: str, *, period_s: int, timeout_s: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_s,
        "timeoutSeconds": timeout_s,
        "failureThreshold": failures,
    }


def _spread(model: DesiredModel, role: str, topology_key: str) -> Manifest:
    """Spread evenly where that is possible; a full zone must not keep a pod from starting."""
    return {
        "maxSkew": 1,
        "topologyKey": topology_key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": role_selector(model.ref, role)},
        "matchLabelKeys": ["pod-template-hash"],
    }
