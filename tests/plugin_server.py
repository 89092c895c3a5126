"""A kubeconfig and lists of models for tests of `kubectl psm` against a scripted server."""

from pathlib import Path

import yaml
from scripted_server import Answer

from psm_operator.kubectl.environment import Environment
from psm_operator.values import Manifest


def listed(*models: Manifest) -> Answer:
    head = {"apiVersion": "retail.mlops/v1alpha1", "kind": "PriceSensitivityModelList"}
    return Answer({**head, "metadata": {"resourceVersion": "1"}, "items": list(models)})


def kubeconfig(tmp_path: Path, server: str) -> Environment:
    """An environment whose only cluster is `server`."""
    path = tmp_path / "config"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "namespace": "mlops"}} for name in ("prod", "dev")],
        "current-context": "dev",
    }
    path.write_text(yaml.safe_dump(config))
    return Environment({"KUBECONFIG": str(path)}, tmp_path, is_terminal=False)
