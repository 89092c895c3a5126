"""The Kubernetes control plane as process declarations, for both levels. Pure: no file is written, nothing starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from psm_local.supervise.plan import Process, Ready

SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"  # the first address of SERVICE_CIDR, by Kubernetes' own rule
HPA_SYNC = "5s"  # the default is 15 s; a demo and a test want to see the HPA act


@dataclass(frozen=True)
class ControlPlane:
    """Where a control plane finds its files and on which addresses its processes listen."""

    programs: Path
    files: Path
    """Certificates, keys, tokens and kubeconfigs."""
    data: Path
    bind: str
    """Address that the API server listens on."""
    advertise: str
    """Address by which pods and components reach it."""
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    manager_port: int
    scheduler_port: int
    runs_pods: bool
    """Whether kubelets of ours serve logs and exec, so that the API server needs a client certificate for them."""
    audit: bool = False
    """Whether the API server logs every request to `data`/audit.log, by `files`/audit-policy.json."""
    flags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """More flags, or other values of ours, by program."""

    @property
    def api_url(self) -> str:
        """The API server's address among the components."""
        return f"https://{self.advertise}:{self.api_port}"

    @property
    def audit_log(self) -> Path:
        """Where requests are logged, if they are."""
        return self.data / "audit.log"

    def file(self, name: str) -> str:
        """Return the path of one of the instance's files."""
        return str(self.files / name)


def control_plane_processes(plane: ControlPlane) -> tuple[Process, ...]:
    """Return etcd, the API server, the controller manager and the scheduler."""
    return (_etcd(plane), _api_server(plane), _controller_manager(plane), _scheduler(plane))


def _etcd(plane: ControlPlane) -> Process:
    client = f"http://127.0.0.1:{plane.etcd_port}"
    peer = f"http://127.0.0.1:{plane.etcd_peer_port}"
    argv = (
        str(plane.programs / "etcd"),
        f"--data-dir={plane.data / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # the data lives as long as the instance
        "--log-level=warn",
    )
    return Process("etcd", argv, ready=Ready("http", f"{client}/readyz"))


def _api_server(plane: ControlPlane) -> Process:
    flags = {
        "etcd-servers": f"http://127.0.0.1:{plane.etcd_port}",
        "bind-address": plane.bind,
        "advertise-address": plane.advertise,
        "secure-port": str(plane.api_port),
        "tls-cert-file": plane.file("server.crt"),
        "tls-private-key-file": plane.file("server.key"),
        "client-ca-file": plane.file("ca.crt"),
        "token-auth-file": plane.file("tokens.csv"),
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "service-cluster-ip-range": SERVICE_CIDR,
        "service-account-key-file": plane.file("sa.pub"),
        "service-account-signing-key-file": plane.file("sa.key"),
        "service-account-issuer": "https://kubernetes.default.svc",
        "allow-privileged": "true",
        "requestheader-client-ca-file": plane.file("ca.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": plane.file("front-proxy.crt"),
        "proxy-client-key-file": plane.file("front-proxy.key"),
        "endpoint-reconciler-type": "master-count",  # one API server: no lease to wait for
    }
    if plane.runs_pods:
        flags |= {
            "kubelet-client-certificate": plane.file("kubelet-client.crt"),
            "kubelet-client-key": plane.file("kubelet-client.key"),
            "kubelet-certificate-authority": plane.file("ca.crt"),
            "kubelet-preferred-address-types": "InternalIP",
            # the metrics API is served by a process beside the API server, not by a pod behind a Service
            "enable-aggregator-routing": "true",
        }
    if plane.audit:
        flags |= {
            "audit-policy-file": plane.file("audit-policy.json"),
            "audit-log-path": str(plane.audit_log),
        }
    return Process(
        "kube-apiserver",
        _argv(plane, "kube-apiserver", flags),
        needs=("etcd",),
        ready=Ready("http", f"{plane.api_url}/readyz", ca_file=plane.file("ca.crt")),
    )


def _controller_manager(plane: ControlPlane) -> Process:
    flags = {
        **_client_flags(plane, "controller-manager", plane.manager_port),
        "root-ca-file": plane.file("ca.crt"),
        "service-account-private-key-file": plane.file("sa.key"),
        "use-service-account-credentials": "true",
        "horizontal-pod-autoscaler-sync-period": HPA_SYNC,
    }
    return Process(
        "kube-controller-manager",
        _argv(plane, "kube-controller-manager", flags),
        needs=("kube-apiserver",),
        ready=_component_ready(plane, plane.manager_port),
    )


def _scheduler(plane: ControlPlane) -> Process:
    flags = _client_flags(plane, "scheduler", plane.scheduler_port)
    return Process(
        "kube-scheduler",
        _argv(plane, "kube-scheduler", flags),
        needs=("kube-apiserver",),
        ready=_component_ready(plane, plane.scheduler_port),
    )


def _client_flags(plane: ControlPlane, kubeconfig: str, port: int) -> dict[str, str]:
    path = plane.file(f"{kubeconfig}.kubeconfig")
    return {
        "kubeconfig": path,
        "authentication-kubeconfig": path,
        "authorization-kubeconfig": path,
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "secure-port": str(port),
        "tls-cert-file": plane.file("server.crt"),
        "tls-private-key-file": plane.file("server.key"),
    }


def _component_ready(plane: ControlPlane, port: int) -> Ready:
    return Ready("http", f"https://127.0.0.1:{port}/healthz", ca_file=plane.file("ca.crt"))


def _argv(plane: ControlPlane, program: str, flags: dict[str, str]) -> tuple[str, ...]:
    all_flags = {**flags, **plane.flags.get(program, {})}
    return (str(plane.programs / program), *(f"--{name}={value}" for name, value in all_flags.items()))
