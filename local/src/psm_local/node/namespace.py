"""Prepare the node's namespaces; runs as their process 1, before the keeper starts anything there.

Nothing done here is seen outside: mounts are private, the network is new, and the few global kernel settings that a
kubelet would change are covered by files. Only control groups are shared with the machine; `cleanup` removes them.
"""

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")

_KUBELET_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet wants of /proc/sys; it sees these values and leaves the machine's own alone."""

_KUBELET_CONTROLLERS = {"cpu", "cpuset", "hugetlb", "io", "memory", "pids"}

OVERLAID = ("/var/lib", "/var/log")  # kubelet, CNI and the container runtime write below these, at fixed paths


@dataclass(frozen=True)
class NodeNamespace:
    """What the namespaces of one node look like."""

    folder: str
    """Where the node keeps its files."""
    cgroup: str
    """Name of the control group that holds its pods."""
    address: str

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "NodeNamespace":
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))


def set_up(node: NodeNamespace) -> None:
    """Prepare mounts, network and control groups.

    Raises:
        subprocess.CalledProcessError: the kernel refuses something; the message is in the node's log.
    """
    _set_up_mounts(Path(node.folder))
    _set_up_network(node.address)
    _set_up_cgroups(node.cgroup)


def _set_up_mounts(folder: Path) -> None:
    _run("mount", "--make-rprivate", "/")
    _run("mount", "--make-rshared", "/")  # among the node's own processes: the kubelet wants shared mounts
    for target in OVERLAID:
        layers = folder / "overlay" / target.strip("/").replace("/", "-")
        (layers / "upper").mkdir(parents=True)
        (layers / "work").mkdir()
        options = f"lowerdir={target},upperdir={layers / 'upper'},workdir={layers / 'work'}"
        _run("mount", "-t", "overlay", "overlay", "-o", options, target)
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    covers = folder / "sysctl"
    covers.mkdir()
    for name, value in _KUBELET_SETTINGS.items():
        cover = covers / name.replace("/", ".")
        cover.write_text(f"{value}\n")
        _run("mount", "--bind", str(cover), f"/proc/sys/{name}")


def _set_up_network(address: str) -> None:
    """Give the node an address on a virtual pair (not every kernel has dummy devices)."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node1")
    _run("ip", "address", "add", f"{address}/24", "dev", "node0")
    _run("ip", "link", "set", "node0", "up")
    _run("ip", "link", "set", "node1", "up")
    _run("ip", "route", "add", "default", "dev", "node0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")


def _set_up_cgroups(name: str) -> None:
    """Create the pods' control group, in every hierarchy of version 1 or in the one of version 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        available = set((CGROUPS / "cgroup.controllers").read_text().split())
        enabled = set((CGROUPS / "cgroup.subtree_control").read_text().split())
        for controller in sorted(available & _KUBELET_CONTROLLERS - enabled):
            (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
        (CGROUPS / name).mkdir(exist_ok=True)
        return
    for hierarchy in sorted(CGROUPS.iterdir()):
        if hierarchy.is_dir() and not hierarchy.is_symlink() and (hierarchy / "cgroup.procs").exists():
            (hierarchy / name).mkdir(exist_ok=True)
    for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and a kubelet needs them
        source = CGROUPS / "cpuset" / setting
        if source.exists():
            (CGROUPS / "cpuset" / name / setting).write_text(source.read_text())


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)
