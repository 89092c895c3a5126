"""The control plane level: real etcd, API server, controller manager and scheduler on free ports of 127.0.0.1.

Needs neither root nor containers. With `kwok`, simulated nodes make pods Ready without running them.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from psm_local import gobuild
from psm_local.aws import EMULATOR_PORTS, S3_PORTS, AwsEndpoints, emulator_process, s3_cleanup, s3_port, s3_process
from psm_local.cluster import Cluster, kubectl_program
from psm_local.components import ControlPlane, control_plane_processes
from psm_local.credentials import write_credentials
from psm_local.kubeconfig import ADMIN, CONTROLLER_MANAGER, SCHEDULER
from psm_local.kwok import NODES, kwok_processes, write_nodes
from psm_local.ports import free_ports
from psm_local.settings import Settings, read_settings
from psm_local.supervise import instance
from psm_local.supervise.instance import Attached, Say
from psm_local.supervise.plan import Plan, Process

_ADDRESS = "127.0.0.1"
_PLANE_PORTS = 5

Flags = Mapping[str, Mapping[str, str]]
"""More flags by program, such as {"kube-scheduler": {"kube-api-qps": "1000"}}."""


@contextlib.contextmanager
def start_control_plane(
    name: str,
    *,
    kwok: bool = False,
    audit: bool = False,
    say: Say = print,
    nodes: int = NODES,
    flags: Flags | None = None,
) -> Iterator[Cluster]:
    """Run a control plane for the length of a `with` block; it ends with this process at the latest.

    Args:
        name: of the instance.
        kwok: whether simulated nodes make pods Ready.
        audit: whether every request is logged.
        say: told how far things are.
        nodes: how many simulated nodes, of a thousand pods each.
        flags: more flags by program.

    Raises:
        LocalError: a program could not be built or a process did not become ready.
    """
    settings = read_settings()
    cluster, handle = up_control_plane(
        name, kwok=kwok, attached=True, settings=settings, say=say, audit=audit, nodes=nodes, flags=flags
    )
    try:
        yield cluster
    finally:
        handle.stop()


def up_control_plane(
    name: str,
    *,
    kwok: bool,
    attached: bool,
    settings: Settings,
    say: Say,
    audit: bool = False,
    nodes: int = NODES,
    flags: Flags | None = None,
) -> tuple[Cluster, Attached]:
    """Start a control plane and return it with the handle that stops it."""
    plane_programs = gobuild.programs(gobuild.CONTROL_PLANE, settings, say)
    kwok_programs = gobuild.programs(gobuild.KWOK, settings, say) if kwok else None
    run_dir = settings.run_dir / name
    files = instance.new_run_dir(run_dir, name) / "files"
    ports = free_ports(_PLANE_PORTS + EMULATOR_PORTS + S3_PORTS)
    plane = replace(_plane(plane_programs, run_dir, ports, audit=audit), flags=flags or {})
    identities = (ADMIN, CONTROLLER_MANAGER, SCHEDULER)
    now = dt.datetime.now(dt.UTC)  # noqa: TID251  # certificates need the real time
    write_credentials(files, api_url=plane.api_url, addresses=(), identities=identities, now=now)
    kubeconfig = files / "admin.kubeconfig"
    emulator_port, s3_ports = ports[_PLANE_PORTS], ports[_PLANE_PORTS + 1 :]
    processes: list[Process] = [
        emulator_process(_ADDRESS, emulator_port),
        s3_process(run_dir, _ADDRESS, s3_ports),
        *control_plane_processes(plane),
    ]
    if kwok_programs is not None:
        write_nodes(run_dir, nodes)
        processes += kwok_processes(kwok_programs, kubeconfig, kubectl_program(), run_dir)
    say(f"starting {name}: the Kubernetes control plane")
    plan = Plan(name, tuple(processes), afterwards=(s3_cleanup(s3_ports),))
    handle = instance.start(run_dir, plan, attached=attached, say=say)
    emulator, s3 = f"http://{_ADDRESS}:{emulator_port}", f"http://{_ADDRESS}:{s3_port(s3_ports)}"
    cluster = Cluster(
        name=name,
        level="control-plane",
        kubeconfig=kubeconfig,
        api_url=plane.api_url,
        in_cluster_api_url=plane.api_url,
        ingress_url="",
        aws=AwsEndpoints(emulator, emulator, s3, s3),
        run_dir=run_dir,
        audit_log=plane.audit_log if audit else None,
    )
    cluster.save()
    return cluster, handle


def _plane(programs: Path, run_dir: Path, ports: list[int], *, audit: bool) -> ControlPlane:
    api, etcd, peer, manager, scheduler = ports[:_PLANE_PORTS]
    return ControlPlane(
        programs=programs,
        files=run_dir / "files",
        data=run_dir,
        bind=_ADDRESS,
        advertise=_ADDRESS,
        api_port=api,
        etcd_port=etcd,
        etcd_peer_port=peer,
        manager_port=manager,
        scheduler_port=scheduler,
        runs_pods=False,
        audit=audit,
    )
