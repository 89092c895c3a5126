"""Clients of other model servers and of SageMaker against a running predictor."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from artifacts import ArtifactFile
from bench.predictor.venvs import python_of
from numpy.typing import NDArray
from predictor_process import PredictorProcess, metrics_of
from tritonclient.utils import InferenceServerException

from psm_predictor.rows import word_codes

MODEL = "price-sensitivity"
ROWS = 3
KSERVE_CLIENT = Path(__file__).with_name("kserve_client.py")


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"PSM_ROOT_PATH": "/models/price"}


@pytest.fixture
def for_triton(server: tuple[PredictorProcess, httpx.Client]) -> Iterator[triton.InferenceServerClient]:
    host, port = server[0].address
    with triton.InferenceServerClient(f"{host}:{port}") as client:
        yield client


@pytest.fixture(scope="module")
def rows(artifact: ArtifactFile) -> list[dict[str, Any]]:
    """Golden rows as instances."""
    names = [feature.name for feature in artifact.manifest.features]
    return [dict(zip(names, row.instance, strict=True)) for row in artifact.manifest.golden[:ROWS]]


@pytest.fixture(scope="module")
def matrix(artifact: ArtifactFile, rows: list[dict[str, Any]]) -> NDArray[np.float32]:
    """The same with categories as codes."""
    encoded = [
        [
            word_codes(feature)[row[feature.name]] if feature.kind == "category" else row[feature.name]
            for feature in artifact.manifest.features
        ]
        for row in rows
    ]
    return np.array(encoded, dtype=np.float32)


@pytest.fixture
def expected(client: httpx.Client, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What /predict says."""
    answer = client.post("/predict", json={"instances": rows}).raise_for_status().json()
    predictions: list[dict[str, Any]] = answer["predictions"]
    return predictions


def probabilities_of(predictions: list[dict[str, Any]]) -> NDArray[np.float32]:
    return np.array([list(one["probabilities"].values()) for one in predictions], dtype=np.float32)


def one_tensor(matrix: NDArray[np.float32], *, binary: bool) -> list[triton.InferInput]:
    tensor = triton.InferInput("features", list(matrix.shape), "FP32")
    tensor.set_data_from_numpy(matrix, binary_data=binary)
    return [tensor]


def tensor_per_feature(artifact: ArtifactFile, rows: list[dict[str, Any]], *, binary: bool) -> list[triton.InferInput]:
    tensors = []
    for feature in artifact.manifest.features:
        values = [row[feature.name] for row in rows]
        is_number = feature.kind == "number"
        column = np.array(values, dtype=np.float64 if is_number else np.object_).reshape(-1, 1)
        tensor = triton.InferInput(feature.name, list(column.shape), "FP64" if is_number else "BYTES")
        tensor.set_data_from_numpy(column, binary_data=binary)
        tensors.append(tensor)
    return tensors


@pytest.mark.parametrize("binary", [True, False], ids=["as bytes", "as JSON"])
@pytest.mark.parametrize("form", ["one tensor", "a tensor per feature"])
def test_tritons_client_gets_our_predictions(
    for_triton: triton.InferenceServerClient,
    artifact: ArtifactFile,
    rows: list[dict[str, Any]],
    matrix: NDArray[np.float32],
    expected: list[dict[str, Any]],
    *,
    form: str,
    binary: bool,
) -> None:
    """Inputs and outputs as bytes, which is its default, and as JSON."""
    inputs = one_tensor(matrix, binary=binary)
    if form != "one tensor":
        inputs = tensor_per_feature(artifact, rows, binary=binary)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]

    result = for_triton.infer(MODEL, inputs, outputs=outputs, request_id="basket-17", model_version="7")

    np.testing.assert_array_equal(result.as_numpy("probabilities"), probabilities_of(expected))
    labels = [word.decode() if isinstance(word, bytes) else word for word in result.as_numpy("label").tolist()]
    assert labels == [one["label"] for one in expected]
    assert result.get_response()["id"] == "basket-17"
    assert [output["name"] for output in result.get_response()["outputs"]] == ["label", "probabilities"]


def test_tritons_client_gets_all_outputs_as_bytes_unasked(
    for_triton: triton.InferenceServerClient, matrix: NDArray[np.float32], expected: list[dict[str, Any]]
) -> None:
    """It asks with binary_data_output."""
    result = for_triton.infer(MODEL, one_tensor(matrix, binary=True))

    np.testing.assert_array_equal(result.as_numpy("probabilities"), probabilities_of(expected))
    assert result.as_numpy("label").tolist() == [one["label"].encode() for one in expected]


