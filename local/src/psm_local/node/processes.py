"""The processes of a node, inside and outside its namespaces. Pure: declarations only."""

import sys
from pathlib import Path

from psm_local.aws import emulator_process, s3_cleanup, s3_port, s3_process
from psm_local.components import ControlPlane, control_plane_processes
from psm_local.node.enter import NODE_PROCESS, SOCKET, import_argv
from psm_local.node.layout import (
    ADDRESS,
    API_PORT,
    EMULATOR_PORT,
    INGRESS_PING_PORT,
    METRICS_PORT,
    NODE,
    NodeLayout,
)
from psm_local.supervise.plan import Plan, Process, Ready

_NODE_TIMEOUT_S = 240.0  # a busy two-core machine starts a node in 20 s; this is when something is wrong
_NODE_GRACE_S = 60.0


def inner_plan(instance: str, layout: NodeLayout, plane: ControlPlane, *, traefik: str, kubectl: str) -> Plan:
    """Return what runs inside the node's namespaces."""
    client = (kubectl, f"--kubeconfig={layout.file('admin.kubeconfig')}")
    apply = (*client, "apply", "--server-side", "-f", layout.file("objects.json"))
    node_ready = (*client, "wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=5s")
    return Plan(
        instance,
        (
            emulator_process(ADDRESS, EMULATOR_PORT),
            s3_process(layout.folder, ADDRESS, list(layout.s3_ports)),
            _containerd(layout),
            *control_plane_processes(plane),
            Process(
                "pause-image",
                import_argv(layout.folder, layout.folder / "pause.tar"),
                needs=("containerd",),
                ready=Ready("exit"),
            ),
            Process("objects", apply, needs=("kube-apiserver",), ready=Ready("exit")),
            _kube_proxy(layout),
            _kubelet(layout, node_ready),
            _metrics_server(layout),
            _traefik(layout, traefik),
        ),
    )


def outer_plan(instance: str, run_dir: Path, layout: NodeLayout, forwards: dict[int, str]) -> Plan:
    """Return what runs on the machine: the launcher of the namespaces and the port forwarder."""
    keeper = (sys.executable, "-m", "psm_local.supervise.keeper", str(layout.folder), str(layout.folder / "plan.json"))
    unshare = ("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc")
    node = Process(
        NODE_PROCESS,
        (*unshare, *keeper, "--namespace", str(layout.folder / "namespace.json")),
        ready=Ready("instance", str(layout.folder), timeout_s=_NODE_TIMEOUT_S),
        grace_s=_NODE_GRACE_S,
        restart=False,  # its network would be a new one
    )
    pairs = tuple(f"{port}={target}" for port, target in forwards.items())
    api = next(port for port, target in forwards.items() if target == f"{ADDRESS}:{API_PORT}")
    forward = Process(
        "ports",
        (sys.executable, "-m", "psm_local.forward", str(run_dir), *pairs),
        needs=(NODE_PROCESS,),
        ready=Ready("http", f"https://127.0.0.1:{api}/readyz", ca_file=layout.file("ca.crt")),
    )
    cleanup = (sys.executable, "-m", "psm_local.node.cleanup", layout.cgroup)
    return Plan(instance, (node, forward), afterwards=(cleanup, s3_cleanup(list(layout.s3_ports))))


def s3_target(layout: NodeLayout) -> str:
    """Return where S3 answers inside the node."""
    return f"{ADDRESS}:{s3_port(list(layout.s3_ports))}"


def _containerd(layout: NodeLayout) -> Process:
    argv = ("containerd", "--config", layout.file("containerd.toml"))
    return Process("containerd", argv, ready=Ready("socket", str(layout.folder / SOCKET)))


def _kube_proxy(layout: NodeLayout) -> Process:
    argv = (str(layout.programs / "kube-proxy"), f"--config={layout.file('kube-proxy.json')}")
    return Process("kube-proxy", argv, needs=("kube-apiserver",), ready=Ready("http", "http://127.0.0.1:10256/healthz"))


def _kubelet(layout: NodeLayout, node_ready: tuple[str, ...]) -> Process:
    argv = (
        str(layout.programs / "kubelet"),
        f"--config={layout.file('kubelet.json')}",
        f"--kubeconfig={layout.file('node.kubeconfig')}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
        f"--root-dir={layout.folder / 'kubelet'}",
        f"--cert-dir={layout.folder / 'kubelet' / 'pki'}",
    )
    return Process(
        "kubelet",
        argv,
        needs=("kube-apiserver", "pause-image", "kube-controller-manager"),
        ready=Ready("command", argv=node_ready),
    )


def _metrics_server(layout: NodeLayout) -> Process:
    kubeconfig = layout.file("metrics-server.kubeconfig")
    argv = (
        str(layout.metrics_programs / "metrics-server"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--requestheader-client-ca-file={layout.file('ca.crt')}",
        f"--kubelet-certificate-authority={layout.file('ca.crt')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--tls-cert-file={layout.file('server.crt')}",
        f"--tls-private-key-file={layout.file('server.key')}",
        f"--bind-address={ADDRESS}",
        f"--secure-port={METRICS_PORT}",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",  # it refuses a timeout above the resolution
    )
    ready = Ready("http", f"https://{ADDRESS}:{METRICS_PORT}/livez", ca_file=layout.file("ca.crt"))
    return Process("metrics-server", argv, needs=("objects", "kubelet"), ready=ready)


def _traefik(layout: NodeLayout, program: str) -> Process:
    argv = (program, f"--configfile={layout.file('traefik.json')}")
    ready = Ready("http", f"http://127.0.0.1:{INGRESS_PING_PORT}/ping")
    return Process("ingress", argv, needs=("objects",), ready=ready)
