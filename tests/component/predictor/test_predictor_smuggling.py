"""Requests whose end two readers could see in different places: one answer each, or the end of the connection.

Every exchange ends with a plain request that asks to close. If bytes of a body were taken for a request, or a request for
a body, the list of answers would be longer or shorter than it should be.
"""

import json
from collections.abc import Callable, Iterator

import pytest
from artifacts import ArtifactFile, make_artifact
from predictor_process import PredictorProcess, environment, serving
from raw_http import RawAnswer, answers_until_closed, read_answer

LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
HIDDEN = b"GET /model HTTP/1.1\r\nhost: x\r\n\r\n"
"""A request inside of another one's body."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def process(artifact: ArtifactFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictorProcess]:
    with serving(environment(artifact, tmp_path_factory.mktemp("run"))) as (process, _):
        yield process


@pytest.fixture(scope="module")
def basket(artifact: ArtifactFile) -> bytes:
    names = [feature.name for feature in artifact.manifest.features]
    return json.dumps(dict(zip(names, artifact.manifest.golden[0].instance, strict=True))).encode()


def exchange(process: PredictorProcess, *parts: bytes) -> list[RawAnswer]:
    """Sends the parts, then the last request; all answers."""
    with process.connect() as connection:
        for part in (*parts, LAST):
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break  # refused before all was sent
        return answers_until_closed(connection)


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /predict HTTP/1.1", b"host: x", *headers, b"", b""]) + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


Cut = Callable[[bytes], list[bytes]]


def at_once(raw: bytes) -> list[bytes]:
    return [raw]


def byte_by_byte(raw: bytes) -> list[bytes]:
    return [raw[at : at + 1] for at in range(len(raw))]


CL5 = b"content-length: 5"
TE = b"transfer-encoding: chunked"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(post(CL5, TE, body=b"0\r\n\r\n" + HIDDEN), id="length and chunks"),
        pytest.param(post(TE, CL5, body=b"0\r\n\r\n" + HIDDEN), id="chunks and length"),
        pytest.param(post(CL5, CL5, body=b"hello"), id="the same length twice"),
        pytest.param(post(CL5, b"content-length: 6", body=b"hello!"), id="two lengths"),
        pytest.param(post(b"content-length: 5, 5", body=b"hello"), id="a list of lengths"),
        pytest.param(post(b"content-length: +5", body=b"hello"), id="a length with a sign"),
        pytest.param(post(b"content-length: -5", body=b"hello"), id="a negative length"),
        pytest.param(post(b"content-length: 0x5", body=b"hello"), id="a length in base 16"),
        pytest.param(post(b"content-length: 5_0", body=b"hello" * 10), id="a length as Python writes numbers"),
        pytest.param(post(b"content-length: ", body=b"hello"), id="an empty length"),
        pytest.param(post(b"content-length: 99999999999999999999", body=b"hello"), id="a length beyond 64 bits"),
        pytest.param(post(b"content-length : 5", body=b"hello"), id="a space before the colon"),
        pytest.param(
            post(b"transfer-encoding : chunked", body=chunked(b"hello")), id="chunks, a space before the colon"
        ),
        pytest.param(post(b"transfer-encoding: chunked, identity", body=chunked(b"hello")), id="chunks are not last"),
        pytest.param(post(b"transfer-encoding: xchunked", body=chunked(b"hello")), id="chunks of another name"),
        pytest.param(post(b"transfer-encoding: \x0bchunked", body=chunked(b"hello")), id="chunks behind a control"),
        pytest.param(post(b"transfer-encoding: identity", body=b"hello"), id="an encoding without an end"),
        pytest.param(post(b"transfer-encoding:\r\n chunked", body=chunked(b"hello")), id="chunks on a folded line"),
        pytest.param(post(b"x-a: b\r\n content-length: 5", body=b""), id="a folded line"),
        pytest.param(post(b" x-a: b", CL5, body=b"hello"), id="a first line with a space"),
        pytest.param(post(b"x-a: b\rc: d", CL5, body=b"hello"), id="a carriage return in a value"),
        pytest.param(post(b"x-a: b\0c", CL5, body=b"hello"), id="a zero byte in a value"),
        pytest.param(post(b"x-a\0: b", CL5, body=b"hello"), id="a zero byte in a name"),
        pytest.param(post(b"x a: b", CL5, body=b"hello"), id="a space in a name"),
        pytest.param(post(b": b", CL5, body=b"hello"), id="a header without a name"),
        pytest.param(post(b"x-a", CL5, body=b"hello"), id="a header without a colon"),
        pytest.param(post(CL5, body=b"hello").replace(b"\r\n", b"\n"), id="lines that end with a line feed alone"),
        pytest.param(post(b"x-a: b\nc: d", CL5, body=b"hello"), id="one line that ends with a line feed alone"),
        pytest.param(
            post(CL5, body=b"hello").replace(b"\r\n", b"\r"), id="lines that end with a carriage return alone"
        ),
        pytest.param(post(TE, body=b"0x5\r\nhello\r\n0\r\n\r\n"), id="a chunk size with a prefix"),
        pytest.param(post(TE, body=b"-5\r\nhello\r\n0\r\n\r\n"), id="a negative chunk size"),
        pytest.param(post(TE, body=b"5 \r\nhello\r\n0\r\n\r\n"), id="a chunk size with a space"),
        pytest.param(post(TE, body=b"\r\nhello\r\n0\r\n\r\n"), id="no chunk size"),
        pytest.param(post(TE, body=b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), id="a chunk size beyond 64 bits"),
        pytest.param(post(TE, body=b"5\nhello\r\n0\r\n\r\n"), id="a chunk size that ends with a line feed alone"),
        pytest.param(post(TE, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"), id="a line feed in a chunk extension"),
        pytest.param(post(TE, body=b"5\r\nhelloXX0\r\n\r\n"), id="a chunk longer than it says"),
        pytest.param(post(TE, body=b"5\r\nhello\n0\r\n\r\n"), id="a chunk that ends with a line feed alone"),
        pytest.param(b"GET /healthz HTTP/1.1 HTTP/1.1\r\n\r\n", id="two versions"),
        pytest.param(b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n", id="a version that is none"),
        pytest.param(b"GET /healthz HTTP/1.10\r\nhost: x\r\n\r\n", id="a version of three digits"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="the greeting of HTTP/2"),
        pytest.param(b"CONNECT localhost:80 HTTP/1.1\r\nhost: x\r\n\r\n" + HIDDEN, id="a tunnel"),
        pytest.param(b"GET /health\xffz HTTP/1.1\r\nhost: x\r\n\r\n", id="a path beyond ASCII"),
        pytest.param(b"NONSENSE /predict HTTP/1.1\r\nhost: x\r\n\r\n", id="a method that is none"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
    ],
)
@pytest.mark.parametrize("cut", [at_once, byte_by_byte])
def test_what_two_readers_could_read_differently_is_refused_and_ends_the_connection(
    process: PredictorProcess, raw: bytes, cut: Cut
) -> None:
    """400 and nothing after it, wherever the network cuts the bytes."""
    answers = exchange(process, *cut(raw))

    assert [answer.status for answer in answers] == [400]
    assert answers[0].headers["connection"] == "close"


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        pytest.param(post(CL5, body=b"hello"), [422, 200], id="a length"),
        pytest.param(post(b"Content-Length:\t5 ", body=b"hello"), [422, 200], id="spaces around a length"),
        pytest.param(post(b"content-length: 005", body=b"hello"), [422, 200], id="a length with zeros in front"),
        pytest.param(post(b"TRANSFER-ENCODING: Chunked", body=chunked(b"hello")), [422, 200], id="chunks"),
        pytest.param(post(TE, body=b'5;a=b;c="d"\r\nhello\r\n0;z\r\n\r\n'), [422, 200], id="chunk extensions"),
        pytest.param(post(TE, body=chunked(*[b"h"] * 50)), [422, 200], id="the smallest chunks"),
        pytest.param(post(b"content-length: %d" % len(HIDDEN), body=HIDDEN), [422, 200], id="a request in a body"),
        pytest.param(post(TE, body=chunked(HIDDEN)), [422, 200], id="a request in a chunk"),
        pytest.param(post(TE, body=chunked(end=b"0\r\nx: y\r\n\r\n")), [422, 200], id="a trailer"),
        pytest.param(
            b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(HIDDEN), HIDDEN),
            [200, 200],
            id="a request in the body of a route that takes none",
        ),
        pytest.param(
            b"PUT /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(HIDDEN), HIDDEN),
            [405, 200],
            id="a request in the body of a method that is refused",
        ),
        pytest.param(b"\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", [200, 200], id="empty lines first"),
        pytest.param(b"GET http://evil/healthz HTTP/1.1\r\nhost: x\r\n\r\n", [200, 200], id="a whole URL"),
        pytest.param(
            b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
            b"http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
            [200, 200],
            id="an offer of HTTP/2, as Java's client makes it",
        ),
        pytest.param(
            post(b"connection: upgrade", b"upgrade: h2c", CL5, body=b"hello"), [422, 200], id="an offer with a body"
        ),
        pytest.param(
            post(b"connection: upgrade", b"upgrade: h2c", b"content-length: %d" % len(HIDDEN), body=HIDDEN),
            [422, 200],
            id="an offer with a request in its body",
        ),
        pytest.param(
            post(b"connection: upgrade", b"upgrade: h2c", TE, body=chunked(HIDDEN)) * 3,
            [422, 422, 422, 200],
            id="offers with a request in a chunk",
        ),
        pytest.param(
            b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n",
            [200],
            id="an offer that closes",
        ),
        pytest.param(b"GET  /healthz HTTP/1.1\r\nhost: x\r\n\r\n", [200, 200], id="two spaces"),
        pytest.param(b"GET /healthz\r\n\r\n", [200], id="HTTP/0.9 closes"),
        pytest.param(b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n", [200], id="HTTP/2.0 in the words of HTTP/1.1 closes"),
        pytest.param(b"GET /healthz HTTP/1.0\r\n\r\n", [200], id="HTTP/1.0 closes"),
        pytest.param(LAST, [200], id="what follows a request that closes is not answered"),
    ],
)
@pytest.mark.parametrize("cut", [at_once, byte_by_byte])
def test_what_is_clear_is_answered_once_and_the_next_request_as_well(
    process: PredictorProcess, raw: bytes, statuses: list[int], cut: Cut
) -> None:
    """Each answer belongs to its request."""
    assert [answer.status for answer in exchange(process, *cut(raw))] == statuses


def test_requests_sent_ahead_are_answered_in_their_order(process: PredictorProcess, basket: bytes) -> None:
    """Large ones, which are answered in a thread, before small ones."""
    large = b'{"instances": [' + b",".join([basket] * 100) + b"]}"
    requests = [
        post(b"x-request-id: %d" % number, b"content-length: %d" % len(body), body=body)
        for number, body in enumerate([large, basket, large, basket])
    ]

    answers = exchange(process, b"".join(requests))

    assert [answer.status for answer in answers] == [200] * 5
    assert [json.loads(answer.body)["request_id"] for answer in answers[:-1]] == ["0", "1", "2", "3"]


def test_requests_sent_far_ahead_end_the_connection_after_the_answers_that_are_owed(process: PredictorProcess) -> None:
    """A packet could hold thousands; what was accepted is answered, in order, then the connection ends."""
    answers = exchange(process, b"GET /healthz HTTP/1.1\r\n\r\n" * 500)

    assert 32 <= len(answers) <= 64
    assert {answer.status for answer in answers} == {200}


def test_answers_that_are_owed_arrive_though_the_client_goes_on_sending(process: PredictorProcess) -> None:
    """To close on bytes that nobody read would reset the connection, and what is under way would be lost."""
    with process.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 40)
        seen = 0
        while (answer := read_answer(answers)) is not None:
            assert answer.status == 200
            seen += 1
            connection.sendall(b"x" * 1000)
    assert seen >= 32


def test_nonsense_after_a_whole_request_does_not_cost_its_answer(process: PredictorProcess, basket: bytes) -> None:
    """The request came in full; only what follows is refused."""
    answers = exchange(process, post(b"content-length: %d" % len(basket), body=basket) + b"nonsense\r\n\r\n")

    assert [answer.status for answer in answers] == [200]


def test_a_body_that_goes_wrong_after_its_answer_gets_no_second_one(process: PredictorProcess) -> None:
    """405 comes before the body; a malformed chunk must not become the answer to the next request."""
    with process.connect() as connection, connection.makefile("rb") as file:
        connection.sendall(b"PUT /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        assert file.readline() == b"HTTP/1.1 405 Method Not Allowed\r\n"
        connection.sendall(b"zzz\r\n" + LAST)
        rest = file.read()

    assert b"HTTP/1.1" not in rest


@pytest.mark.parametrize("name", [b"x-request-id", b"X-Request-Id"], ids=["lower case", "as clients write it"])
def test_a_trailer_is_no_header(process: PredictorProcess, basket: bytes, name: bytes) -> None:
    """A proxy that checks headers may not look at trailers."""
    raw = post(TE, body=chunked(basket, end=b"0\r\n%s: from-a-trailer\r\n\r\n" % name))

    first, _ = exchange(process, raw)

    assert first.status == 200
    assert json.loads(first.body)["request_id"] != "from-a-trailer"


def test_a_host_does_not_come_back_in_a_redirect(process: PredictorProcess) -> None:
    """Routes end where they end: a slash more is another path, not a Location made of the client's Host."""
    first, _ = exchange(process, b"GET /model/ HTTP/1.1\r\nhost: evil.example\r\n\r\n")

    assert first.status == 404
    assert "location" not in first.headers
