"""A baseline: a kopf handler as people write it, which server-side-applies the same children once and writes a status.

Run by `kopf run`. No registry, no artifact, no candidate, no watch of children, no election, no repair.
It sends each manifest as it is and leaves the answers undecoded, which flatters it: most handlers decode them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import kopf
from kubernetes import client, config

from psm_operator.api.spec import ModelSpec
from psm_operator.decide.desired import DesiredModel, PredictorDefaults, children
from psm_operator.values import Manifest, ObjectRef, ServeTarget

Patch = Callable[..., Any]

PATCHES: dict[str, Patch] = {}
DEFAULTS = PredictorDefaults(image="mlops/api-price-sensitivity:dev")


@kopf.on.startup()
def start(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Make the clients."""
    settings.posting.enabled = False
    config.load_kube_config()  # type: ignore[no-untyped-call]  # the library is partly annotated
    core, networking = client.CoreV1Api(), client.NetworkingV1Api()
    PATCHES.update(
        {
            "Deployment": client.AppsV1Api().patch_namespaced_deployment,
            "Service": core.patch_namespaced_service,
            "ServiceAccount": core.patch_namespaced_service_account,
            "HorizontalPodAutoscaler": client.AutoscalingV2Api().patch_namespaced_horizontal_pod_autoscaler,
            "PodDisruptionBudget": client.PolicyV1Api().patch_namespaced_pod_disruption_budget,
            "Ingress": networking.patch_namespaced_ingress,
            "NetworkPolicy": networking.patch_namespaced_network_policy,
        }
    )


@kopf.on.create("retail.mlops", "v1alpha1", "pricesensitivitymodels")
def create(name: str, namespace: str | None, uid: str, spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
    """Apply every child and say so."""
    for manifest in manifests(name, str(namespace), uid, spec):
        PATCHES[manifest["kind"]](
            name=manifest["metadata"]["name"],
            namespace=namespace,
            body=manifest,
            field_manager="naive",
            force=True,
            _content_type="application/apply-patch+yaml",
            _preload_content=False,
        )
    patch.status["phase"] = "Ready"


def manifests(name: str, namespace: str, uid: str, spec: Mapping[str, Any]) -> tuple[Manifest, ...]:
    """What the operator applies in the end, by its own builders."""
    target = ServeTarget(version=1, arn="", model_data_url="s3://bench-models/model.tar.gz", sha256="")
    parsed = ModelSpec.model_validate(dict(spec))
    ref = ObjectRef(namespace, name)
    return children(DesiredModel(ref=ref, uid=uid, spec=parsed, serving=target, candidate=None, defaults=DEFAULTS))
