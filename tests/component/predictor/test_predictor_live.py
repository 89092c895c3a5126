"""Drift, feedback and the prediction log of a running predictor."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import waiting
from artifacts import ArtifactFile, make_artifact
from predictor_process import VERSION, PredictorProcess, environment, metrics_of, serving

from psm_contract.drift import LEAST_BASKETS
from psm_contract.schema import CLASSES
from psm_predictor.golden import golden_instance
from psm_predictor.live.prediction_log import MOST_WAITING
from psm_training.live_predictions import join, read_labels


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def predictor(artifact: ArtifactFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers, which log predictions."""
    environ = environment(artifact, tmp_path_factory.mktemp("live"), PSM_WORKERS="2", PSM_PREDICTION_LOG="1")
    with PredictorProcess(environ) as process:
        url = process.url
        waiting.until(lambda: httpx.get(f"{url}/readyz").is_success, "both workers to be ready")
        yield url


def basket(artifact: ArtifactFile, number: int = 0) -> dict[str, Any]:
    return golden_instance(artifact.manifest, artifact.manifest.golden[number])


def post(url: str, path: str, body: Any, **headers: str) -> httpx.Response:
    """Over a connection of its own: either worker may answer."""
    return httpx.post(url + path, json=body, headers=headers, timeout=20)


def predicted(url: str, artifact: ArtifactFile, number: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = post(url, "/predict", basket(artifact, number)).raise_for_status().json()
    return answer


def other_than(label: str) -> str:
    return next(name for name in CLASSES if name != label)


def scraped(url: str) -> dict[str, float]:
    with httpx.Client(base_url=url, timeout=20) as client:
        return metrics_of(client)


def test_feedback_finds_its_prediction_whichever_worker_answered(predictor: str, artifact: ArtifactFile) -> None:
    """Twenty predictions and their labels, each over a connection of its own: none is lost, each counts once."""
    before = scraped(predictor)
    for number in range(20):
        answer = predicted(predictor, artifact, number % 8)
        label = answer["label"] if number % 4 else other_than(answer["label"])
        sent = {"request_id": answer["request_id"], "label": label}

        first, second = post(predictor, "/feedback", sent), post(predictor, "/feedback", sent)

        assert (first.status_code, first.json()) == (200, {"outcome": "counted", "correct": bool(number % 4)})
        assert (second.status_code, second.json()) == (200, {"outcome": "duplicate", "correct": None})
    after = scraped(predictor)
    for outcome in ("counted", "duplicate"):
        name = f'psm_predictor_feedback_total{{outcome="{outcome}"}}'
        assert after[name] - before[name] == 20
    labels = after["psm_predictor_live_labels"]
    confusion = {name: value for name, value in after.items() if name.startswith("psm_predictor_live_confusion")}
    assert labels == sum(confusion.values()) >= 20
    right = sum(confusion[f'psm_predictor_live_confusion{{actual="{name}",predicted="{name}"}}'] for name in CLASSES)
    assert after["psm_predictor_live_accuracy"] == pytest.approx(right / labels)


def test_a_basket_of_several_is_named_by_its_index(predictor: str, artifact: ArtifactFile) -> None:
    """Without an index, or with one too large, it is not guessed."""
    body = {"instances": [basket(artifact, 0), basket(artifact, 1)]}
    answer = post(predictor, "/predict", body).json()
    sent = {"request_id": answer["request_id"], "label": answer["predictions"][1]["label"]}

    without, beyond = post(predictor, "/feedback", sent), post(predictor, "/feedback", {**sent, "index": 2})
    right = post(predictor, "/feedback", {**sent, "index": 1})

    for refused in (without, beyond):
        assert refused.status_code == 422
        (finding,) = refused.json()["detail"]
        assert finding["loc"] == ["body", "index"]
        assert finding["msg"] == "must name one of the 2 baskets of the request, from 0"
    assert right.json() == {"outcome": "counted", "correct": True}


def test_what_another_pod_predicted_counts_when_it_is_sent_along(predictor: str) -> None:
    """Once, by request and index; without the prediction it is unknown, and the answer says what to send."""
    sent = {"request_id": "from-another-pod", "label": "LA", "index": 1}
    unknown = post(predictor, "/feedback", sent)
    assert unknown.status_code == 404
    assert "send predicted and model_version" in unknown.json()["detail"]
    assert post(predictor, "/feedback", {**sent, "predicted": "LA"}).status_code == 404

    along = {**sent, "predicted": "LA", "model_version": VERSION}
    assert post(predictor, "/feedback", along).json() == {"outcome": "counted", "correct": True}
    assert {post(predictor, "/feedback", along).json()["outcome"] for _ in range(6)} == {"duplicate"}
    assert post(predictor, "/feedback", {**along, "index": 0}).json()["outcome"] == "counted"


def test_a_prediction_of_another_version_does_not_count(predictor: str, artifact: ArtifactFile) -> None:
    """During a roll-out, labels of the old version reach the new one."""
    answer = predicted(predictor, artifact)
    sent = {"request_id": answer["request_id"], "label": "LA", "predicted": "LA", "model_version": VERSION - 1}
    refused = post(predictor, "/feedback", sent)
    assert refused.status_code == 409
    assert f"version {VERSION - 1}" in refused.json()["detail"]


def test_a_list_is_answered_item_by_item(predictor: str, artifact: ArtifactFile) -> None:
    """What matches nothing does not keep the others from counting; the same twice in a list is a duplicate."""
    known = predicted(predictor, artifact)
    along = {"request_id": "elsewhere", "label": "UM", "predicted": "MM", "model_version": VERSION}
    body = [{"request_id": known["request_id"], "label": "LA"}, {"request_id": "nobody", "label": "LA"}, along, along]

    answer = post(predictor, "/feedback", body)

    assert answer.status_code == 200
    assert answer.json() == {
        "counted": 2,
        "results": [
            {"request_id": known["request_id"], "index": None, "outcome": "counted"},
            {"request_id": "nobody", "index": None, "outcome": "unknown"},
            {"request_id": "elsewhere", "index": None, "outcome": "counted"},
            {"request_id": "elsewhere", "index": None, "outcome": "duplicate"},
        ],
    }


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"request_id": "x"}, ["body", "label"]),
        ({"request_id": "x", "label": "XL"}, ["body", "label"]),
        ({"request_id": 7, "label": "LA"}, ["body", "request_id"]),
        ({"request_id": "x", "label": "LA", "index": -1}, ["body", "index"]),
        ({"request_id": "x", "label": "LA", "household": 7}, ["body", "household"]),
        ([{"request_id": "x", "label": "LA"}, {"label": "LA"}], ["body", 1, "request_id"]),
        ([], ["body"]),
        (7, ["body"]),
    ],
    ids=["no label", "no class", "no text", "below zero", "an unknown field", "the second item", "no item", "a number"],
)
def test_what_is_wrong_is_named(predictor: str, body: Any, location: list[Any]) -> None:
    """As FastAPI writes it."""
    refused = post(predictor, "/feedback", body)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == location


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"request_id": NaN, "label": "LA"}',
        b'{"request_id": "x", "label": "LA", "index": 1e999}',
        b'{"request_id": "\\ud800", "label": "LA"}',
        b'{"request_id": "\xff", "label": "LA"}',
        b"[" * 100_000,
    ],
    ids=["nothing", "half", "no JSON", "not a number", "infinity", "half a character", "no UTF-8", "deep"],
)
def test_what_is_no_json_is_refused(predictor: str, content: bytes) -> None:
    """422, and nothing breaks."""
    refused = httpx.post(f"{predictor}/feedback", content=content, timeout=20)
    assert refused.status_code == 422
    assert refused.json()["detail"]


