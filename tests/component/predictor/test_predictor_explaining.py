"""POST /predict?explain=true on a running predictor."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from artifacts import LARGE, ArtifactFile, Members, make_artifact
from batch_files import instances
from predictor_process import PredictorProcess, environment, metrics_of, serving

from psm_contract.manifest import MANIFEST, TREES, Manifest
from psm_training.gold import Gold
from psm_training.synthetic import generate

MOST_MEMORY_MIB = 40
"""What the first explanation may cost: LightGBM's library and its copy of the trees."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"), estimator=LARGE)


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"PSM_ROOT_PATH": "/models/price"}


@pytest.fixture(scope="module")
def gold() -> Gold:
    return generate(baskets=24, households=20, seed=5).gold


def explained(client: httpx.Client, body: dict[str, Any], path: str = "/predict?explain=true") -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, json=body, timeout=60).raise_for_status().json()
    return answer


def check(prediction: dict[str, Any], values: dict[str, Any]) -> None:
    """It adds up, and tells every feature with the value that was sent."""
    explanation = prediction["explanation"]
    assert explanation["scale"] == "probability"
    for name, probability in prediction["probabilities"].items():
        total = sum(feature["contributions"][name] for feature in explanation["features"])
        assert explanation["base"][name] + total == pytest.approx(probability, abs=1e-5)
    assert {feature["name"]: feature["value"] for feature in explanation["features"]} == {
        name: value if isinstance(value, str) else pytest.approx(value, rel=1e-6) for name, value in values.items()
    }
    moved = [abs(feature["contributions"][prediction["label"]]) for feature in explanation["features"]]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 0


def test_each_form_is_explained_and_answered_as_without(
    artifact: ArtifactFile, client: httpx.Client, gold: Gold
) -> None:
    """One basket, several, and till lines; under the prefix of an Ingress too."""
    bodies = instances(artifact, gold)[:3]
    for body in (bodies[0], {"instances": bodies}, {"lines": list(gold.records(0))}):
        plain = client.post("/predict", json=body, headers={"x-request-id": "a"}).json()
        answer = client.post(
            "/models/price/predict?explain=true", json=body, headers={"x-request-id": "a"}, timeout=60
        ).json()

        for prediction, values in zip(answer.get("predictions", [answer]), bodies, strict=False):
            check(prediction, values)
            del prediction["explanation"]
        assert answer == plain


@pytest.mark.parametrize("query", ["explain=false", "explain=0", "explain=False", "other=1", ""])
def test_nobody_is_explained_who_does_not_ask(
    query: str, artifact: ArtifactFile, client: httpx.Client, gold: Gold
) -> None:
    """The hot path stays as it is."""
    assert "explanation" not in explained(client, instances(artifact, gold)[0], f"/predict?{query}")


@pytest.mark.parametrize("query", ["explain=true", "explain=True", "explain=1", "explain", "a=%FF%00&explain=true"])
def test_clients_write_true_in_many_ways(query: str, artifact: ArtifactFile, client: httpx.Client, gold: Gold) -> None:
    """Python's `str(True)` among them, and beside whatever else is in the query."""
    assert "explanation" in explained(client, instances(artifact, gold)[0], f"/predict?{query}")


def test_more_baskets_than_may_be_explained_are_refused(
    artifact: ArtifactFile, client: httpx.Client, gold: Gold
) -> None:
    """They would hold the batch thread for seconds."""
    body = {"instances": instances(artifact, gold)[:17]}

    answer = client.post("/predict?explain=true", json=body)

    assert answer.status_code == 422
    (finding,) = answer.json()["detail"]
    assert finding["loc"] == ["query", "explain"]
    assert finding["msg"] == "explains at most 16 baskets in one request, here are 17"
    assert client.post("/predict", json=body).status_code == 200


def test_a_body_at_fault_is_refused_as_without(artifact: ArtifactFile, client: httpx.Client, gold: Gold) -> None:
    """The same findings."""
    body = {**instances(artifact, gold)[0], "spend": -1}

    assert client.post("/predict?explain=true", json=body).json() == client.post("/predict", json=body).json()


