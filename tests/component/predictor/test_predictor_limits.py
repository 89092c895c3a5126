"""Requests that ask for too much, come too slowly, or come too many at once."""

import json
import socket
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from artifacts import ArtifactFile
from predictor_process import PredictorProcess, metrics_of

BODY_LIMIT = 4000
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Says that a request was admitted: its body is asked for."""


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {
        "PSM_MAX_BODY_BYTES": str(BODY_LIMIT),
        "PSM_MAX_IN_FLIGHT": "3",
        "PSM_MAX_IN_FLIGHT_BYTES": "7000",
        "PSM_BODY_TIMEOUT_S": "3",
    }


@pytest.fixture(scope="module")
def basket(artifact: ArtifactFile) -> dict[str, Any]:
    names = [feature.name for feature in artifact.manifest.features]
    return dict(zip(names, artifact.manifest.golden[0].instance, strict=True))


def read_response(connection: socket.socket) -> tuple[int, bytes]:
    """Status and everything until the server closes or the body is complete."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    length = 0
    while (line := file.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, file.read(length)


def head(length: int, *extra: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "host: x", f"content-length: {length}", *extra, "", ""]
    return "\r\n".join(lines).encode()


def test_a_body_over_the_limit_is_413(client: httpx.Client, basket: dict[str, Any]) -> None:
    """The limit is in the answer; the connection is closed, the next request gets its own."""
    answer = client.post("/predict", json={"instances": [basket] * 10})

    assert answer.status_code == 413
    assert f"the limit is {BODY_LIMIT}" in answer.json()["detail"]
    assert answer.headers["connection"] == "close"
    assert client.post("/predict", json=basket).status_code == 200


def test_a_body_of_unknown_length_is_stopped_at_the_limit(client: httpx.Client) -> None:
    """Chunked encoding does not say beforehand how much will come."""
    answer = client.post("/predict", content=iter([b" " * 1500] * 20))

    assert answer.status_code == 413


def test_a_client_that_asks_first_is_refused_before_it_sends(process: PredictorProcess) -> None:
    """Expect: 100-continue, as curl sends it for large bodies."""
    with process.connect() as connection:
        connection.sendall(head(10_000_000, "expect: 100-continue"))

        status, body = read_response(connection)

    assert status == 413
    assert b"the limit is" in body


def test_a_body_that_comes_in_pieces_is_put_together(process: PredictorProcess, basket: dict[str, Any]) -> None:
    """However the network cuts it."""
    body = json.dumps(basket).encode()
    with process.connect() as connection:
        connection.sendall(head(len(body)) + body[:10])
        connection.sendall(body[10:200])
        connection.sendall(body[200:])

        assert read_response(connection)[0] == 200


def test_a_body_that_does_not_come_is_408(process: PredictorProcess) -> None:
    """A slow client does not hold its place for ever."""
    with process.connect() as connection:
        connection.sendall(head(100) + b"{")

        status, body = read_response(connection)

    assert status == 408
    assert b"1 bytes came within 3 s" in body


def test_over_the_in_flight_limit_is_503_with_retry_after(
    process: PredictorProcess, client: httpx.Client, basket: dict[str, Any]
) -> None:
    """Not a queue that grows; those that were admitted are answered, and the routes for probes always are."""
    body = json.dumps(basket).encode()
    before = metrics_of(client)
    with ExitStack() as open_connections:
        admitted = [open_connections.enter_context(process.connect()) for _ in range(3)]
        for connection in admitted:
            connection.sendall(head(len(body), "expect: 100-continue"))
            assert connection.recv(len(CONTINUE), socket.MSG_WAITALL) == CONTINUE
            connection.sendall(body[:50])
        refused = client.post("/predict", json=basket)

        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "the limit is 3" in refused.json()["detail"]
        assert client.get("/readyz").status_code == 200
        for connection in admitted:
            connection.sendall(body[50:])
        assert [read_response(connection)[0] for connection in admitted] == [200, 200, 200]

    name = 'psm_predictor_rejected_requests_total{reason="in_flight"}'
    assert metrics_of(client)[name] > before[name]
    assert client.post("/predict", json=basket).status_code == 200


def test_bodies_that_are_under_way_have_a_limit_together(process: PredictorProcess) -> None:
    """Each is small enough; the one that is too much is refused, and what it took is given back."""
    with process.connect() as first, process.connect() as second:
        first.sendall(head(3999) + b" " * 3800)
        second.sendall(head(3999) + b" " * 3800)
        statuses = sorted(read_response(connection)[0] for connection in (first, second))

    assert statuses == [408, 503]  # which of them comes first is for the network to say
    for _ in range(3):
        with process.connect() as connection:
            connection.sendall(head(3999) + b" " * 3000)
            connection.sendall(b" " * 999)
            assert read_response(connection)[0] == 422


def test_a_client_that_goes_away_is_counted_and_forgotten(process: PredictorProcess, client: httpx.Client) -> None:
    """Nothing is logged as an error, nothing stays in flight."""
    name = 'psm_predictor_requests_total{route="/predict",status="499"}'
    before = metrics_of(client).get(name, 0)
    with process.connect() as connection:
        connection.sendall(head(100) + b"{")

    counts = (metrics_of(client) for _ in range(1000))
    assert next(count for count in counts if count.get(name, 0) > before)
    assert metrics_of(client)["psm_predictor_requests_in_flight"] == 0
    assert not [entry for entry in process.log if entry["level"] == "error"]


def test_nonsense_instead_of_http_is_400(process: PredictorProcess) -> None:
    """And ends the connection."""
    with process.connect() as connection:
        connection.sendall(b"hello\r\n\r\n")

        assert read_response(connection)[0] == 400
