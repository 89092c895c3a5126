"""Argo CD's customization of a model: its scripts, and a machine that runs them as Argo CD does."""

import json
import subprocess
from pathlib import Path
from textwrap import indent
from typing import Any, Final

from psm_local import gobuild
from psm_local.settings import read_settings
from psm_operator.values import Manifest

ROOT: Final = Path(__file__).parents[1]
CONFIG_MAP: Final = ROOT / "integrations/argocd-cm.yaml"
SCRIPTS: Final = ROOT / "integrations/argocd/retail.mlops/PriceSensitivityModel"
"""As Argo CD keeps its own customizations below resource_customizations/."""

HEALTH: Final = (SCRIPTS / "health.lua").read_text(encoding="utf-8")
DISCOVERY: Final = (SCRIPTS / "actions/discovery.lua").read_text(encoding="utf-8")
ACTIONS: Final = {
    name: (SCRIPTS / f"actions/{name}/action.lua").read_text(encoding="utf-8")
    for name in ("look-now", "rollback", "retry")
}

_HEAD = """\
# What Argo CD must be told of PriceSensitivityModel: merge this into its ConfigMap argocd-cm. docs/argocd.md explains it.
# `make golden` writes it from the scripts of integrations/argocd/.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
data:
"""


class ScriptError(Exception):
    """A script ended with an error; its text is what Argo CD would show."""


def run_script(script: str, resource: Manifest) -> Any:
    """Return what a script of Argo CD's returns for a resource.

    Raises:
        ScriptError: the script ended with an error, or returned no table.
    """
    program = gobuild.programs(gobuild.ARGOLUA, read_settings(), print) / "argolua"
    asked = json.dumps({"script": script, "obj": resource}, default=str)
    done = subprocess.run([program], input=asked, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise ScriptError(done.stderr.strip())
    return json.loads(done.stdout)


def config_map() -> str:
    """Return the ConfigMap that carries every script."""
    prefix, kind = "  resource.customizations", "retail.mlops_PriceSensitivityModel"
    definitions = "".join(
        f"  - name: {name}\n    action.lua: |\n{indent(text, ' ' * 6)}" for name, text in ACTIONS.items()
    )
    actions = f"discovery.lua: |\n{indent(DISCOVERY, '  ')}definitions:\n{definitions}"
    return f"{_HEAD}{prefix}.health.{kind}: |\n{indent(HEALTH, '    ')}{prefix}.actions.{kind}: |\n{indent(actions, '    ')}"
