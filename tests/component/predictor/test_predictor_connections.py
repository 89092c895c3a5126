"""Clients that hold connections instead of using them: each is ended in time, and nobody else waits for it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from predictor_process import PredictorProcess, metrics_of
from raw_http import answers_until_closed, is_closed, read_answer
from waiting import until

HEADER_LIMIT = 4096
CONNECTIONS = 20
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Short of everything, so that the tests need not wait."""
    return {
        "PSM_MAX_HEADER_BYTES": str(HEADER_LIMIT),
        "PSM_MAX_CONNECTIONS": str(CONNECTIONS),
        "PSM_HEADER_TIMEOUT_S": "1",
        "PSM_BODY_TIMEOUT_S": "1",
        "PSM_SEND_TIMEOUT_S": "2",
        "PSM_KEEP_ALIVE_S": "2",
    }


def rejected(client: httpx.Client, kind: str) -> float:
    return metrics_of(client)[f'psm_predictor_rejected_requests_total{{reason="{kind}"}}']


def drip(connection: socket.socket, piece: bytes) -> bool:
    """Sends a piece every now and then; False once the server has closed."""
    closed = threading.Event()

    def send() -> bool:
        try:
            connection.sendall(piece)
            connection.settimeout(0.05)
            if connection.recv(1000) == b"":
                closed.set()
        except TimeoutError:
            return False
        except OSError:
            closed.set()
        return closed.is_set()

    until(send, "the server to close a connection that drips")
    return False


def test_a_connection_that_asks_nothing_is_closed(process: PredictorProcess) -> None:
    """Opening is not asking."""
    with process.connect() as connection:
        assert is_closed(connection)


def test_a_head_that_does_not_end_is_closed(process: PredictorProcess, client: httpx.Client) -> None:
    """Slowloris: each byte comes in time, the request never does."""
    before = rejected(client, "slow_headers")
    with process.connect() as connection:
        connection.sendall(REQUEST)
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")

        drip(connection, b"x: y\r\n")

    assert rejected(client, "slow_headers") == before + 1


def test_a_first_head_that_does_not_end_is_closed(process: PredictorProcess) -> None:
    """The same on a fresh connection."""
    with process.connect() as connection:
        connection.sendall(b"GET /he")

        drip(connection, b"a")


def test_empty_lines_do_not_keep_a_connection(process: PredictorProcess) -> None:
    """They are allowed between requests, and no request."""
    with process.connect() as connection:
        connection.sendall(REQUEST)
        assert connection.recv(12) == b"HTTP/1.1 200"

        drip(connection, b"\r\n")


def test_a_connection_in_use_is_kept(process: PredictorProcess) -> None:
    """Beyond all of these times: what counts is the last request."""
    pause = threading.Event()
    with process.connect() as connection, connection.makefile("rb") as file:
        for _ in range(12):
            connection.sendall(REQUEST)
            answer = read_answer(file)
            assert answer is not None
            assert answer.status == 200
            pause.wait(0.5)


