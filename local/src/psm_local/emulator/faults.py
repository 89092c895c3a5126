"""Faults on demand and a log of calls, in front of the emulator (WSGI middleware).

PUT /__faults    {"throttle_rps": 5, "error_rate": {"DescribeModelPackage": 0.5}, "latency_ms": 200,
                  "stale_list": true, "outage": false, "refused": {"AssumeRole": "AccessDenied"},
                  "naming": "price-"}; an empty object heals everything
GET /__calls     {"DescribeModelPackage": 12, "S3.GET": 3, …}; DELETE forgets them and what was missing
GET /__asked     ["s3:GetBucketAcl", "sagemaker:CreateModelPackage", …]: services and operations since the calls were forgotten
GET /__missing   operations that were asked for and that the emulator lacks
GET /__health    204
"""

import io
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from werkzeug.wrappers import Request, Response

from psm_local.emulator.asked import asked

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_JSON = "application/x-amz-json-1.1"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Faults:
    """What goes wrong on purpose."""

    throttle_rps: float | None = None
    """Requests per second that pass; the others get ThrottlingException."""
    error_rate: dict[str, float] = field(default_factory=dict)
    """Operation (or `*`) -> share of its calls that fail with InternalFailure, evenly spread: 0.5 is every second."""
    latency_ms: float = 0.0
    stale_list: bool = False
    """List operations answer what they answered before (or first) while this holds."""
    outage: bool = False
    """Every call fails with ServiceUnavailable."""
    refused: dict[str, str] = field(default_factory=dict)
    """Operation (or `*`) -> error code that all its calls get, as 403 if it begins with AccessDenied, else as 400."""
    naming: str = ""
    """Only calls whose body has this text in it, such as a group's name, meet these faults; empty: every call."""


class FaultyApp:
    """An application with faults, a count of calls and a list of missing operations."""

    def __init__(self, app: WsgiApp) -> None:
        """Wrap `app`; healthy at first."""
        self._app = app
        self._lock = threading.Lock()
        self._faults = Faults()
        self._calls: Counter[str] = Counter()
        self._missing: set[str] = set()
        self._asked: set[str] = set()
        self._passed: deque[float] = deque()
        self._listed: dict[tuple[str, bytes], tuple[int, list[tuple[str, str]], bytes]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if request.path.startswith("/__"):
            return self._control(request)(environ, start_response)
        operation = _operation_of(request)
        if not operation:
            return self._pass_on(request)(environ, start_response)
        body = request.get_data()
        self._note(environ, body)
        with self._lock:
            self._calls[operation] += 1
            faults = self._faults if self._faults.naming.encode() in body else Faults()
            fault = self._fault(operation, faults, is_query=request.mimetype == _FORM)
        if faults.latency_ms:
            time.sleep(faults.latency_ms / 1000)
        answer = fault or self._answer(operation, request, faults)
        return answer(environ, start_response)

    def _pass_on(self, request: Request) -> WsgiApp:
        """What is no operation by name; S3's requests are counted by method."""
        self._note(request.environ)
        if "X-Amz-Content-Sha256" in request.headers:
            with self._lock:
                self._calls[f"S3.{request.method}"] += 1
        return self._app

    def _note(self, environ: dict[str, Any], body: bytes | None = None) -> None:
        if (operation := asked(environ, body)) is not None:
            with self._lock:
                self._asked.add(operation)

    def _control(self, request: Request) -> Response:
        with self._lock:
            match request.method, request.path:
                case "GET", "/__health":
                    return Response(status=204)
                case "GET", "/__calls":
                    return Response(json.dumps(self._calls), mimetype="application/json")
                case "DELETE", "/__calls":
                    self._calls.clear()
                    self._missing.clear()
                    self._asked.clear()
                    return Response(status=204)
                case "GET", "/__asked" | "/__missing" as path:
                    found = self._asked if path == "/__asked" else self._missing
                    return Response(json.dumps(sorted(found)), mimetype="application/json")
                case "PUT", "/__faults":
                    return self._set_faults(request)
        return Response(f"no {request.method} {request.path}\n", status=404)

    def _set_faults(self, request: Request) -> Response:
        try:
            self._faults = Faults(**json.loads(request.get_data() or b"{}"))
        except (TypeError, ValueError) as err:
            return Response(f"{err}\n", status=400)
        self._passed.clear()
        if not self._faults.stale_list:
            self._listed.clear()
        return Response(status=204)

    def _fault(self, operation: str, faults: Faults, *, is_query: bool) -> Response | None:
        """Return the answer that a fault dictates; None lets the call through. Called with the lock held."""
        if faults.outage:
            return _error(503, "ServiceUnavailable", "The service is unavailable (fault on demand)", is_query=is_query)
        if faults.throttle_rps is not None and self._is_throttled(faults.throttle_rps):
            return _error(400, "ThrottlingException", "Rate exceeded", is_query=is_query)
        if (code := faults.refused.get(operation, faults.refused.get("*"))) is not None:
            status = 403 if code.startswith("AccessDenied") else 400
            return _error(status, code, f"{operation} is refused (fault on demand)", is_query=is_query)
        rate = faults.error_rate.get(operation, faults.error_rate.get("*", 0.0))
        count = self._calls[operation]
        if int(count * rate) > int((count - 1) * rate):
            return _error(500, "InternalFailure", "Internal failure (fault on demand)", is_query=is_query)
        return None

    def _is_throttled(self, per_second: float) -> bool:
        now = time.monotonic()
        while self._passed and now - self._passed[0] >= 1.0:
            self._passed.popleft()
        if len(self._passed) >= per_second:
            return True
        self._passed.append(now)
        return False

    def _answer(self, operation: str, request: Request, faults: Faults) -> Response:
        is_list = operation.startswith("List")
        body = request.get_data()
        request.environ["wsgi.input"] = io.BytesIO(body)  # it was read; the application reads it again
        key = (operation, body)
        if is_list and faults.stale_list and key in self._listed:
            status, headers, content = self._listed[key]
            return Response(content, status=status, headers=headers)
        try:
            answer = Response.from_app(self._app, request.environ)
        except NotImplementedError:
            return self._missing_action(operation)
        if is_list:
            self._listed[key] = (answer.status_code, list(answer.headers), answer.get_data())
        return answer

    def _missing_action(self, operation: str) -> Response:
        """Say plainly what moto's server answers with an HTML page: 501 is not retried, so the caller sees it at once."""
        self._missing.add(operation)
        print(f"MISSING ACTION {operation}: the emulator does not have it", file=sys.stderr, flush=True)  # noqa: T201
        return _error(501, "EmulatorLacksAction", f"the emulator does not have {operation}")


def _operation_of(request: Request) -> str:
    """What a request asks for, in the JSON and in the query protocol; empty for REST, which S3 speaks."""
    target: str = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if target or request.mimetype != _FORM:
        return target
    request.get_data(cache=True, parse_form_data=False)
    actions: list[str] = parse_qs(request.get_data().decode(errors="replace")).get("Action", [""])
    return actions[0]


def _error(status: int, code: str, message: str, *, is_query: bool = False) -> Response:
    headers = {"x-amzn-RequestId": "fault", "x-amzn-ErrorType": code}
    if is_query:
        text = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<ErrorResponse>{text}<RequestId>fault</RequestId></ErrorResponse>"
        return Response(body, status=status, mimetype="text/xml", headers=headers)
    body = json.dumps({"__type": code, "message": message})
    return Response(body, status=status, mimetype=_JSON, headers=headers)
