"""A running predictor that asks who is there, and tells whom it refused."""

import datetime as dt
import hashlib
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from artifacts import ArtifactFile, make_artifact
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from predictor_process import PredictorProcess, environment, metrics_of, serving
from waiting import until

KEY = "k3y-of-the-tills"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def basket(artifact: ArtifactFile) -> dict[str, Any]:
    names = [feature.name for feature in artifact.manifest.features]
    return dict(zip(names, artifact.manifest.golden[0].instance, strict=True))


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def access_lines(process: PredictorProcess) -> list[dict[str, Any]]:
    return [entry for entry in process.log if entry["logger"] == "psm_predictor.access"]


def test_keys_from_a_file_admit_and_change_while_it_runs(
    artifact: ArtifactFile, basket: dict[str, Any], tmp_path: Path
) -> None:
    """Hot routes and cold ones; probes and Prometheus pass; a new key counts within seconds."""
    keys = tmp_path / "keys"
    keys.write_text(f"{digest(KEY)}  tills\n")
    with serving(environment(artifact, tmp_path, PSM_API_KEYS_FILE=str(keys))) as (_, client):
        allowed = {"x-api-key": KEY}
        assert client.post("/predict", json=basket, headers=allowed).status_code == 200
        assert client.get("/model", headers=allowed).status_code == 200
        refused = client.post("/predict", json=basket)
        assert (refused.status_code, refused.json()) == (401, {"detail": "send an X-Api-Key"})
        assert refused.headers["www-authenticate"] == "Bearer"
        for path in ("/model", "/docs", "/openapi.json", "/nowhere", "/v2"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        assert metrics_of(client)['psm_predictor_rejected_requests_total{reason="unauthorized"}'] == 6

        keys.write_text(f"{digest('another')}\n")

        until(lambda: client.get("/model", headers={"x-api-key": "another"}).status_code == 200, "the new key to count")
        assert client.get("/model", headers=allowed).status_code == 401


def test_keys_from_the_environment_admit(artifact: ArtifactFile, tmp_path: Path) -> None:
    """As spec.predictor.env sets them: digests are no secrets."""
    environ = environment(artifact, tmp_path, PSM_API_KEYS=f"{digest('one')}, {digest('two')}")
    with serving(environ) as (_, client):
        statuses = [client.get("/model", headers={"x-api-key": key}).status_code for key in ("one", "two", "three")]

    assert statuses == [200, 200, 401]


def test_a_key_that_stands_where_its_digest_belongs_is_not_shown(artifact: ArtifactFile, tmp_path: Path) -> None:
    """The process ends with 2, and the log does not hold the key."""
    with PredictorProcess(environment(artifact, tmp_path, PSM_API_KEYS=KEY)) as process:
        assert process.wait() == 2

    assert "entry 1 is no SHA-256 digest" in process.log[-1]["message"]
    assert KEY not in json.dumps(process.log)


def test_a_missing_file_of_keys_ends_the_start(artifact: ArtifactFile, tmp_path: Path) -> None:
    """Rather than serving everybody."""
    with PredictorProcess(environment(artifact, tmp_path, PSM_API_KEYS_FILE="/nowhere")) as process:
        assert process.wait() == 2

    assert any("PSM_API_KEYS_FILE" in entry["message"] for entry in process.log)


class Issuer:
    """Publishes a key over TLS, as an identity provider does."""

    def __init__(self, directory: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = directory / "ca.pem"
        self.is_up = True
        self._private = directory / "key.pem"
        self._write_certificate()

    def _write_certificate(self) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
        now = dt.datetime.fromtimestamp(time.time(), tz=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._private.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def jwks(self) -> bytes:
        return json.dumps(
            {"keys": [{**jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "e1"}]}
        ).encode()

    def token(self, **claims: Any) -> str:
        everything = {"iss": "https://issuer", "aud": "psm", "exp": int(time.time()) + 600, **claims}
        return jwt.encode(everything, self.key, "ES256", headers={"kid": "e1"})

    @contextmanager
    def serving(self) -> Iterator[str]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/elsewhere":
                    self.send_response(302)
                    self.send_header("location", "/keys")
                    self.end_headers()
                    return
                self.send_response(200 if issuer.is_up else 503)
                self.end_headers()
                self.wfile.write(issuer.jwks())

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._private)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def token_settings(issuer: Issuer, url: str) -> dict[str, str]:
    return {
        "PSM_JWT_JWKS": url,
        "PSM_JWT_ISSUER": "https://issuer",
        "PSM_JWT_AUDIENCE": "psm",
        "SSL_CERT_FILE": str(issuer.certificate),
    }


def test_tokens_are_checked_against_keys_fetched_over_tls(artifact: ArtifactFile, tmp_path: Path) -> None:
    """Closed until the keys are there; a token of another audience is refused."""
    issuer = Issuer(tmp_path)
    with (
        issuer.serving() as url,
        serving(environment(artifact, tmp_path, **token_settings(issuer, f"{url}/keys"))) as (_, client),
    ):

        def ask(token: str) -> int:
            return client.get("/model", headers={"authorization": f"Bearer {token}"}).status_code

        until(lambda: ask(issuer.token()) != 503, "the keys to be fetched")

        assert [ask(issuer.token()), ask(issuer.token(aud="x")), ask("x.y.z")] == [200, 401, 401]
        assert client.get("/model").status_code == 401


@pytest.mark.parametrize(
    ("path", "spoil"), [("/elsewhere", "redirect"), ("/keys", "down"), ("/keys", "certificate")], ids=lambda case: case
)
def test_keys_that_cannot_be_had_keep_everybody_out(
    artifact: ArtifactFile, tmp_path: Path, path: str, spoil: str
) -> None:
    """An answer that is a redirect, an error, or of a server that nobody vouches for; probes pass, so that it may mend."""
    issuer = Issuer(tmp_path)
    issuer.is_up = spoil != "down"
    with issuer.serving() as url:
        settings = token_settings(issuer, url + path)
        if spoil == "certificate":
            del settings["SSL_CERT_FILE"]
        with serving(environment(artifact, tmp_path, **settings)) as (process, client):
            process.wait_for_log("the issuer's keys stay as they were")
            answer = client.get("/model", headers={"authorization": f"Bearer {issuer.token()}"})
            assert (answer.status_code, client.get("/readyz").status_code) == (503, 200)


def test_tokens_need_an_address_with_tls(artifact: ArtifactFile, tmp_path: Path) -> None:
    """Keys that came over a plain connection could be anybody's."""
    issuer = Issuer(tmp_path)
    with PredictorProcess(
        environment(artifact, tmp_path, **token_settings(issuer, "http://127.0.0.1/keys"))
    ) as process:
        assert process.wait() == 2

    assert "expected https://… or file://…" in process.log[-1]["message"]


def test_refused_requests_are_logged_with_their_trace_and_without_their_content(
    artifact: ArtifactFile, basket: dict[str, Any], tmp_path: Path
) -> None:
    """By default; the answer names the same trace and the same request."""
    with serving(environment(artifact, tmp_path)) as (process, client):
        client.post("/predict", json=basket, headers={"x-request-id": "fine"})
        body = {**basket, "store_format": 17, "note": "secret-value"}
        refused = client.post(
            "/predict?card=secret-card", json=body, headers={"x-request-id": "r-17", "traceparent": TRACEPARENT}
        )
        client.get("/nowhere/secret-path", headers={"x-api-key": "secret-key"})
        until(lambda: len(access_lines(process)) >= 2, "two lines")

        first, second = access_lines(process)

    assert (first["route"], first["status"], first["request_id"]) == ("/predict", 422, "r-17")
    assert first["bytes_out"] == len(refused.content)
    assert first["duration_ms"] > 0
    assert first["traceparent"] == refused.headers["traceparent"]
    assert first["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert first["parent_id"] == "00f067aa0ba902b7"
    assert (second["route"], second["status"], second["method"]) == ("other", 404, "GET")
    assert "secret" not in json.dumps(process.log)


def test_every_request_is_logged_where_that_is_wanted(
    artifact: ArtifactFile, basket: dict[str, Any], tmp_path: Path
) -> None:
    """With the bytes of both bodies, even where the log level would hide them."""
    environ = environment(artifact, tmp_path, PSM_ACCESS_LOG="all")
    with serving(environ) as (process, client):
        answer = client.post("/predict", json=basket, headers={"x-request-id": "r-1"})
        client.get("/model")
        until(lambda: len(access_lines(process)) >= 2, "two lines")
        first, second = access_lines(process)

    assert (first["status"], first["request_id"]) == (200, "r-1")
    assert (first["bytes_in"], first["bytes_out"]) == (len(answer.request.content), len(answer.content))
    assert (second["route"], second["status"]) == ("/model", 200)


def test_spans_are_sent_and_the_last_ones_before_the_end(
    artifact: ArtifactFile, basket: dict[str, Any], tmp_path: Path
) -> None:
    """OpenTelemetry's own variables say where to."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    environ = environment(
        artifact, tmp_path, PSM_TRACING="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}"
    )
    try:
        with serving(environ) as (process, client):
            client.post("/predict", json=basket, headers={"traceparent": TRACEPARENT}).raise_for_status()
            process.terminate()
            assert process.wait() == 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    sent = b"".join(received)
    assert bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736") in sent
    assert b"POST /predict" in sent
