"""How a predictor starts, and how it says that it cannot."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import onnx
import pytest
from artifacts import ArtifactFile, Members, make_artifact
from botocore.config import Config
from predictor_process import PredictorProcess, environment, metrics_of, serving

from psm_contract.environment import EXIT_UNREACHABLE, EXIT_UNSERVABLE
from psm_contract.manifest import MANIFEST, ONNX, PROTOCOL
from psm_local.aws import AwsEndpoints

BUCKET = "mlops-dev-models"
KEY = "price-sensitivity/model 1/model.tar.gz"


def wrong_answer(members: Members) -> None:
    document = json.loads(members[MANIFEST])
    document["golden"][0]["probabilities"] = [1.0, 0.0, 0.0]
    members[MANIFEST] = json.dumps(document).encode()


def next_protocol(members: Members) -> None:
    document = json.loads(members[MANIFEST])
    document["protocol"] = PROTOCOL + 1
    members[MANIFEST] = json.dumps(document).encode()


@pytest.mark.parametrize(
    ("mutate", "override", "message", "code"),
    [
        pytest.param(None, {"PSM_MODEL_SHA256": "0" * 64}, "DigestMismatch: artifact file://", 65, id="wrong sha256"),
        pytest.param(
            None, {"PSM_MODEL_DATA_URL": "file:///no"}, "ArtifactMissing: /no cannot be", 75, id="no such file"
        ),
        pytest.param(
            wrong_answer, {}, "GoldenMismatch: golden[0] is answered with [", 65, id="a golden row that differs"
        ),
        pytest.param(
            next_protocol, {}, f"ManifestInvalid: manifest.json has protocol {PROTOCOL + 1}", 65, id="another protocol"
        ),
    ],
)
def test_a_model_that_can_never_be_served_ends_the_process_and_says_why(
    tmp_path: Path, mutate: Callable[[Members], None] | None, override: dict[str, str], message: str, code: int
) -> None:
    """One error line, the same text as termination message, never ready in between; 65 if only another archive helps."""
    artifact = make_artifact(tmp_path, mutate=mutate)
    termination_log = tmp_path / "termination-log"
    termination_log.touch()

    with PredictorProcess(environment(artifact, tmp_path, **override)) as process:
        assert process.wait() == code

        errors = [entry["message"] for entry in process.log if entry["level"] == "error"]
        assert len(errors) == 1
        assert errors[0].startswith(message)
        assert termination_log.read_text() == errors[0]
        assert not [entry for entry in process.log if entry["message"] == "ready"]


def test_outside_of_a_pod_no_termination_message_is_written(tmp_path: Path) -> None:
    """The file is Kubernetes' to make."""
    environ = environment(make_artifact(tmp_path), tmp_path, PSM_MODEL_SHA256="0" * 64)

    with PredictorProcess(environ) as process:
        assert process.wait() == 65

    assert not (tmp_path / "termination-log").exists()


def test_a_wrong_environment_ends_the_process_before_it_listens(tmp_path: Path) -> None:
    """Exit code 2, and every finding in one line."""
    environ = environment(make_artifact(tmp_path), tmp_path, PSM_MODEL_SHA256="abc", PSM_WORKERS="none")

    with PredictorProcess(environ) as process:
        assert process.wait() == 2
        assert [entry["level"] for entry in process.log] == ["error"]
        assert "PSM_MODEL_SHA256 is 'abc'" in process.log[0]["message"]
        assert "PSM_WORKERS is 'none'" in process.log[0]["message"]


def test_an_occupied_port_is_said_in_one_line(tmp_path: Path) -> None:
    """Not with a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with PredictorProcess(environment(make_artifact(tmp_path), tmp_path, PSM_LISTEN_PORT=port)) as process:
            assert process.wait() == 1
            assert [entry["level"] for entry in process.log] == ["error"]
            assert f"cannot listen on 127.0.0.1 port {port}" in process.log[0]["message"]


@pytest.mark.parametrize(("port", "code"), [(None, 0), ("9", 1)], ids=["a server that lives", "nobody listens"])
def test_the_health_check_command_needs_nothing_but_itself(tmp_path: Path, port: str | None, code: int) -> None:
    """For a container's HEALTHCHECK: no curl in the image."""
    environ = environment(make_artifact(tmp_path), tmp_path)
    with PredictorProcess(environ) as process:
        environ["PSM_LISTEN_PORT"] = port or str(process.address[1])
        run = subprocess.run([sys.executable, "-m", "psm_predictor", "healthcheck"], env=environ, check=False)

    assert run.returncode == code


