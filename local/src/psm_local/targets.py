"""Which cluster the demo and the end-to-end tests use, and how to come by it.

In this order: the one that the user names (`CLUSTER=current`, `kind` or `embedded`); with `auto`, kind where a Docker
daemon answers, the embedded node otherwise.
"""

import subprocess
from typing import Literal

from psm_local.cluster import Cluster
from psm_local.current import up_current
from psm_local.errors import Unsupported
from psm_local.kind import up_kind
from psm_local.node.up import unsupported_reason, up_node
from psm_local.settings import Settings, find_program
from psm_local.supervise.instance import Attached, Say

Target = Literal["current", "kind", "embedded"]

_DOCKER_TIMEOUT_S = 10.0


def up(name: str, *, attached: bool, settings: Settings, say: Say) -> tuple[Cluster, Attached]:
    """Start the cluster that the settings and this machine ask for; return it with the handle that stops it.

    Raises:
        LocalError: this machine cannot run it, or something did not start.
    """
    starters = {"current": up_current, "kind": up_kind, "embedded": up_node}
    target = choose(settings.cluster, docker=docker_answers(), unsupported=unsupported_reason())
    return starters[target](name, attached=attached, settings=settings, say=say)


def choose(wanted: str, *, docker: bool, unsupported: str | None) -> Target:
    """Return which cluster to use; `unsupported` says why this machine cannot run a node of ours.

    Raises:
        Unsupported: the wish is none of the known ones, or nothing can run on this machine.
    """
    match wanted:
        case "current" | "kind" | "embedded":
            return wanted
        case "auto" if docker:
            return "kind"
        case "auto" if unsupported is None:
            return "embedded"
        case "auto":
            raise Unsupported(f"no Docker daemon answers, and {unsupported}")
        case other:
            raise Unsupported(f"CLUSTER={other} is not known; use auto, current, kind or embedded")


def docker_answers() -> bool:
    """Return whether a Docker daemon answers here."""
    docker = find_program("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run([docker, "info"], capture_output=True, timeout=_DOCKER_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
