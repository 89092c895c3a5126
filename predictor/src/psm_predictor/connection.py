"""One HTTP/1.1 connection: uvicorn's, with the limits that uvicorn leaves to a proxy in front of it.

uvicorn's httptools protocol has a timer for idle connections and nothing else: a request's head may take for ever and
have any size, trailers become headers, requests sent ahead queue without bound, a client that never reads its answers
keeps them, a second answer follows an early one when the rest of its body is malformed. Each has its rule here.

Made by `protocol_class`, which `server` gives to uvicorn; `close_late` is called about once a second.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from psm_predictor.settings import ConnectionLimits

_FRAMING: Final = 8
"""Bytes of chunk framing allowed for each byte of body; the smallest chunks, of one byte, have five."""

_MOST_AHEAD: Final = 32
"""Requests that may wait behind one that is being answered; a read of 256 KB could hold 14,000, 5 KB each in memory."""

_EVICTED_SHARE: Final = 16
"""The longest idle sixteenth goes when there are too many connections, so that looking for it stays rare."""

_LINGER_S: Final = 2.0
"""For a client that is still sending to take the answers that it is owed."""

_MALFORMED: Final = 400
_TOO_LARGE: Final = 431


class _RefusedError(Exception):
    """Ends the parsing from within a callback; httptools turns it into its own error."""


class _HalfClosing:
    """A transport whose `close` ends our side alone, for a client that is still sending.

    To close on bytes that nobody read resets the connection, which costs the client the answers under way (RFC 9112 9.6).
    The rest goes when the client closes its side, or after _LINGER_S.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        """Write what is left, then end our side."""
        if not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every connection of a process.

    Attributes:
        limits: Of one connection, and of their number.
        body_timeout_s: Of the routes; the connection waits longer than they do.
        count: Takes one of telemetry.REJECTIONS for each connection that is ended.
    """

    limits: ConnectionLimits
    body_timeout_s: float
    count: Callable[[str], None]


class GuardedProtocol(HttpToolsProtocol):
    """A connection; its class carries the rules, see `protocol_class`."""

    rules: ClassVar[Rules]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True  # what comes next is a request's head, not its body
        self._loose_bytes = 0  # received for the present head, or as framing of the present body
        self._read_bytes = 0  # by the last read; a head that began in its middle is not among the loose ones
        self._since = self.loop.time()  # the last look that found something changed
        self._seen: tuple[object, ...] = ()
        self._is_deaf = False  # what still comes is ignored
        self._refusal = (_MALFORMED, "malformed")
        self._unread_since: float | None = None
        self._unread: RequestResponseCycle | None = None  # whose answer was not taken in full at the last look
        self._answered: RequestResponseCycle | None = None  # being answered, or the last one that was

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows the type as we would
        if len(self.connections) > self.rules.limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was cut off."""
        # uvicorn tells only the newest request; one that is being answered would write on, and fail
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._is_deaf:
            return
        self._unset_keepalive_if_required()
        self._read_bytes = len(data)
        self._loose_bytes += self._read_bytes
        try:
            while data:
                data = self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._loose_bytes > self.rules.limits.header_bytes:
            self._refusal = (_TOO_LARGE, "headers_too_large")
            self.send_400_response("Request header fields are too large.")

    def _parse(self, data: bytes) -> bytes:
        """Parses all, or up to the end of a head that asks for another protocol; what is to be parsed after that."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # RFC 9110 7.8 lets a server ignore the wish, but the parser takes no body after such a head, so that the
            # body would be the next request: the head is parsed again without the wish (Java's client sends it)
            end: int = upgrade.args[0]
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            return head + data[end:]
        return b""

    def _head_without_upgrade(self) -> bytes:
        line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([line, *fields, b"", b""])

    # what the parser calls

    def on_headers_complete(self) -> None:
        """The head is complete: the request begins to be answered, or waits behind others."""
        limit = self.rules.limits.header_bytes
        if (self._loose_bytes > limit or self._read_bytes > limit) and self._head_bytes() > limit:
            self._refusal = (_TOO_LARGE, "headers_too_large")
            raise _RefusedError
        if len(self.pipeline) >= _MOST_AHEAD:
            self._refusal = (_MALFORMED, "pipelined")
            raise _RefusedError
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _RefusedError  # asks for a tunnel whatever its headers say
            return  # see _parse
        HttpToolsProtocol.on_headers_complete(self)  # these four for every request: super() takes twice as long
        self.headers = []  # trailers go there, and nowhere else
        self._in_head = False
        self._loose_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._loose_bytes -= len(body) * (1 + _FRAMING)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if self._in_head:
            return  # of one whose head is parsed again
        self._in_head = True
        self._loose_bytes = 0
        HttpToolsProtocol.on_message_complete(self)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    # answers

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        HttpToolsProtocol._start_asgi_task(self, cycle, app)  # noqa: SLF001  # the base class

    def send_400_response(self, msg: str) -> None:
        """Ends a connection whose bytes make no sense or are too many: never a second answer, never one out of turn."""
        status, kind = self._refusal
        self.rules.count(kind)
        self._is_deaf = True
        cycle = self.cycle
        if self._in_head:
            if cycle is None or cycle.response_complete:
                self._answer(status, msg)
            else:  # what was asked before came in full: it is answered, the last answer closes
                cycle.keep_alive = False
                cycle.transport = cast(asyncio.Transport, _HalfClosing(self.transport))
        elif self.pipeline or cycle.response_started:
            self.transport.close()
        else:
            cycle.disconnected = True  # whoever waits for the body learns that it will not come
            cycle.message_event.set()
            self._answer(status, msg)

    def _answer(self, status: int, text: str) -> None:
        head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(text)
        self.transport.write(STATUS_LINE[status] + head + text.encode())
        self.transport.close()

    # limits that only time shows

    @property
    def _is_idle(self) -> bool:
        """Nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def close_if_late(self, now: float) -> None:
        """Ends the connection if the client takes too long to ask, or to take its answers."""
        if self.transport.get_write_buffer_size():
            self._abort_if_unread(now)
            return
        self._unread_since = None
        if self._is_deaf or self.transport.is_closing():
            return
        seen = (self.cycle, self._in_head, self._is_idle, self._loose_bytes > 0)
        if seen != self._seen:
            self._seen, self._since = seen, now
        age_s = now - self._since
        if not self._in_head:
            # the routes answer 408; twice and a second leaves them the time to do it, and to discard the rest
            if age_s > self.rules.limits.header_timeout_s + 2 * self.rules.body_timeout_s + 1:
                self._close_late("slow_body")
        elif self._loose_bytes or self.cycle is None:
            if age_s > self.rules.limits.header_timeout_s:
                self._close_late("slow_headers")
        elif self._is_idle and age_s > self.timeout_keep_alive + 1:  # uvicorn's timer; an empty line stops it
            self.transport.close()

    def _abort_if_unread(self, now: float) -> None:
        if self._unread_since is None or self._unread is not self._answered:
            self._unread_since, self._unread = now, self._answered  # a later answer: those before it were taken
        if now - self._unread_since > self.rules.limits.send_timeout_s:
            self.rules.count("slow_reader")
            self.transport.abort()

    def _close_late(self, kind: str) -> None:
        if self.cycle is not None:  # not a connection that was opened and never used
            self.rules.count(kind)
        self._is_deaf = True
        if self._in_head and not self._is_idle:
            self.cycle.keep_alive = False  # the request before is still being answered
        else:
            self.transport.close()

    def _make_room(self) -> None:
        """Closes the longest idle connections, or this new one if none is idle."""
        everybody = cast(set[GuardedProtocol], self.connections)
        still_open = [other for other in everybody if not other.transport.is_closing()]
        if len(still_open) <= self.rules.limits.connections:
            return
        idle = [other for other in still_open if other._is_idle and other is not self]  # noqa: SLF001  # the same class
        idle.sort(key=lambda other: other._since)  # noqa: SLF001  # the same class
        for other in idle[: 1 + len(still_open) // _EVICTED_SHARE] or [self]:
            self.rules.count("connections")
            other.transport.abort()


def protocol_class(rules: Rules) -> type[GuardedProtocol]:
    """The class that uvicorn makes connections of."""
    made: type[GuardedProtocol] = type("Connection", (GuardedProtocol,), {"rules": rules})
    return made


def close_late(connections: Iterable[Any], now: float) -> None:
    """Ends the connections whose clients take too long; `now` is the event loop's time."""
    for connection in tuple(connections):
        connection.close_if_late(now)
