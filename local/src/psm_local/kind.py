"""kind, where a Docker daemon answers: the same chart and images on a cluster in containers.

The AWS stand-ins run on this machine, on the address by which Docker's containers reach it. The ingress controller and
metrics-server come from their own Helm charts, so this level needs the internet.
"""

import json
import subprocess
import sys
from pathlib import Path

from psm_local import gobuild
from psm_local.aws import S3_PORTS, AwsEndpoints, emulator_process, s3_cleanup, s3_port, s3_process
from psm_local.cluster import Cluster
from psm_local.errors import LocalError
from psm_local.ports import free_ports
from psm_local.settings import Settings
from psm_local.supervise import instance
from psm_local.supervise.instance import Attached, Say
from psm_local.supervise.plan import Plan

_INGRESS_NODE_PORT = 30080
_TRAEFIK_CHART = ("traefik", "--repo=https://traefik.github.io/charts")
_METRICS_CHART = ("metrics-server", "--repo=https://kubernetes-sigs.github.io/metrics-server/")


def up_kind(name: str, *, attached: bool, settings: Settings, say: Say) -> tuple[Cluster, Attached]:
    """Create a kind cluster with what stands beside it; return it with the handle that stops it.

    Raises:
        LocalError: kind, Docker or helm ended with an error.
    """
    kind = str(gobuild.programs(gobuild.KIND, settings, say) / "kind")
    helm = str(gobuild.programs(gobuild.HELM, settings, say) / "helm")
    run_dir = instance.new_run_dir(settings.run_dir / name, name)
    kubeconfig = run_dir / "kubeconfig"
    ingress_port, emulator_port, *s3_ports = free_ports(2 + S3_PORTS)
    config = run_dir / "kind.json"
    config.write_text(json.dumps(kind_config(ingress_port)))
    say(f"creating the kind cluster {name}")
    _run(kind, "create", "cluster", f"--name={name}", f"--config={config}", f"--kubeconfig={kubeconfig}", "--wait=180s")
    host, bind = _addresses()
    processes = (emulator_process(bind, emulator_port), s3_process(run_dir, bind, s3_ports))
    delete = (kind, "delete", "cluster", f"--name={name}")
    handle = instance.start(
        run_dir, Plan(name, processes, afterwards=(delete, s3_cleanup(s3_ports))), attached=attached, say=say
    )
    _install_charts(helm, kubeconfig, say)
    cluster = Cluster(
        name=name,
        level="kind",
        kubeconfig=kubeconfig,
        api_url=_server(kubeconfig),
        in_cluster_api_url="https://kubernetes.default.svc",
        ingress_url=f"http://127.0.0.1:{ingress_port}",
        aws=AwsEndpoints(
            host_url=f"http://{bind}:{emulator_port}",
            in_cluster_url=f"http://{host}:{emulator_port}",
            s3_host_url=f"http://{bind}:{s3_port(s3_ports)}",
            s3_in_cluster_url=f"http://{host}:{s3_port(s3_ports)}",
        ),
        run_dir=run_dir,
    )
    cluster.save()
    return cluster, handle


def kind_config(ingress_port: int) -> dict[str, object]:
    """Return kind's configuration: one node, the ingress controller's port on this machine."""
    mapping = {"containerPort": _INGRESS_NODE_PORT, "hostPort": ingress_port, "listenAddress": "127.0.0.1"}
    # no image: each release of kind pins the node image, by digest, that it was tested with
    node = {"role": "control-plane", "extraPortMappings": [mapping]}
    return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}


def load_into_kind(name: str, archive: Path, settings: Settings, say: Say) -> None:
    """Load an image archive into a kind cluster."""
    kind = str(gobuild.programs(gobuild.KIND, settings, say) / "kind")
    _run(kind, "load", "image-archive", f"--name={name}", str(archive))


def _install_charts(helm: str, kubeconfig: Path, say: Say) -> None:
    install = (helm, f"--kubeconfig={kubeconfig}", "upgrade", "--install", "--wait", "--namespace=kube-system")
    say("installing the ingress controller and metrics-server")
    node_port = f"--set=service.type=NodePort,ports.web.nodePort={_INGRESS_NODE_PORT}"
    _run(*install, "traefik", *_TRAEFIK_CHART, node_port)
    _run(
        *install,
        "metrics-server",
        *_METRICS_CHART,
        "--set=args={--kubelet-insecure-tls,--metric-resolution=10s,--kubelet-request-timeout=5s}",
    )


def _addresses() -> tuple[str, str]:
    """Return how containers reach this machine, and the address of it to listen on."""
    if sys.platform != "linux":
        return "host.docker.internal", "127.0.0.1"
    template = '{{range .IPAM.Config}}{{.Gateway}}{{"\\n"}}{{end}}'
    gateways = _run("docker", "network", "inspect", "kind", "--format", template).split()
    address = next(gateway for gateway in gateways if "." in gateway)
    return address, address


def _server(kubeconfig: Path) -> str:
    output = _run(
        "kubectl", f"--kubeconfig={kubeconfig}", "config", "view", "-o=jsonpath={.clusters[0].cluster.server}"
    )
    return output.strip()


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"{' '.join(argv[:3])} failed:\n{done.stderr.strip()}")
    return done.stdout
