"""A running predictor over a real socket: what clients see."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import onnxruntime
import pytest
from artifacts import ArtifactFile, make_artifact
from openapi_spec_validator import validate
from predictor_process import ARN, PredictorProcess, environment, metrics_of, serving

from psm_contract.features import basket_features
from psm_contract.manifest import JOBLIB, ONNX, ONNX_INPUT, ONNX_PROBABILITIES, TABLES
from psm_contract.tables import Tables
from psm_training.recipes import EstimatorRecipe, HistgbRecipe, LogisticRecipe, TreeRecipe, XgboostRecipe
from psm_training.synthetic import generate


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"PSM_ROOT_PATH": "/models/price"}


def instance(artifact: ArtifactFile, number: int = 0) -> dict[str, Any]:
    names = [feature.name for feature in artifact.manifest.features]
    return dict(zip(names, artifact.manifest.golden[number].instance, strict=True))


def member(artifact: ArtifactFile, name: str) -> bytes:
    with tarfile.open(artifact.path) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def test_the_same_baskets_get_the_same_probabilities_in_training_and_over_http(
    artifact: ArtifactFile, client: httpx.Client
) -> None:
    """One feature transformation: 60 baskets at once through training's path, one by one as till lines over HTTP."""
    assert_served_as_trained(artifact, client)


@pytest.mark.parametrize(
    "estimator",
    [LogisticRecipe(), TreeRecipe(), XgboostRecipe(rounds=10), HistgbRecipe(rounds=10)],
    ids=lambda estimator: estimator.family,
)
def test_every_family_is_served_as_it_was_trained(estimator: EstimatorRecipe, tmp_path: Path) -> None:
    """As above, by a process of its own for each family besides the forest."""
    artifact = make_artifact(tmp_path, estimator=estimator)
    with serving(environment(artifact, tmp_path)) as (_, client):
        assert_served_as_trained(artifact, client)


def assert_served_as_trained(artifact: ArtifactFile, client: httpx.Client) -> None:
    """The served probabilities are those of ONNX and those of the estimator itself."""
    gold = generate(baskets=60, households=20, seed=5).gold
    features = basket_features(gold.lines, Tables.from_npz(member(artifact, TABLES)))
    session = onnxruntime.InferenceSession(member(artifact, ONNX), providers=["CPUExecutionProvider"])
    onnx = session.run([ONNX_PROBABILITIES], {ONNX_INPUT: features})[0]
    estimator = joblib.load(io.BytesIO(member(artifact, JOBLIB)))

    answers = [client.post("/predict", json={"lines": gold.records(number)}).json() for number in range(len(gold))]

    served = np.array([list(answer["probabilities"].values()) for answer in answers])
    np.testing.assert_allclose(served, onnx, rtol=0, atol=1e-6)
    np.testing.assert_allclose(served, estimator.predict_proba(features), rtol=0, atol=1e-6)


def test_ready_features_and_till_lines_of_a_basket_agree(artifact: ArtifactFile, client: httpx.Client) -> None:
    """A caller may compute the features; the answer is the same to the last digit of float32."""
    gold = generate(baskets=5, households=5, seed=6).gold
    matrix = basket_features(gold.lines, Tables.from_npz(member(artifact, TABLES)))
    features = artifact.manifest.features
    instances = [
        {
            feature.name: feature.vocabulary[int(value)] if feature.kind == "category" else float(value)
            for feature, value in zip(features, row, strict=True)
        }
        for row in matrix
    ]

    ready = client.post("/predict", json={"instances": instances}).json()["predictions"]

    lines = [client.post("/predict", json={"lines": gold.records(number)}).json() for number in range(5)]
    assert [one["probabilities"] for one in ready] == [one["probabilities"] for one in lines]


def test_an_answer_names_its_model_and_its_request(artifact: ArtifactFile, client: httpx.Client) -> None:
    """The client's request id is returned; without one, or with a strange one, a unique one is made."""
    own = client.post("/predict", json=instance(artifact), headers={"x-request-id": "basket-17"}).json()
    made = [client.post("/predict", json=instance(artifact)).json()["request_id"] for _ in range(3)]
    strange = client.post("/predict", json=instance(artifact), headers={"x-request-id": "a b" * 100}).json()

    assert (own["model_version"], own["request_id"]) == (7, "basket-17")
    assert len({*made, strange["request_id"]}) == 4


def test_a_large_list_is_answered_beside_the_event_loop(artifact: ArtifactFile, client: httpx.Client) -> None:
    """1000 baskets in one request: the same answers as one by one."""
    rows = [instance(artifact, number % 8) for number in range(1000)]

    answer = client.post("/predict", json={"instances": rows}).raise_for_status().json()

    singles = [client.post("/predict", json=instance(artifact, number)).json() for number in range(8)]
    assert [one["probabilities"] for one in answer["predictions"]] == [
        singles[number % 8]["probabilities"] for number in range(1000)
    ]