def test_a_body_that_is_too_large_is_refused(predictor: str) -> None:
    """By its size alone; a client that goes on sending sees the answer."""
    url = httpx.URL(predictor)
    with socket.create_connection((url.host, url.port or 0), timeout=20) as client:
        client.sendall(b"POST /feedback HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n" + b" " * 20_000_000)
        answer = client.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "connection: close" in answer
    packed = httpx.post(f"{predictor}/feedback", content=b"{}", headers={"content-encoding": "gzip"}, timeout=20)
    assert packed.status_code == 415


def test_a_body_that_does_not_come_is_not_waited_for(artifact: ArtifactFile, tmp_path: Path) -> None:
    """408, as for predictions."""
    with serving(environment(artifact, tmp_path, PSM_BODY_TIMEOUT_S="0.3")) as (process, client):
        with process.connect() as slow:
            slow.sendall(b"POST /feedback HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        assert metrics_of(client)['psm_predictor_rejected_requests_total{reason="slow_body"}'] == 1


def test_drift_is_shown_once_enough_baskets_were_seen(predictor: str, artifact: ArtifactFile) -> None:
    """Of all workers together: one basket over and over is far from the training window."""
    before = scraped(predictor)["psm_predictor_drift_baskets"]
    body = {"instances": [basket(artifact)] * 100}
    for _ in range(LEAST_BASKETS // 100):
        post(predictor, "/predict", body).raise_for_status()
    waiting.until(
        lambda: scraped(predictor)["psm_predictor_drift_baskets"] >= before + LEAST_BASKETS, "drift to count all"
    )
    metrics = scraped(predictor)
    for feature in artifact.manifest.features:
        assert metrics[f'psm_predictor_drift_psi{{feature="{feature.name}"}}'] >= 0
    assert metrics['psm_predictor_drift_psi{feature="spend"}'] > 1
    assert metrics["psm_predictor_drift_prediction_psi"] > 0.25
    assert metrics["psm_predictor_drift_skipped_baskets_total"] == 0


def test_the_log_has_every_prediction_and_no_basket(artifact: ArtifactFile, tmp_path: Path) -> None:
    """What was answered just before the end is written too; of a basket not one value."""
    with serving(environment(artifact, tmp_path, PSM_PREDICTION_LOG="1")) as (process, client):
        body = {"instances": [basket(artifact, number % 8) for number in range(50)]}
        many = client.post("/predict", json=body, headers={"x-request-id": "many"}).json()
        one = client.post("/predict", json=basket(artifact)).json()
        client.post("/feedback", json={"request_id": "many", "index": 3, "label": "UM"})
        process.terminate()
        assert process.wait() == 0
    logged = [entry for entry in process.log if entry["message"] == "prediction"]
    answers = {("many", index): answer for index, answer in enumerate(many["predictions"])} | {
        (one["request_id"], 0): one
    }
    assert sorted((entry["request_id"], entry["index"]) for entry in logged) == sorted(answers)
    for entry in logged:
        answered = answers[entry["request_id"], entry["index"]]
        assert (entry["label"], entry["probabilities"]) == (answered["label"], pytest.approx(answered["probabilities"]))
        assert entry.keys() == {
            "time", "level", "logger", "message", "group", "request_id", "index", "label", "probabilities", "model_version"
        }  # fmt: skip
    (feedback,) = [entry for entry in process.log if entry["message"] == "feedback"]
    assert (feedback["request_id"], feedback["index"], feedback["label"]) == ("many", 3, "UM")
    assert not any(entry["level"] == "not json" for entry in process.log)
    assert str(basket(artifact)["spend"]) not in json.dumps(process.log)

    log = tmp_path / "stdout.log"
    log.write_text("".join(json.dumps(entry) + "\n" for entry in process.log))
    joined = join([log], read_labels([log], "price-sensitivity"), group="price-sensitivity", version=None)
    assert (joined.version, joined.counts["matched"], joined.counts["predictions"]) == (VERSION, 1, 51)
    assert joined.first == next(e["time"] for e in logged if (e["request_id"], e["index"]) == ("many", 3))


def test_a_stdout_that_nobody_reads_holds_up_neither_answers_nor_the_end(
    artifact: ArtifactFile, tmp_path: Path
) -> None:
    """A log shipper that is stuck: predictions go on, their lines are dropped and counted, SIGTERM ends the process."""
    environ = environment(artifact, tmp_path, PSM_PREDICTION_LOG="1")
    body = {"instances": [basket(artifact)] * 500}
    with subprocess.Popen([sys.executable, "-m", "psm_predictor"], env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert json.loads(process.stdout.readline())["message"] == "ready"
        with httpx.Client(base_url=f"http://127.0.0.1:{listening['port']}", timeout=20) as client:
            for _ in range(MOST_WAITING // 500 + 20):
                client.post("/predict", json=body).raise_for_status()
            dropped = "psm_predictor_prediction_log_dropped_total"
            waiting.until(lambda: metrics_of(client)[dropped] > 0, "lines to be dropped")
        process.terminate()
        assert process.wait(20) == 0


def test_nothing_is_logged_of_predictions_unless_asked_for(artifact: ArtifactFile, tmp_path: Path) -> None:
    """A line costs more than a prediction."""
    with serving(environment(artifact, tmp_path)) as (process, client):
        client.post("/predict", json=basket(artifact)).raise_for_status()
        process.terminate()
        assert process.wait() == 0
    assert not [entry for entry in process.log if entry["message"] == "prediction"]


def test_feedback_is_not_taken_before_the_model_is_there(tmp_path: Path, artifact: ArtifactFile) -> None:
    """503 with Retry-After, as predictions."""
    environ = environment(artifact, tmp_path, PSM_MODEL_DATA_URL="s3://no-such-bucket/model.tar.gz")
    environ |= {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_REGION": "ap-southeast-1"}
    environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with PredictorProcess(environ) as process:
        refused = httpx.post(f"{process.url}/feedback", json={"request_id": "x", "label": "LA"}, timeout=20)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
