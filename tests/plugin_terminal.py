"""A person at a terminal with kubectl, its plugin and a real API server."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugin_stories import STORIES, told

from psm_local.cluster import Cluster
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.report import as_json
from psm_operator.values import Manifest

REGION = "ap-southeast-1"
BIN = Path(sys.executable).parent
OBJECT = "pricesensitivitymodel.retail.mlops"
LIMIT_S = 120.0
"""For what a busy machine brings about."""


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Its output, line by line."""
        return self.out.splitlines()


@dataclass(frozen=True)
class Terminal:
    """A person at a terminal, in a namespace of their own."""

    cluster: Cluster
    namespace: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment: kubectl and its plugin on PATH, the stand-ins for AWS."""
        inherited = dict(os.environ)  # noqa: TID251  # a child process inherits what the test run has
        place = {"PATH": f"{BIN}{os.pathsep}{inherited['PATH']}", "KUBECONFIG": str(self.cluster.kubeconfig)}
        return {**inherited, **self.cluster.aws.environment(), **place}

    def psm(self, *words: str) -> Said:
        """`kubectl psm …` in the namespace."""
        argv = ["kubectl", "psm", *words, "-n", self.namespace]
        done = subprocess.run(argv, env=self.variables, capture_output=True, text=True, check=False)
        return Said(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Plain kubectl in the namespace."""
        return self.cluster.kubectl(*words, "-n", self.namespace, stdin=stdin)

    def create(self, name: str, spec: Manifest, **metadata: Any) -> Manifest:
        """A model."""
        head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, **metadata}}
        made: Manifest = json.loads(
            self.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps({**head, "spec": spec}))
        )
        return made

    def model(self, name: str) -> Manifest:
        """A model as it is."""
        found: Manifest = json.loads(self.kubectl("get", "psm", name, "-o", "json"))
        return found

    async def tell(self, story: str, name: str, **metadata: Any) -> Manifest:
        """A model with the status that the operator wrote in a story."""
        world = await told(STORIES[story])
        spec: Manifest = {"registry": {"modelPackageGroupName": "price-sensitivity", "region": REGION}}
        if story == "pinned":
            spec["version"] = {"pin": 1}
        self.create(name, spec, **metadata)
        patch = json.dumps({"status": as_json(world.status)})
        self.kubectl("patch", "psm", name, "--subresource=status", "--type=merge", "-p", patch)
        return self.model(name)