def test_an_unknown_command_is_answered_with_the_usage(tmp_path: Path) -> None:
    """On stderr, exit code 2."""
    command = [sys.executable, "-m", "psm_predictor", "predict"]
    run = subprocess.run(command, env=environment(make_artifact(tmp_path), tmp_path), capture_output=True, check=False)

    assert run.returncode == 2
    assert run.stderr.startswith(b"usage: psm-predictor")


@pytest.fixture
def bucket(s3: AwsEndpoints) -> Any:
    """A client for the S3 server, with the bucket made."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.s3_host_url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
        config=Config(s3={"addressing_style": "path"}),
    )
    if BUCKET not in {known["Name"] for known in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    yield client
    client.delete_object(Bucket=BUCKET, Key=KEY)
    client.close()


def in_s3(artifact: ArtifactFile, directory: Path, s3: AwsEndpoints, **overrides: str) -> dict[str, str]:
    """The environment of a pod whose model is in S3."""
    url = f"s3://{BUCKET}/{KEY}"
    return environment(artifact, directory, **{**s3.environment(), "PSM_MODEL_DATA_URL": url, **overrides})


def upload(bucket: Any, artifact: ArtifactFile) -> None:
    bucket.put_object(Bucket=BUCKET, Key=KEY, Body=artifact.path.read_bytes())


def test_a_model_is_fetched_from_s3_and_kept_for_the_next_start(tmp_path: Path, bucket: Any, s3: AwsEndpoints) -> None:
    """A container that is restarted in its pod does not need S3 again."""
    artifact = make_artifact(tmp_path)
    upload(bucket, artifact)
    environ = in_s3(artifact, tmp_path, s3)
    with serving(environ) as (_, client):
        assert client.get("/model").json()["sha256"] == artifact.sha256
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{artifact.sha256}.tar.gz"]

    bucket.delete_object(Bucket=BUCKET, Key=KEY)

    with serving(environ) as (_, client):
        assert client.get("/readyz").status_code == 200


def test_a_damaged_cache_is_fetched_again(tmp_path: Path, bucket: Any, s3: AwsEndpoints) -> None:
    """A file is believed for its digest, not for its name."""
    artifact = make_artifact(tmp_path)
    upload(bucket, artifact)
    cached = tmp_path / "cache" / f"{artifact.sha256}.tar.gz"
    cached.parent.mkdir()
    cached.write_bytes(b"half a file")

    with serving(in_s3(artifact, tmp_path, s3)):
        assert cached.read_bytes() == artifact.path.read_bytes()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        pytest.param(
            {"PSM_MODEL_DATA_URL": "s3://no-such-bucket/x"}, "ArtifactMissing: s3://no-such-bucket/x", id="bucket"
        ),
        pytest.param({"PSM_MODEL_DATA_URL": f"s3://{BUCKET}/x"}, f"ArtifactMissing: s3://{BUCKET}/x", id="key"),
        pytest.param({"PSM_MODEL_DATA_URL": f"s3://{BUCKET}/"}, f"ArtifactMissing: s3://{BUCKET}/", id="no key at all"),
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "ArtifactForbidden: ", id="wrong credentials"),
        pytest.param(
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "ArtifactForbidden: ", id="no credentials"
        ),
        pytest.param({"PSM_MODEL_SHA256": "0" * 64}, "DigestMismatch: artifact s3://", id="another object"),
        pytest.param({"PSM_MAX_ARCHIVE_BYTES": "10"}, "ArtifactTooLarge: s3://", id="too large an object"),
    ],
)
def test_what_s3_will_never_give_ends_the_process_and_says_what_and_where(
    tmp_path: Path, bucket: Any, s3: AwsEndpoints, override: dict[str, str], message: str
) -> None:
    """The address is in the message, and endpoint and region where S3 itself refused; no half file is left behind."""
    artifact = make_artifact(tmp_path)
    upload(bucket, artifact)
    environ = in_s3(artifact, tmp_path, s3, HOME=str(tmp_path), **override)

    with PredictorProcess(environ) as process:
        assert process.wait() == (
            EXIT_UNSERVABLE if message.startswith(("DigestMismatch", "ArtifactTooLarge")) else EXIT_UNREACHABLE
        )
        said = next(entry["message"] for entry in process.log if entry["level"] == "error")

    assert said.startswith(message)
    if "S3 answers" in said:
        assert f"(endpoint {s3.s3_host_url}, region ap-southeast-1)" in said
    assert not list((tmp_path / "cache").glob("incoming-*"))


@contextmanager
def relay(listener: socket.socket, target: tuple[str, int]) -> Iterator[None]:
    """Accepts on the listener and passes bytes to the target and back: the store has come back."""
    stop = threading.Event()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass  # the other side is gone: so is this one
        finally:
            sink.close()
            source.close()

    def accept() -> None:
        while not stop.is_set():
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            outer = socket.create_connection(target)
            for pair in ((inner, outer), (outer, inner)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    listener.listen()
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, bucket: Any, s3: AwsEndpoints) -> None:
    """Alive, not ready, with the reason in /readyz, /predict and the metrics; ready once the store is back."""
    artifact = make_artifact(tmp_path)
    upload(bucket, artifact)
    host, port = s3.s3_host_url.removeprefix("http://").split(":")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = in_s3(artifact, tmp_path, s3, AWS_ENDPOINT_URL_S3=endpoint)
        with PredictorProcess(environ) as process, httpx.Client(base_url=process.url) as client:
            warning = process.wait_for_log("the model cannot be fetched yet")

            assert client.get("/healthz").status_code == 200
            assert client.get("/health").status_code == 200
            readiness = client.get("/readyz")
            assert readiness.status_code == 503
            assert readiness.json()["status"] == "loading"
            assert endpoint in readiness.json()["waiting_for"]
            assert endpoint in warning["error"]
            prediction = client.post("/predict", json={})
            assert (prediction.status_code, prediction.headers["retry-after"]) == (503, "1")
            assert client.get("/model").status_code == 503
            assert "/predict" in client.get("/openapi.json").json()["paths"]
            assert metrics_of(client)["psm_predictor_load_failures_total"] >= 1

            with relay(listener, (host, int(port))):
                process.wait_ready()
                assert client.get("/readyz").status_code == 200
                complete = client.get("/openapi.json").json()
                assert "Instance" in complete["components"]["schemas"]


def test_sigterm_while_loading_ends_the_process_at_once(tmp_path: Path, s3: AwsEndpoints) -> None:
    """Nothing is drained where nothing was served; the exit code tells that the store is at fault, as the last words do."""
    termination_log = tmp_path / "termination-log"
    termination_log.touch()
    environ = in_s3(make_artifact(tmp_path), tmp_path, s3, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9", PSM_DRAIN_S="60")

    with PredictorProcess(environ) as process:
        process.wait_for_log("the model cannot be fetched yet")
        process.terminate()

        assert process.wait(timeout_s=10) == EXIT_UNREACHABLE
    assert "does not answer" in termination_log.read_text()


def test_sigterm_in_the_first_moment_is_not_lost(tmp_path: Path) -> None:
    """Signals that come before somebody handles them are kept: as process 1 they would be dropped."""
    with PredictorProcess(environment(make_artifact(tmp_path), tmp_path)) as process:
        process.wait_for_log("listening")
        process.terminate()

        assert process.wait(timeout_s=20) == 0


def repeat_trees(members: Members) -> None:
    """The same answers from 400 times the trees, each with a 400th of its weight: a model that takes time to load."""
    copies = 400
    model = onnx.load_from_string(members[ONNX])
    for attribute in model.graph.node[0].attribute:
        ints, floats, strings = list(attribute.ints), list(attribute.floats), list(attribute.strings)
        if attribute.name.endswith("_treeids"):
            trees = max(ints) + 1
            attribute.ints.extend(tree + trees * copy for copy in range(1, copies) for tree in ints)
        elif attribute.name == "class_weights":
            attribute.floats[:] = [weight / copies for weight in floats] * copies
        elif attribute.name.startswith(("nodes_", "class_")):
            attribute.ints.extend(ints * (copies - 1))
            attribute.floats.extend(floats * (copies - 1))
            attribute.strings.extend(strings * (copies - 1))
    members[ONNX] = model.SerializeToString()
    document = json.loads(members[MANIFEST])
    document["files"][ONNX] = hashlib.sha256(members[ONNX]).hexdigest()
    members[MANIFEST] = json.dumps(document).encode()


def test_sigterm_while_the_model_loads_ends_the_process_in_order(tmp_path: Path) -> None:
    """Native code is at work in a thread when the process ends; it must not be pulled from under it."""
    artifact = make_artifact(tmp_path, mutate=repeat_trees)
    with PredictorProcess(environment(artifact, tmp_path)) as process:
        process.wait_for_log("listening")
        process.terminate()

        assert process.wait(timeout_s=20) == 0
        assert process.log[-1]["message"] == "stopped"
