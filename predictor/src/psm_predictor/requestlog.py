"""One log line, and one span where traces are collected, for a request that was answered; never what its body said.

Called at the end of a request by `hotpath` and `app`, and only if `wants` says so: a line costs more than a prediction.
"""

import logging
import re
import secrets
import time
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from psm_predictor.asgi import Header
from psm_predictor.settings import AccessLogging

_LOG: Final = logging.getLogger("psm_predictor.access")
_ERRORS: Final = 400
_SERVER_ERROR: Final = 500
_MOST_ERRORS_PER_S: Final = 20
"""Lines a second about refused and failed requests; a flood of them must not become a flood of logs."""

_QUIET: Final = frozenset({"/readyz", "/v2/health/ready", "/ping"})
"""503 is what these routes are there to say."""

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION: Final = b"00"
_NO_VERSION: Final = b"ff"


@dataclass(frozen=True, slots=True)
class Trace:
    """This request's place in a trace, in the words of W3C Trace Context.

    Attributes:
        trace_id: 32 hex digits, the caller's if it sent a valid traceparent.
        span_id: 16 hex digits, this request's own.
        parent_id: The caller's span; empty if it sent none.
        is_sampled: Whether the caller records the trace.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    is_sampled: bool = False

    @property
    def traceparent(self) -> str:
        """What we would send on."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


def trace_of(headers: Iterable[Header]) -> Trace:
    """The caller's trace if it sent exactly one valid traceparent, else a new one."""
    sent = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(sent[0]) if len(sent) == 1 else None
    span_id = secrets.token_hex(8)
    if match is None:
        return Trace(secrets.token_hex(16), span_id)
    version, trace_id, parent_id, flags, more = match.groups()
    is_known = version != _NO_VERSION and (version != _VERSION or more is None)
    if not is_known or not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return Trace(secrets.token_hex(16), span_id)
    return Trace(trace_id.decode(), span_id, parent_id.decode(), is_sampled=bool(int(flags, 16) & 1))


@dataclass(frozen=True, slots=True)
class Finished:
    """An answered request.

    Attributes:
        method: Of HTTP.
        route: One of telemetry.ROUTES, never the path as it was sent.
        status: Of HTTP; 499 if the client went away.
        seconds: From its first byte handled to its last byte sent.
        request_id: By which the client knows the answer; empty for routes that name none.
        bytes_in: Of its body; 0 if it was refused.
        bytes_out: Of the answer's body.
    """

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    bytes_in: int
    bytes_out: int


class Spans(Protocol):
    """Where spans go; `tracing.OpenTelemetrySpans` is one."""

    def record(self, request: Finished, trace: Trace) -> None:
        """Records the request as a span at its place in the trace."""

    def close(self) -> None:
        """Sends what waits."""


class RequestLog:
    """Writes the lines that the setting asks for."""

    def __init__(self, mode: AccessLogging, spans: Spans | None = None) -> None:
        self._least = {"off": 1000, "errors": _ERRORS, "all": 0}[mode]
        self._is_limited = mode == "errors"
        self._spans = spans
        self._second = 0
        self._lines = 0
        self._left_out = 0
        _LOG.setLevel(logging.INFO)  # PSM_ACCESS_LOG decides, not PSM_LOG_LEVEL

    def wants(self, status: int) -> bool:
        """Whether `finished` would do anything."""
        return status >= self._least or self._spans is not None

    def finished(self, request: Finished, trace: Trace) -> None:
        """Records a request."""
        if self._spans is not None:
            self._spans.record(request, trace)
        if request.status < self._least or not self._may_write(request):
            return
        fields: MutableMapping[str, Any] = {
            "method": request.method,
            "route": request.route,
            "status": request.status,
            "duration_ms": round(request.seconds * 1000, 3),
            "bytes_in": request.bytes_in,
            "bytes_out": request.bytes_out,
            "request_id": request.request_id,
            "traceparent": trace.traceparent,
        }
        if trace.parent_id:
            fields["parent_id"] = trace.parent_id
        if self._left_out:
            fields["lines_left_out"] = self._left_out
            self._left_out = 0
        _LOG.log(logging.ERROR if request.status == _SERVER_ERROR else logging.INFO, "request", extra=fields)

    def close(self) -> None:
        """Sends spans that wait."""
        if self._spans is not None:
            self._spans.close()

    def _may_write(self, request: Finished) -> bool:
        if not self._is_limited:
            return True
        if request.route in _QUIET:
            return False
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= _MOST_ERRORS_PER_S:
            return True
        self._left_out += 1
        return False