def test_predictions_do_not_wait_for_explanations(artifact: ArtifactFile, client: httpx.Client, gold: Gold) -> None:
    """Explanations have a thread of their own, in which few may wait; the others are told to come again."""
    bodies = instances(artifact, gold)
    many = {"instances": bodies[:16]}
    with ThreadPoolExecutor(max_workers=8) as threads:
        asked = [threads.submit(client.post, "/predict?explain=true", json=many, timeout=120) for _ in range(8)]
        answered = [client.post("/predict", json=body).status_code for body in bodies]
        still_asked = [future for future in asked if not future.done()]
        statuses = [future.result().status_code for future in asked]

    assert answered == [200] * len(bodies)
    assert still_asked
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 4
    refused = metrics_of(client)['psm_predictor_rejected_requests_total{reason="in_flight"}']
    assert refused == statuses.count(503)


def test_the_first_explanation_costs_little_memory_and_the_next_ones_none(
    artifact: ArtifactFile, gold: Gold, tmp_path: Path
) -> None:
    """LightGBM is in memory only where somebody asks."""
    body = instances(artifact, gold)[0]
    with serving(environment(artifact, tmp_path)) as (process, client):
        client.post("/predict", json=body).raise_for_status()
        assert "lightgbm" not in Path(f"/proc/{process.pid}/maps").read_text()
        before = rss_mib(process)
        explained(client, body)
        first = rss_mib(process)
        for _ in range(10):
            explained(client, body)

        assert "lightgbm" in Path(f"/proc/{process.pid}/maps").read_text()
        assert not any(f"/{name}/" in Path(f"/proc/{process.pid}/maps").read_text() for name in ("scipy", "pandas"))
        assert first - before < MOST_MEMORY_MIB
        assert rss_mib(process) - first < 4


def rss_mib(process: PredictorProcess) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def without_trees(members: Members) -> None:
    """An archive of a model that is no ensemble of trees, as far as the predictor can tell."""
    manifest = Manifest.from_json(members[MANIFEST])
    files = {name: digest for name, digest in manifest.files.items() if name != TREES}
    members[MANIFEST] = manifest.model_copy(update={"files": files}).to_json()
    del members[TREES]


def test_a_model_without_trees_cannot_be_explained_and_says_so(tmp_path: Path, gold: Gold) -> None:
    """422: what the client asks for is not there; predictions are."""
    artifact = make_artifact(tmp_path, mutate=without_trees)
    body = instances(artifact, gold)[0]
    with serving(environment(artifact, tmp_path)) as (_, client):
        answer = client.post("/predict?explain=true", json=body)

        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"] == "is not available: this model is no ensemble of trees"
        assert client.post("/predict", json=body).status_code == 200


def test_trees_are_explained_whatever_answers(tmp_path: Path, gold: Gold) -> None:
    """ONNX answers, the arrays beside it explain."""
    artifact = make_artifact(tmp_path)
    body = instances(artifact, gold)[0]
    with serving(environment(artifact, tmp_path, PSM_ENGINE="onnx")) as (_, client):
        check(explained(client, body), body)


def test_without_the_extra_the_answer_says_what_to_install(artifact: ArtifactFile, tmp_path: Path, gold: Gold) -> None:
    """An image without LightGBM: here, one that an empty package hides."""
    (tmp_path / "hides" / "lightgbm").mkdir(parents=True)
    (tmp_path / "hides" / "lightgbm" / "__init__.py").touch()
    body = instances(artifact, gold)[0]
    with serving(environment(artifact, tmp_path, PYTHONPATH=str(tmp_path / "hides"))) as (_, client):
        answer = client.post("/predict?explain=true", json=body)

        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"] == (
            "is not available: LightGBM is not installed; install psm-predictor[explain]"
        )
        assert client.post("/predict", json=body).status_code == 200