def endless(head: bytes, more: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield more


CHUNKED = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1"
ENDLESS = {
    "field": (b"GET /healthz HTTP/1.1\r\nx: ", b"y" * 1000),
    "fields": (b"GET /healthz HTTP/1.1\r\n", b"x: y\r\n" * 100),
    "path": (b"GET /", b"a" * 1000),
    "name": (b"GET /healthz HTTP/1.1\r\n", b"a" * 1000),
    "trailers": (CHUNKED + b"\r\n{\r\n0\r\n", b"x: y\r\n" * 100),
    "chunk extension": (CHUNKED + b";", b"a" * 1000),
}


@pytest.mark.parametrize(("head", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_surrounds_a_body_has_a_limit(
    process: PredictorProcess, client: httpx.Client, head: bytes, more: bytes
) -> None:
    """431, whatever grows; and the end of the connection."""
    before = rejected(client, "headers_too_large")
    sent = 0
    with process.connect() as connection:
        try:
            for piece in endless(head, more):
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        statuses = [answer.status for answer in answers_until_closed(connection)]

    assert statuses in ([431], [])  # the answer is lost where bytes were under way
    assert rejected(client, "headers_too_large") == before + 1


@pytest.mark.parametrize("padding", [HEADER_LIMIT, 50 * HEADER_LIMIT], ids=["a little", "much"])
def test_a_whole_head_over_the_limit_is_431(process: PredictorProcess, padding: int) -> None:
    """In one packet as well, with its body."""
    with process.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nx: " + b"y" * padding + b"\r\n\r\n")

        answers = answers_until_closed(connection)

    assert [(answer.status, answer.headers["connection"]) for answer in answers] == [(431, "close")]


def test_a_head_over_the_limit_behind_another_request_is_not_answered(process: PredictorProcess) -> None:
    """In the same packet; the first request gets its answer, then the connection ends."""
    with process.connect() as connection:
        connection.sendall(REQUEST + b"GET /healthz HTTP/1.1\r\nx: " + b"y" * HEADER_LIMIT + b"\r\n\r\n")

        assert [answer.status for answer in answers_until_closed(connection)] == [200]


def test_a_head_just_within_the_limit_and_a_large_body_are_taken(process: PredictorProcess) -> None:
    """The limit is of the head alone."""
    with process.connect() as connection:
        head = b"POST /predict HTTP/1.1\r\nconnection: close\r\ncontent-length: 100000\r\nx: "
        connection.sendall(head + b"y" * (HEADER_LIMIT - len(head)) + b"\r\n\r\n" + b" " * 100_000)

        assert [answer.status for answer in answers_until_closed(connection)] == [422]


def test_the_smallest_chunks_are_taken(process: PredictorProcess) -> None:
    """Six bytes for each byte of body, many times the limit of a head."""
    with process.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(b"1\r\n \r\n" * 10 * HEADER_LIMIT + b"0\r\n\r\n")

        assert [answer.status for answer in answers_until_closed(connection)] == [422]


def test_a_body_that_nobody_reads_and_nobody_ends_is_closed(process: PredictorProcess, client: httpx.Client) -> None:
    """The route has answered; the rest of the body would hold the connection for ever."""
    before = rejected(client, "slow_body")
    with process.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"

        drip(connection, b"a")

    assert rejected(client, "slow_body") == before + 1


def test_a_client_that_does_not_take_its_answers_is_cut_off(process: PredictorProcess, client: httpx.Client) -> None:
    """It would keep its answers in memory, and its place among the requests that are answered."""
    before = rejected(client, "slow_reader")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.5)
        connection.connect(process.address)
        try:
            for _ in range(1000):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        except TimeoutError:
            pass  # the server has stopped reading

        until(lambda: rejected(client, "slow_reader") == before + 1, "the server to cut the slow reader off")

    until(lambda: metrics_of(client)["psm_predictor_requests_in_flight"] == 0, "its request to be forgotten")


def test_a_client_that_always_has_an_answer_to_take_is_not_cut_off(
    process: PredictorProcess, client: httpx.Client
) -> None:
    """Whenever the server looks, something is unread; it is never the same answer for long."""
    before = rejected(client, "slow_reader")
    request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.socket() as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(process.address)
        connection.sendall(request * 30)
        began = time.monotonic()
        while time.monotonic() < began + 6:  # three times the limit
            time.sleep(0.05)
            answer = read_answer(answers)
            assert answer is not None
            assert answer.status == 200
            connection.sendall(request)

    assert rejected(client, "slow_reader") == before


def test_a_client_that_asks_ahead_and_goes_leaves_nothing(process: PredictorProcess, client: httpx.Client) -> None:
    """The request that is being answered learns it, those behind it are dropped."""
    name = 'psm_predictor_requests_total{route="/openapi.json",status="200"}'
    before = metrics_of(client).get(name, 0)
    with process.connect() as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 30)

    until(lambda: metrics_of(client).get(name, 0) > before, "the first of them to be answered")
    until(lambda: metrics_of(client)["psm_predictor_requests_in_flight"] == 0, "nothing to be under way")
    assert metrics_of(client)[name] < before + 30


def test_many_idle_connections_make_room_for_those_who_ask(process: PredictorProcess, client: httpx.Client) -> None:
    """The longest idle go; a probe on a new connection is answered at once."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(process.connect()) for _ in range(3 * CONNECTIONS)]

        with httpx.Client(base_url=process.url) as another:
            assert another.get("/healthz").status_code == 200
        assert is_closed(crowd[0])

    assert rejected(client, "connections") > 0


def test_nothing_of_this_is_logged(process: PredictorProcess) -> None:
    """Whoever can send bytes could fill the log."""
    with process.connect() as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert [answer.status for answer in answers_until_closed(connection)] == [400]

    assert [entry.get("traceback", entry["message"]) for entry in process.log if entry["level"] != "info"] == []
