"""One ready predictor for the tests of a file; the file says with what `variables`, if not with the defaults."""

from collections.abc import Iterator

import httpx
import pytest
from artifacts import ArtifactFile, make_artifact
from predictor_process import PredictorProcess, environment, serving


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """What its environment has beside the defaults."""
    return {}


@pytest.fixture(scope="module")
def server(
    artifact: ArtifactFile, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PredictorProcess, httpx.Client]]:
    """The process and a client of it."""
    with serving(environment(artifact, tmp_path_factory.mktemp("run"), **variables)) as pair:
        yield pair


@pytest.fixture
def process(server: tuple[PredictorProcess, httpx.Client]) -> PredictorProcess:
    return server[0]


@pytest.fixture
def client(server: tuple[PredictorProcess, httpx.Client]) -> httpx.Client:
    return server[1]
