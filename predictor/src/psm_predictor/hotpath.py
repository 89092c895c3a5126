"""POST /predict as bare ASGI, dispatched ahead of FastAPI's middleware and router.

Translates HTTP to `Answerer.answer` and errors to statuses, nothing else. One table maps errors to answers: RequestError
carries its status; whatever else escapes is our bug, logged by the server and answered with 500.
"""

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol

import msgspec

from psm_predictor.answer import Answerer
from psm_predictor.errors import RequestError
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.settings import RequestLimits
from psm_predictor.telemetry import PREDICT, Recorder

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_OFFLOAD_BYTES: Final = 32 * 1024
"""Bodies above this (some 50 instances, half a millisecond) are answered in a thread, so that probes never wait."""

_CLIENT_GONE: Final = 499
_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_RETRY_AFTER: Final = (b"retry-after", b"1")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_BUFFERED_BODIES: Final = 16
"""Bodies that come in pieces may fill this many times the largest body, 32 MiB, whatever the in-flight limit allows."""

_DISCARD_FACTOR: Final = 16
"""A refused body is read on up to 16 times its limit, so that a client that does not stop sees the answer."""


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


class _ClientGoneError(Exception):
    """The client closed the connection before it had sent its request."""


class PredictRoute:
    """The route; `answerers` is None until the model is loaded."""

    def __init__(self, lifecycle: Lifecycle, limits: RequestLimits, recorder: Recorder, in_flight: InFlight) -> None:
        self.answerers: Answerers | None = None
        self._lifecycle = lifecycle
        self._limits = limits
        self._recorder = recorder
        self._in_flight = in_flight
        self._buffered_bytes = 0
        self._batch_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch")
        self._id_prefix = secrets.token_hex(6)
        self._ids = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the ASGI entry point."""
        started = perf_counter()
        status = 500  # what the server answers when something escapes from here
        try:
            status = await self._respond(scope, receive, send)
        finally:
            self._in_flight.leave()
            self._recorder.in_flight(self._in_flight.count())
            self._recorder.request(PREDICT, status, perf_counter() - started)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> int:
        headers: Headers = scope["headers"]
        request_id = self._request_id(headers)
        try:
            answerers = self._admit(scope["method"], headers)
            body = await self._body(receive)
            if len(body) > _OFFLOAD_BYTES:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._batch_thread, answerers.batch.answer, body, request_id)
            else:
                answer = answerers.inline.answer(body, request_id)
        except RequestError as err:
            return await self._refuse(err, request_id, headers, receive, send)
        except _ClientGoneError:
            return _CLIENT_GONE
        answer_headers = [_JSON, (b"content-length", b"%d" % len(answer))]
        if self._lifecycle.draining:
            answer_headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
        await send({"type": "http.response.body", "body": answer})
        return 200

    def _admit(self, method: str, headers: Headers) -> Answerers:
        """What can be refused before the body is read."""
        if method != "POST":
            raise RequestError(405, "POST a basket to /predict; GET /docs shows how", "")
        if self.answerers is None:
            raise RequestError(503, f"not ready: {self._lifecycle.waiting_for}", "not_ready")
        waiting = self._in_flight.count()
        if waiting > self._limits.in_flight:
            message = f"{waiting} requests are waiting, the limit is {self._limits.in_flight}; try again"
            raise RequestError(503, message, "in_flight")
        for name, value in headers:
            if name == b"content-length" and int(value) > self._limits.body_bytes:
                raise self._too_large(int(value))
        return self.answerers

    async def _body(self, receive: Receive) -> bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        body: bytes = message["body"]
        if message["more_body"]:
            body = await self._rest_of_body(body, receive)
        if len(body) > self._limits.body_bytes:
            raise self._too_large(len(body))
        return body

    async def _rest_of_body(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        more = True
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while more and size <= self._limits.body_bytes:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGoneError
                    part: bytes = message["body"]
                    parts.append(part)
                    size += len(part)
                    self._buffered_bytes += len(part)
                    if self._buffered_bytes > self._limits.body_bytes * _BUFFERED_BODIES:
                        raise RequestError(503, "too many large bodies are under way; try again", "in_flight")
                    more = message["more_body"]
        except TimeoutError as err:
            text = f"{size} bytes came within {self._limits.body_timeout_s:g} s, and the body is not complete"
            raise RequestError(408, text, "slow_body") from err
        finally:
            self._buffered_bytes -= size - len(first)
        return b"".join(parts)

    def _too_large(self, size: int) -> RequestError:
        limit = self._limits.body_bytes
        return RequestError(
            413, f"the body has {size} bytes or more, the limit is {limit}; send less", "body_too_large"
        )

    async def _refuse(self, err: RequestError, request_id: str, headers: Headers, receive: Receive, send: Send) -> int:
        if err.kind:
            self._recorder.rejected(err.kind)
        body = msgspec.json.encode({"detail": err.detail})
        answer_headers = [
            _JSON,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
        ]
        if err.status == 503:  # noqa: PLR2004  # the code is the clearest name
            answer_headers.append(_RETRY_AFTER)
        if err.status == 405:  # noqa: PLR2004  # the code is the clearest name
            answer_headers.append((b"allow", b"POST"))
        if err.status in (408, 413):
            answer_headers.append(_CLOSE)
            if err.status == 413 and (b"expect", b"100-continue") not in headers:  # noqa: PLR2004
                await self._discard(receive)
        elif self._lifecycle.draining:
            answer_headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": err.status, "headers": answer_headers})
        await send({"type": "http.response.body", "body": body})
        return err.status

    async def _discard(self, receive: Receive) -> None:
        """Reads on for a while: closing on a client that still writes would cost it the answer."""
        left = self._limits.body_bytes * _DISCARD_FACTOR
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while left > 0:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message["more_body"]:
                        return
                    left -= len(message["body"])
        except TimeoutError:
            return

    def _request_id(self, headers: Headers) -> str:
        """The client's X-Request-Id if it is a sane one, else a new one, unique among all processes."""
        for name, value in headers:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return value.decode()
        return f"{self._id_prefix}-{next(self._ids)}"