def test_tritons_client_sees_who_serves(for_triton: triton.InferenceServerClient, artifact: ArtifactFile) -> None:
    """Health and metadata; a tensor for each feature with its type."""
    assert for_triton.is_server_live()
    assert for_triton.is_server_ready()
    assert for_triton.is_model_ready(MODEL)
    assert for_triton.is_model_ready(MODEL, "7")
    assert not for_triton.is_model_ready("other")
    assert not for_triton.is_model_ready(MODEL, "8")
    assert for_triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    described = for_triton.get_model_metadata(MODEL)
    assert (described["name"], described["versions"]) == (MODEL, ["7"])
    assert {tensor["name"]: tensor["datatype"] for tensor in described["inputs"]} == {
        feature.name: "FP32" if feature.kind == "number" else "BYTES" for feature in artifact.manifest.features
    }
    assert described["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]


def test_tritons_client_understands_our_errors(
    for_triton: triton.InferenceServerClient, matrix: NDArray[np.float32]
) -> None:
    """A sentence and a status, for a wrong request and for an unknown model."""
    wrong = triton.InferInput("features", [1, 2], "FP32")
    wrong.set_data_from_numpy(matrix[:1, :2])

    with pytest.raises(InferenceServerException, match=r"has shape \[1, 2\], expected \[n, 48\]") as caught:
        for_triton.infer(MODEL, [wrong])
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="other is not served here, price-sensitivity version 7 is"):
        for_triton.infer("other", one_tensor(matrix, binary=True))
    with pytest.raises(InferenceServerException, match="gzip is not supported"):
        for_triton.infer(MODEL, one_tensor(matrix, binary=True), request_compression_algorithm="gzip")


@pytest.mark.component
def test_kserves_client_gets_our_predictions(
    server: tuple[PredictorProcess, httpx.Client],
    artifact: ArtifactFile,
    rows: list[dict[str, Any]],
    matrix: NDArray[np.float32],
    expected: list[dict[str, Any]],
) -> None:
    """In an environment of its own: it wants other versions of what we are made of. Bytes and JSON, both forms."""
    question = {
        "url": server[0].url,
        "model": MODEL,
        "matrix": matrix.tolist(),
        "columns": {feature.name: [row[feature.name] for row in rows] for feature in artifact.manifest.features},
    }

    run = subprocess.run(
        [str(python_of("kserve")), str(KSERVE_CLIENT)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["live"]
    assert told["ready"]
    assert told["model_ready"]
    assert not told["other_ready"]
    assert "expected [n, 48]" in told["error"]
    assert len(told["answers"]) == 4
    for answer in told["answers"]:
        assert answer["id"] == "basket-17"
        np.testing.assert_allclose(np.array(answer["probabilities"]), probabilities_of(expected), rtol=0, atol=1e-7)
        assert answer["label"] == [one["label"] for one in expected]


def test_sagemaker_sees_whether_it_is_ready(client: httpx.Client) -> None:
    """And how Batch Transform should call."""
    ping = client.get("/ping")

    assert (ping.status_code, ping.content) == (200, b"")
    assert client.get("/execution-parameters").json() == {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 2,
    }


def test_a_batch_transform_can_join_answers_to_lines(
    client: httpx.Client, rows: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    """Split by line, as many lines come back; more than a thread's worth goes beside the event loop."""
    lines = [",".join(str(value) for value in rows[number % ROWS].values()) for number in range(1000)]

    answer = client.post("/invocations", content="\n".join(lines), headers={"content-type": "text/csv"})

    answered = answer.raise_for_status().text.splitlines()
    assert answer.headers["content-type"] == "text/csv"
    assert [line.split(",")[0] for line in answered] == [expected[number % ROWS]["label"] for number in range(1000)]


def test_hot_routes_answer_under_their_root_path_too(
    client: httpx.Client, rows: list[dict[str, Any]], matrix: NDArray[np.float32]
) -> None:
    """An Ingress that does not strip its prefix."""
    tensor = {"name": "features", "datatype": "FP32", "shape": list(matrix.shape), "data": matrix.ravel().tolist()}
    prefix = "/models/price"

    assert client.post(f"{prefix}/invocations", json=rows).status_code == 200
    for path in (f"/v2/models/{MODEL}/infer", f"/v2/models/{MODEL}/versions/7/infer"):
        assert client.post(f"{prefix}{path}", json={"inputs": [tensor]}).status_code == 200
    assert client.get(f"{prefix}/v2/models/{MODEL}/ready").status_code == 200
    assert client.get(f"{prefix}/ping").status_code == 200


def test_each_protocol_says_no_in_its_own_words(client: httpx.Client) -> None:
    """And other methods are told which one to use."""
    path = f"/v2/models/{MODEL}/infer"
    refused = client.post(path, content=b"{}")
    strange = client.post("/v2/models/other/versions/1/infer", content=b"{}")

    assert refused.status_code == 400
    assert "inputs" in refused.json()["error"]
    assert (strange.status_code, list(strange.json())) == (404, ["error"])
    assert client.get("/v2/models/other").json()["error"].startswith("other is not served here")
    for method in ("GET", "PUT", "DELETE"):
        for hot in (path, "/invocations"):
            answer = client.request(method, hot)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert client.post("/invocations", content=b"x", headers={"content-type": "image/png"}).status_code == 415
    gzipped = client.post("/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert (gzipped.status_code, list(gzipped.json())) == (415, ["detail"])


def test_requests_are_counted_by_protocol(client: httpx.Client, rows: list[dict[str, Any]]) -> None:
    """Names of models are not labels: a stranger could make any number of them."""
    before = metrics_of(client)
    client.post("/invocations", json=rows)
    client.post(f"/v2/models/{MODEL}/infer", content=b"nonsense")
    client.get("/v2/models/other")
    client.get("/ping")

    counted = metrics_of(client)
    for route, status in (("/invocations", 200), ("/v2/models/{name}/infer", 400), ("/v2", 404), ("/ping", 200)):
        series = f'psm_predictor_requests_total{{route="{route}",status="{status}"}}'
        assert counted[series] - before.get(series, 0) == 1
