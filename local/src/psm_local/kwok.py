"""Simulated nodes for the control plane level: pods become Ready without running. Pure but for its files."""

import json
from pathlib import Path
from typing import Any

from psm_local.supervise.plan import Process, Ready

NODES = 4
_PODS_PER_NODE = "1000"
_CONFIGURATION = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {  # kwok has a default for each, but none once a configuration is given
        "nodeLeaseParallelism": 4,
        "nodePlayStageParallelism": 4,
        "podPlayStageParallelism": 16,
    },
}


def kwok_processes(programs: Path, kubeconfig: Path, kubectl: str, folder: Path) -> tuple[Process, ...]:
    """Return kwok and the task that registers its nodes; the node objects are read from `folder/kwok-nodes.json`."""
    kwok = (
        str(programs / "kwok"),
        f"--kubeconfig={kubeconfig}",
        *(f"--config={file}" for file in (folder / "kwok.json", *sorted(programs.glob("*.yaml")))),
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",  # else nobody renews their leases and they go NotReady
        "--cidr=10.200.0.1/16",
        "--node-ip=10.201.0.1",
    )
    apply = (kubectl, f"--kubeconfig={kubeconfig}", "apply", "--server-side", "-f", str(folder / "kwok-nodes.json"))
    wait = (kubectl, f"--kubeconfig={kubeconfig}", "wait", "node", "--all", "--for=condition=Ready", "--timeout=5s")
    return (
        Process("kwok-nodes", apply, needs=("kube-apiserver",), ready=Ready("exit")),
        # HOME: else a kwok.yaml of the user's own home folder would replace the built-in stages
        Process("kwok", kwok, needs=("kwok-nodes",), ready=Ready("command", argv=wait), env={"HOME": str(folder)}),
    )


def write_nodes(folder: Path, count: int = NODES) -> None:
    """Write what `kwok_processes` reads: its configuration and the node objects that it registers."""
    (folder / "kwok.json").write_text(json.dumps(_CONFIGURATION))
    items = [_node(f"simulated-{number}") for number in range(count)]
    (folder / "kwok-nodes.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _node(name: str) -> dict[str, Any]:
    resources = {"cpu": "64", "memory": "512Gi", "pods": _PODS_PER_NODE}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {"allocatable": resources, "capacity": resources},
    }
