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

from psm_predictor.answer import Answerer, Dialect, Head
from psm_predictor.asgi import Receive, Scope, Send
from psm_predictor.body import BodyReader, ClientGoneError
from psm_predictor.errors import RequestError
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.settings import RequestLimits
from psm_predictor.telemetry import Recorder

_OFFLOAD_BYTES: Final = 32 * 1024
"""Bodies above this (some 50 instances, half a millisecond) are answered in a thread, so that probes never wait."""

_CLIENT_GONE: Final = 499
_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_HEADERS_BY_STATUS: Final = {
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


class HotRoute:
    """Answers predictions in every dialect; `answerers` is None until the model is loaded."""

    def __init__(self, lifecycle: Lifecycle, limits: RequestLimits, recorder: Recorder, in_flight: InFlight) -> None:
        self.answerers: Answerers | None = None
        self._lifecycle = lifecycle
        self._most_in_flight = limits.in_flight
        self._bodies = BodyReader(limits)
        self._recorder = recorder
        self._in_flight = in_flight
        self._batch_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch")
        self._id_prefix = secrets.token_hex(6)
        self._ids = itertools.count(1)

    async def __call__(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request and counts it."""
        started = perf_counter()
        status = 500  # what the server answers when something escapes from here
        try:
            status = await self._respond(dialect, scope, receive, send)
        finally:
            self._in_flight.leave()
            self._recorder.in_flight(self._in_flight.count())
            self._recorder.request(dialect.route, status, perf_counter() - started)

    async def _respond(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> int:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        head = Head(self._request_id(headers), headers)
        try:
            answerers = self._admit(dialect, scope["method"], headers)
            body = await self._bodies.read(receive)
            if len(body) > _OFFLOAD_BYTES:
                loop = asyncio.get_running_loop()
                reply = await loop.run_in_executor(self._batch_thread, answerers.batch.answer, dialect, body, head)
            else:
                reply = answerers.inline.answer(dialect, body, head)
        except RequestError as err:
            return await self._refuse(err, dialect, head, receive, send)
        except ClientGoneError:
            return _CLIENT_GONE
        answer_headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        if self._lifecycle.draining:
            answer_headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
        await send({"type": "http.response.body", "body": reply.body})
        return 200

    def _admit(self, dialect: Dialect, method: str, headers: Mapping[bytes, bytes]) -> Answerers:
        """What can be refused before the body is read."""
        if method != "POST":
            raise RequestError(405, dialect.hint, "")
        if self.answerers is None:
            raise RequestError(503, f"not ready: {self._lifecycle.waiting_for}", "not_ready")
        waiting = self._in_flight.count()
        if waiting > self._most_in_flight:
            message = f"{waiting} requests are waiting, the limit is {self._most_in_flight}; try again"
            raise RequestError(503, message, "in_flight")
        self._bodies.admit(headers)
        return self.answerers

    async def _refuse(self, err: RequestError, dialect: Dialect, head: Head, receive: Receive, send: Send) -> int:
        if err.kind:
            self._recorder.rejected(err.kind)
        body = dialect.refusal(err)
        headers = [
            _JSON,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", head.request_id.encode()),
        ]
        if extra := _HEADERS_BY_STATUS.get(err.status):
            headers.append(extra)
        if self._lifecycle.draining and _CLOSE not in headers:
            headers.append(_CLOSE)
        if err.status == 413 and head.headers.get(b"expect") != b"100-continue":  # noqa: PLR2004  # the code is the clearest name
            await self._bodies.discard(receive)
        await send({"type": "http.response.start", "status": err.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return err.status

    def _request_id(self, headers: Mapping[bytes, bytes]) -> str:
        """The client's X-Request-Id if it is a sane one, else a new one, unique among all processes."""
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode()
        return f"{self._id_prefix}-{next(self._ids)}"
