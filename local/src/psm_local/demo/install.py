"""The platform team's side: images into the cluster, charts by Helm, the example model by kubectl."""

import json
import subprocess

from psm_local import gobuild, images
from psm_local.demo.stage import MODEL, NAMESPACE, OPERATOR_NAMESPACE, Stage
from psm_local.errors import LocalError

EXAMPLE = "examples/demo.yaml"
_HELM_TIMEOUT_S = 300


def load_images(stage: Stage) -> str:
    """Build what the cache lacks and make it known to the node; the user's own cluster pulls what its user pushed."""
    if stage.cluster.level == "current":
        return f"the cluster pulls {operator_image(stage)} and {predictor_image(stage)}"
    built = images.build_all(stage.repository, stage.settings, stage.say)
    for image in built:
        stage.cluster.load_image(image.archive)
    return ", ".join(f"{image.reference} ({image.archive.stat().st_size / 2**20:.0f} MiB)" for image in built)


def install_and_apply(stage: Stage) -> str:
    """Helm installs the CRD and the operator; kubectl applies the example."""
    install_charts(stage)
    apply_example(stage)
    return f"psm-operator runs in {OPERATOR_NAMESPACE}; applied {EXAMPLE} as {NAMESPACE}/{MODEL}"


def install_charts(stage: Stage) -> None:
    """Helm installs the CRD and the operator, and waits until the operator is ready."""
    charts = stage.repository / "charts"
    helm(stage, "upgrade", "--install", "psm-crds", str(charts / "psm-crds"), "--namespace", OPERATOR_NAMESPACE)
    values = stage.cluster.run_dir / "values.json"
    values.write_text(json.dumps(operator_values(stage), indent=1))
    helm(
        stage,
        "upgrade",
        "--install",
        "psm-operator",
        str(charts / "psm-operator"),
        "--namespace",
        OPERATOR_NAMESPACE,
        "--values",
        str(values),
        "--wait",
    )


def apply_example(stage: Stage) -> None:
    """Kubectl apply, as a data team would."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    stage.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    stage.cluster.kubectl("apply", "-f", str(stage.repository / EXAMPLE))


def operator_image(stage: Stage) -> str:
    """The operator's image as the cluster knows it."""
    return _reference(stage, images.OPERATOR)


def predictor_image(stage: Stage) -> str:
    """The predictor's image as the cluster knows it."""
    return _reference(stage, images.PREDICTOR)


def _reference(stage: Stage, spec: images.ImageSpec) -> str:
    own = stage.settings.image_registry
    return f"{own}/{spec.name}:dev" if stage.cluster.level == "current" and own else spec.reference


def operator_values(stage: Stage) -> dict[str, object]:
    """What a local cluster changes of the chart's defaults: local images, and AWS stand-ins instead of AWS."""
    aws = stage.cluster.aws.environment(in_cluster=True)
    repository, _, tag = operator_image(stage).rpartition(":")
    return {
        "image": {"repository": repository, "tag": tag},
        "aws": {"region": stage.cluster.aws.region},
        "predictor": {"image": predictor_image(stage), "env": dict(aws)},
        "extraEnv": [{"name": name, "value": value} for name, value in aws.items() if name != "AWS_REGION"],
    }


def helm(stage: Stage, *args: str) -> str:
    """Run Helm against the cluster.

    Raises:
        LocalError: it ended with an error; the message is its own.
    """
    program = gobuild.programs(gobuild.HELM, stage.settings, stage.say) / "helm"
    argv = [str(program), f"--kubeconfig={stage.cluster.kubeconfig}", *args, "--create-namespace"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_HELM_TIMEOUT_S)
    if done.returncode != 0:
        raise LocalError(f"helm {' '.join(args[:3])}: {done.stderr.strip()}")
    return done.stdout