def test_unknown_categories_are_answered_as_other_and_counted(artifact: ArtifactFile, client: httpx.Client) -> None:
    """Alone, in a list, and in till lines; unknown products are counted as well."""
    before = metrics_of(client)
    unknown = {**instance(artifact), "store_format": "HYPER"}
    other = {**instance(artifact), "store_format": "other"}
    line = {"QUANTITY": 1, "SPEND": 2.5, "PROD_CODE": "nobody sells it", "STORE_FORMAT": "HYPER"}

    answers = [client.post("/predict", json=body).json() for body in (unknown, other)]
    client.post("/predict", json={"instances": [unknown, other]}).raise_for_status()
    client.post("/predict", json={"lines": [line, line]}).raise_for_status()

    assert answers[0]["probabilities"] == answers[1]["probabilities"]
    counted = metrics_of(client)
    series = {
        name: f'psm_predictor_unknown_categories_total{{feature="{name}"}}' for name in ("store_format", "PROD_CODE")
    }
    assert counted[series["store_format"]] - before[series["store_format"]] == 3
    assert counted[series["PROD_CODE"]] - before[series["PROD_CODE"]] == 2


def test_a_refused_basket_is_422_with_field_and_value(artifact: ArtifactFile, client: httpx.Client) -> None:
    """As FastAPI would write it."""
    answer = client.post("/predict", json={**instance(artifact), "spend": "much"}, headers={"x-request-id": "r1"})

    assert answer.status_code == 422
    assert answer.headers["x-request-id"] == "r1"
    assert answer.json() == {
        "detail": [
            {
                "type": "type_error",
                "loc": ["body", "spend"],
                "msg": "must be of type number, it is string",
                "input": "much",
            }
        ]
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_of_predict_are_405(client: httpx.Client, method: str) -> None:
    """And say which one to use."""
    answer = client.request(method, "/predict")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/health", "/healthz"])
def test_alive(client: httpx.Client, path: str) -> None:
    """For liveness probes."""
    assert client.get(path).raise_for_status().json() == {"status": "alive"}


def test_ready(client: httpx.Client) -> None:
    """For readiness probes."""
    assert client.get("/readyz").raise_for_status().json() == {"status": "ready", "waiting_for": ""}


def test_the_model_describes_itself(artifact: ArtifactFile, client: httpx.Client) -> None:
    """All of the manifest that a client or an operator may ask for."""
    described = client.get("/model").raise_for_status().json()

    assert (described["version"], described["arn"], described["sha256"]) == (7, ARN, artifact.sha256)
    manifest = json.loads(artifact.manifest.to_json())
    for name in ("protocol", "classes", "features", "training", "metrics", "libraries", "git_sha", "created_at"):
        assert described[name] == manifest[name]


def test_the_openapi_document_is_valid_and_its_examples_are_answered(client: httpx.Client) -> None:
    """What /docs offers to try works, and the answers are of the documented form."""
    document = client.get("/openapi.json").raise_for_status().json()
    validate(document)

    operation = document["paths"]["/predict"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert set(document["paths"]) >= {"/predict", "/health", "/healthz", "/readyz", "/model", "/metrics"}
    for example in examples.values():
        client.post("/predict", json=example["value"]).raise_for_status()


def test_the_documentation_needs_no_other_server(client: httpx.Client) -> None:
    """Its scripts and styles come from the predictor itself: clusters without a way out show it too."""
    page = client.get("/docs").raise_for_status().text

    links = [part.split('"')[0] for part in page.replace('href="', 'src="').split('src="')[1:]]
    assert links
    for link in links:
        assert link.startswith("/docs/")
        assert client.get(link).raise_for_status().content
    assert client.get("/docs/other.js").status_code == 404


def test_every_route_answers_under_its_root_path_too(artifact: ArtifactFile, client: httpx.Client) -> None:
    """An Ingress that does not strip its prefix; probes come without it."""
    prefix = "/models/price"

    assert client.post(f"{prefix}/predict", json=instance(artifact)).status_code == 200
    assert client.get(f"{prefix}/readyz").status_code == 200
    assert f"url: '{prefix}/openapi.json'" in client.get(f"{prefix}/docs").text.replace('"', "'")
    assert client.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": prefix}]
    assert client.get("/models/pricey/readyz").status_code == 404


def test_metrics_tell_what_happened(artifact: ArtifactFile, client: httpx.Client) -> None:
    """Requests by route and status, predictions by class, latency, the model, the process."""
    before = metrics_of(client)
    for _ in range(3):
        client.post("/predict", json=instance(artifact))
    client.post("/predict", content=b"nonsense")
    client.get("/nowhere")

    samples = metrics_of(client)

    def rise(name: str) -> float:
        return samples[name] - before.get(name, 0.0)

    assert rise('psm_predictor_requests_total{route="/predict",status="200"}') == 3
    assert rise('psm_predictor_requests_total{route="/predict",status="422"}') == 1
    assert rise('psm_predictor_requests_total{route="other",status="404"}') == 1
    assert rise('psm_predictor_rejected_requests_total{reason="validation"}') == 1
    assert rise('psm_predictor_request_duration_seconds_count{route="/predict"}') == 4
    assert sum(rise(f'psm_predictor_predictions_total{{label="{name}"}}') for name in ("LA", "MM", "UM")) == 3
    assert samples["psm_predictor_requests_in_flight"] == 0
    assert samples["psm_predictor_ready"] == 1
    assert samples["process_resident_memory_bytes"] > 0


def test_openmetrics_is_spoken_where_it_is_asked_for(client: httpx.Client) -> None:
    """Prometheus asks for it by default."""
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_log_is_one_json_object_per_line(server: tuple[PredictorProcess, httpx.Client]) -> None:
    """With time, level, logger and message; the start says what is served and how long it took."""
    process, _ = server

    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in process.log)
    assert process.wait_for_log("ready")["version"] == 7
    assert process.wait_for_log("ready")["seconds"] > 0
