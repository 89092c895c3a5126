"""Reach inside a running node: run programs in its namespaces, import images."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from psm_local.errors import LocalError
from psm_local.supervise.pids import children
from psm_local.supervise.state import load_state

NODE_PROCESS = "node"
SOCKET = "containerd.sock"


def init_pid(run_dir: Path) -> int:
    """Return the number (as this machine sees it) of the process 1 of a node's namespaces.

    Raises:
        LocalError: the node does not run.
    """
    state = load_state(run_dir)
    launcher = state.processes.get(NODE_PROCESS) if state is not None else None
    inside = children(launcher.pid) if launcher is not None and launcher.is_alive else []
    if not inside:
        raise LocalError(f"the node of {run_dir.name} does not run")
    return inside[0]


def run_in_node(run_dir: Path, argv: Sequence[str]) -> str:
    """Run a program in the node's mount, process and network namespaces; return its output.

    Raises:
        LocalError: the node does not run, or the program ended with an error.
    """
    enter = ["nsenter", "--target", str(init_pid(run_dir)), "--mount", "--pid", "--net", "--"]
    done = subprocess.run([*enter, *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(
            f"{' '.join(argv)} in the node of {run_dir.name}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def import_image(run_dir: Path, archive: Path) -> None:
    """Import a docker or OCI archive into the node's container runtime.

    Raises:
        LocalError: the node does not run, or the archive is not understood.
    """
    run_in_node(run_dir, import_argv(run_dir / "node", archive))


def import_argv(folder: Path, archive: Path) -> tuple[str, ...]:
    """Return the command that imports an archive, to be run inside the node."""
    ctr = ("ctr", "--address", str(folder / SOCKET), "--namespace", "k8s.io")
    return (*ctr, "images", "import", "--snapshotter", "overlayfs", str(archive))
