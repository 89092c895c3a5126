"""The hot routes as bare ASGI, dispatched ahead of FastAPI's middleware and router.

Translates HTTP to `Answerer.answer` and errors to statuses, nothing else: head -> admitted -> body -> answer -> sent.
What differs between protocols is in `dialects`. One table maps errors to answers: RequestError carries its status;
whatever else escapes is our bug, logged by the server and answered with 500.
"""

import asyncio
import itertools
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

import msgspec

from psm_predictor.answer import Answerer, Dialect, Head, Reply
from psm_predictor.asgi import Receive, Scope, Send
from psm_predictor.body import BodyReader, ClientGoneError
from psm_predictor.errors import RequestError
from psm_predictor.guard import Guard
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.requestlog import Finished, RequestLog, Trace, trace_of
from psm_predictor.settings import RequestLimits
from psm_predictor.telemetry import ROUTES, Recorder

_OFFLOAD_BYTES: Final = 32 * 1024
"""Larger bodies (20 baskets named in full) are answered in a thread, so that probes never wait and sockets are read.

Answered here, bodies of 100 baskets cost a sixth less CPU, but meanwhile nobody empties the other sockets: their buffers
overflow, and clients wait for TCP's timers, seconds at worst with 64 connections.
"""

_MOST_SLOW: Final = 4
"""Requests of dialects that take long, under way and waiting: each may hold the batch thread for seconds."""

_CLIENT_GONE: Final = 499
_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_HEADERS_BY_STATUS: Final = {
    401: (b"www-authenticate", b"Bearer"),
    405: (b"allow", b"POST"),
    408: _CLOSE,
    413: _CLOSE,
    503: (b"retry-after", b"1"),
}


@dataclass(frozen=True, slots=True)
class Answerers:
    """One answerer for the event loop, one for the batch thread; they share the model, not their buffers."""

    inline: Answerer
    batch: Answerer


class InFlight(Protocol):
    """Requests that wait or are being answered."""

    def count(self) -> int:
        """How many, this one included."""

    def leave(self) -> None:
        """This one is answered."""


class Outcome(msgspec.Struct, gc=False):
    """What became of a request; the defaults are what the server answers when something escapes from here."""

    status: int = 500
    request_id: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    trace: Trace | None = None


_ESCAPED: Final = Outcome()


class HotRoute:
    """Answers predictions in every dialect; `answerers` is None until the model is loaded."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        limits: RequestLimits,
        recorder: Recorder,
        in_flight: InFlight,
        *,
        guard: Guard | None,
        log: RequestLog,
    ) -> None:
        self.answerers: Answerers | None = None
        self._lifecycle = lifecycle
        self._most_in_flight = limits.in_flight
        self._bodies = BodyReader(limits)
        self._recorder = recorder
        self._in_flight = in_flight
        self._guard = guard
        self._log = log
        self._batch_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch")
        self._slow = 0
        self._id_prefix = secrets.token_hex(6)
        self._ids = itertools.count(1)

    async def __call__(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request and counts it."""
        started = perf_counter()
        outcome = _ESCAPED
        try:
            outcome = await self._respond(dialect, scope, receive, send)
        finally:
            seconds = perf_counter() - started
            self.leave()
            self._recorder.request(dialect.route, outcome.status, seconds)
            if self._log.wants(outcome.status):
                self._log_request(dialect, scope, outcome, seconds)

    def leave(self) -> None:
        """The request that runs now, hot or cold, is answered."""
        self._in_flight.leave()
        self._recorder.in_flight(self._in_flight.count())

    async def _respond(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> Outcome:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        head = Head(self._request_id(headers), headers)
        try:
            answerers = self._admit(dialect, scope, headers)
            body = await self._bodies.read(receive)
            if len(body) > _OFFLOAD_BYTES or dialect.in_thread:
                reply = await self._answer_in_thread(answerers, dialect, body, head)
            else:
                reply = answerers.inline.answer(dialect, body, head)
        except RequestError as err:
            return await self._refuse(err, dialect, head, scope, receive=receive, send=send)
        except ClientGoneError:
            return Outcome(_CLIENT_GONE, head.request_id)
        answer_headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        if self._lifecycle.draining:
            answer_headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
        await send({"type": "http.response.body", "body": reply.body})
        return Outcome(200, head.request_id, len(body), len(reply.body))

    async def _answer_in_thread(self, answerers: Answerers, dialect: Dialect, body: bytes, head: Head) -> Reply:
        """The answer from the batch thread, where few may wait for what takes long."""
        if dialect.in_thread and self._slow >= _MOST_SLOW:
            raise RequestError(503, f"{self._slow} requests that take long are waiting; try again", "in_flight")
        self._slow += dialect.in_thread
        try:
            with self._bodies.held(len(body)):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._batch_thread, answerers.batch.answer, dialect, body, head)
        finally:
            self._slow -= dialect.in_thread

    def _admit(self, dialect: Dialect, scope: Scope, headers: Mapping[bytes, bytes]) -> Answerers:
        """What can be refused before the body is read."""
        if self._guard is not None and (refusal := self._guard.admit(scope)) is not None:
            raise refusal
        if scope["method"] != "POST":
            raise RequestError(405, dialect.hint, "")
        if self.answerers is None:
            raise RequestError(503, f"not ready: {self._lifecycle.waiting_for}", "not_ready")
        waiting = self._in_flight.count()
        if waiting > self._most_in_flight:
            message = f"{waiting} requests are waiting, the limit is {self._most_in_flight}; try again"
            raise RequestError(503, message, "in_flight")
        self._bodies.admit(headers)
        return self.answerers

    async def _refuse(
        self, err: RequestError, dialect: Dialect, head: Head, scope: Scope, *, receive: Receive, send: Send
    ) -> Outcome:
        if err.kind:
            self._recorder.rejected(err.kind)
        body = dialect.refusal(err)
        trace = trace_of(scope["headers"])
        headers = [
            _JSON,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", head.request_id.encode()),
            (b"traceparent", trace.traceparent.encode()),
        ]
        if extra := _HEADERS_BY_STATUS.get(err.status):
            headers.append(extra)
        if self._lifecycle.draining and _CLOSE not in headers:
            headers.append(_CLOSE)
        if err.status == 413 and head.headers.get(b"expect") != b"100-continue":  # noqa: PLR2004  # the code is the clearest name
            await self._bodies.discard(receive)
        await send({"type": "http.response.start", "status": err.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return Outcome(err.status, head.request_id, 0, len(body), trace)

    def _log_request(self, dialect: Dialect, scope: Scope, outcome: Outcome, seconds: float) -> None:
        finished = Finished(
            method=scope["method"],
            route=ROUTES[dialect.route],
            status=outcome.status,
            seconds=seconds,
            request_id=outcome.request_id,
            bytes_in=outcome.bytes_in,
            bytes_out=outcome.bytes_out,
        )
        self._log.finished(finished, outcome.trace or trace_of(scope["headers"]))

    def _request_id(self, headers: Mapping[bytes, bytes]) -> str:
        """The client's X-Request-Id if it is a sane one, else a new one, unique among all processes."""
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode()
        return f"{self._id_prefix}-{next(self._ids)}"
