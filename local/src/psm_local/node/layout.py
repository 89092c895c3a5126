"""Addresses, ports and paths inside a node. Every node has its own network, so they are the same in all of them, but for S3's."""

from dataclasses import dataclass
from pathlib import Path

NODE = "local"
ADDRESS = "10.77.0.2"
POD_CIDR = "10.88.0.0/16"
DNS_IP = "10.96.0.10"
API_PORT = 6443
INGRESS_PORT = 80
INGRESS_PING_PORT = 9100
METRICS_PORT = 4443
EMULATOR_PORT = 5000
PAUSE_IMAGE = "localhost/pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")


@dataclass(frozen=True)
class NodeLayout:
    """Where one node keeps its files and finds its programs."""

    folder: Path
    cgroup: str
    ingress_class: str
    programs: Path
    """kubelet and kube-proxy."""
    metrics_programs: Path
    s3_ports: tuple[int, ...]
    """Of the S3 server; other than in any other node, see `aws.S3_PORTS`."""

    @property
    def files(self) -> Path:
        """Certificates, tokens, kubeconfigs and configurations."""
        return self.folder / "files"

    def file(self, name: str) -> str:
        """Return the path of one of the node's files."""
        return str(self.files / name)
