"""Places to run `kubectl psm` in: without a cluster, and with one that has three models."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from plugin_server import kubeconfig, listed
from plugin_stories import model_after, rolled_back, serving, verifying
from scripted_server import Answer, Asked, Script, scripted, status

from psm_operator.kubectl.environment import Environment


@pytest.fixture
def nowhere(tmp_path: Path) -> Environment:
    return Environment({}, tmp_path, is_terminal=False)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Script, Environment]]:
    """Three models, read as a list; single reads answer with the second."""
    models = [
        await model_after(story, name=name)
        for story, name in ((serving, "de-grocery"), (rolled_back, "uk-grocery"), (verifying, "uk-wine"))
    ]

    def answer(asked: Asked) -> Answer:
        name = asked.path.rpartition("/")[2]
        if name == "pricesensitivitymodels":
            return listed(*models)
        if name == "namespaces":
            items = [{"metadata": {"name": name}} for name in ("default", "mlops", "mlops-test")]
            return Answer(
                {"apiVersion": "v1", "kind": "NamespaceList", "metadata": {"resourceVersion": "1"}, "items": items}
            )
        if name == "deployments":
            return Answer(
                {"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": {"resourceVersion": "1"}, "items": []}
            )
        found = next((model for model in models if model["metadata"]["name"] == name), None)
        return Answer(found) if found is not None else status(404, f'"{name}" not found', "NotFound")

    with scripted(answer) as script:
        yield script, kubeconfig(tmp_path, script.url)
