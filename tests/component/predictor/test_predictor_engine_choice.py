"""What answers in a running predictor: the kernel, and nothing heavy beside it, unless the environment says otherwise."""

from pathlib import Path

import httpx
import pytest
from artifacts import LARGE, ArtifactFile, Members, make_artifact
from predictor_process import PredictorProcess, environment, serving

from psm_contract.manifest import MANIFEST, TREES, Manifest
from psm_predictor.golden import golden_instance

MOST_MEMORY_MIB = 120
REQUESTS = 2000


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    """An archive that training wrote."""
    return make_artifact(tmp_path_factory.mktemp("artifact"))


def libraries(process: PredictorProcess) -> str:
    """Everything that is mapped into the process."""
    return Path(f"/proc/{process.pid}/maps").read_text()


def ask(client: httpx.Client, manifest: Manifest) -> list[dict[str, float]]:
    """Probabilities for the golden rows."""
    instances = [golden_instance(manifest, row) for row in manifest.golden]
    answer = client.post("/predict", json={"instances": instances}).raise_for_status().json()
    return [prediction["probabilities"] for prediction in answer["predictions"]]


def test_trees_are_answered_by_the_kernel_and_nothing_else_is_loaded(tmp_path: Path, artifact: ArtifactFile) -> None:
    """Neither onnxruntime nor scikit-learn comes into memory."""
    with serving(environment(artifact, tmp_path)) as (process, client):
        ask(client, artifact.manifest)

        assert process.wait_for_log("ready")["engine"] == "trees"
        assert "engines/libtrees.so" in libraries(process)
        assert not any(f"/{name}/" in libraries(process) for name in ("onnxruntime", "sklearn", "scipy", "pandas"))


@pytest.mark.parametrize(
    ("settings", "library"),
    [
        ({"PSM_ENGINE": "onnx"}, "onnxruntime"),
        ({"PSM_ENGINE": "joblib", "PSM_ALLOW_JOBLIB": "1"}, "sklearn"),
    ],
    ids=["onnx", "joblib"],
)
def test_another_engine_gives_the_same_answers(
    tmp_path: Path, artifact: ArtifactFile, settings: dict[str, str], library: str
) -> None:
    """Chosen by the environment, proven by the same golden rows."""
    with serving(environment(artifact, tmp_path, **settings)) as (process, client):
        answers = ask(client, artifact.manifest)

        assert process.wait_for_log("ready")["engine"] == settings["PSM_ENGINE"]
        assert f"/{library}/" in libraries(process)
        assert "engines/libtrees.so" not in libraries(process)
    for answered, row in zip(answers, artifact.manifest.golden, strict=True):
        assert list(answered.values()) == pytest.approx(row.probabilities, abs=1e-5)


def test_joblib_needs_two_words(tmp_path: Path, artifact: ArtifactFile) -> None:
    """One variable alone never unpickles anything: the process ends and says what the risk is."""
    with PredictorProcess(environment(artifact, tmp_path, PSM_ENGINE="joblib")) as process:
        assert process.wait() == 2

        (error,) = [entry["message"] for entry in process.log if entry["level"] == "error"]
        assert "runs whatever the archive's model.joblib says; set PSM_ALLOW_JOBLIB=1" in error


def without_trees(members: Members) -> None:
    """An archive of a model that is no ensemble of trees, as far as the predictor can tell."""
    manifest = Manifest.from_json(members[MANIFEST])
    files = {name: digest for name, digest in manifest.files.items() if name != TREES}
    members[MANIFEST] = manifest.model_copy(update={"files": files}).to_json()
    del members[TREES]


def test_an_archive_without_trees_is_answered_by_onnx(tmp_path: Path) -> None:
    """Whatever training could not flatten still serves."""
    artifact = make_artifact(tmp_path, mutate=without_trees)
    with serving(environment(artifact, tmp_path)) as (process, client):
        ask(client, artifact.manifest)

        assert "/onnxruntime/" in libraries(process)


def test_trees_that_are_not_there_cannot_be_asked_for(tmp_path: Path) -> None:
    """The process ends and says which setting helps."""
    artifact = make_artifact(tmp_path, mutate=without_trees)
    with PredictorProcess(environment(artifact, tmp_path, PSM_ENGINE="trees")) as process:
        assert process.wait() == 65

        (error,) = [entry["message"] for entry in process.log if entry["level"] == "error"]
        assert error == "ModelInvalid: PSM_ENGINE is trees, but the archive has no trees.npz; set it to auto"


def test_a_large_forest_is_served_in_little_memory(tmp_path: Path) -> None:
    """A hundred trees of depth 12, after two thousand answers and a scrape."""
    artifact = make_artifact(tmp_path, estimator=LARGE)
    with serving(environment(artifact, tmp_path)) as (process, client):
        instance = golden_instance(artifact.manifest, artifact.manifest.golden[0])
        for _ in range(REQUESTS):
            client.post("/predict", json=instance).raise_for_status()
        client.get("/metrics").raise_for_status()
        client.get("/openapi.json").raise_for_status()

        status = Path(f"/proc/{process.pid}/status").read_text()
        resident_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        assert resident_kib / 1024 <= MOST_MEMORY_MIB
