import logging
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from psm_predictor.requestlog import Finished, RequestLog, Trace, trace_of
from psm_predictor.settings import AccessLogging, PackageRef
from psm_predictor.tracing import OpenTelemetrySpans

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
REQUEST = Finished(
    method="POST", route="/predict", status=200, seconds=0.0012345, request_id="r-1", bytes_in=10, bytes_out=20
)
WRITTEN = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]")


def headers(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"traceparent", value.encode("latin-1")) for value in values]


@pytest.mark.parametrize(
    ("sent", "is_sampled"),
    [
        pytest.param(f"00-{TRACE}-{PARENT}-01", True, id="sampled"),
        pytest.param(f"00-{TRACE}-{PARENT}-00", False, id="not sampled"),
        pytest.param(f"00-{TRACE}-{PARENT}-ff", True, id="flags of a later level"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01", True, id="a later version"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01-what-is-to-come", True, id="a later version that says more"),
    ],
)
def test_a_valid_traceparent_is_passed_on(sent: str, is_sampled: bool) -> None:  # noqa: FBT001  # a table's column
    """The trace and its sampling are the caller's, the span is ours, the version the one we write."""
    trace = trace_of(headers(sent))

    assert (trace.trace_id, trace.parent_id, trace.is_sampled) == (TRACE, PARENT, is_sampled)
    assert trace.traceparent == f"00-{TRACE}-{trace.span_id}-{int(is_sampled):02x}"
    assert trace.span_id != PARENT


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([], id="none"),
        pytest.param([f"00-{TRACE}-{PARENT}-01"] * 2, id="two"),
        pytest.param([f"ff-{TRACE}-{PARENT}-01"], id="the version that is none"),
        pytest.param([f"00-{TRACE}-{PARENT}-01-more"], id="more than version 00 has"),
        pytest.param([f"00-{TRACE}-{PARENT}-01-"], id="a dash more"),
        pytest.param([f"00-{'0' * 32}-{PARENT}-01"], id="a trace of zeros"),
        pytest.param([f"00-{TRACE}-{'0' * 16}-01"], id="a span of zeros"),
        pytest.param([f"00-{TRACE.upper()}-{PARENT}-01"], id="capitals"),
        pytest.param([f"00-{TRACE[1:]}-{PARENT}-01"], id="a short trace"),
        pytest.param([f"0-{TRACE}-{PARENT}-01"], id="a short version"),
        pytest.param([f"00-{TRACE}-{PARENT}-1"], id="short flags"),
        pytest.param([f"00_{TRACE}_{PARENT}_01"], id="other signs"),
        pytest.param([f" 00-{TRACE}-{PARENT}-01"], id="a space"),
        pytest.param([f"00-{TRACE}-{PARENT}-01\n"], id="a line break"),
        pytest.param([""], id="nothing"),
    ],
)
def test_any_other_begins_a_new_trace(sent: list[str]) -> None:
    """As if none had been sent; nothing of it reaches the log."""
    one, other = trace_of(headers(*sent)), trace_of(headers(*sent))

    assert one.parent_id == ""
    assert TRACE not in one.traceparent
    assert WRITTEN.fullmatch(one.traceparent)
    assert one.trace_id != other.trace_id


@given(
    st.lists(st.binary(max_size=80) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"), max_size=3)
)
def test_what_is_written_is_always_valid(sent: list[bytes]) -> None:
    """Whatever was sent."""
    assert WRITTEN.fullmatch(trace_of([(b"traceparent", value) for value in sent]).traceparent)


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [("off", []), ("errors", [401, 422, 499, 500, 503]), ("all", [200, 401, 422, 499, 500, 503])],
)
def test_the_setting_decides_which_requests_are_logged(
    mode: AccessLogging, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """And `wants` says beforehand whether there is anything to do."""
    log = RequestLog(mode)

    for status in (200, 401, 422, 499, 500, 503):
        log.finished(replace(REQUEST, status=status), Trace(TRACE, PARENT))
        assert log.wants(status) == (status in statuses)

    assert [record.__dict__["status"] for record in caplog.records] == statuses


def test_a_line_says_what_and_how_long_and_never_what_it_was_about(caplog: pytest.LogCaptureFixture) -> None:
    """Its fields are a closed set; a failure of ours is an error."""
    standard = set(vars(logging.makeLogRecord({})))
    RequestLog("all").finished(replace(REQUEST, status=500), Trace(TRACE, "1" * 16, PARENT, is_sampled=True))

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert {name: value for name, value in vars(record).items() if name not in standard | {"message"}} == {
        "method": "POST",
        "route": "/predict",
        "status": 500,
        "duration_ms": 1.234,
        "bytes_in": 10,
        "bytes_out": 20,
        "request_id": "r-1",
        "traceparent": f"00-{TRACE}-{'1' * 16}-01",
        "parent_id": PARENT,
    }


def test_a_flood_of_errors_is_no_flood_of_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty lines a second; the next one says how many were left out."""
    now = 1000.0
    monkeypatch.setattr("psm_predictor.requestlog.time.monotonic", lambda: now)
    log = RequestLog("errors")

    for _ in range(500):
        log.finished(replace(REQUEST, status=422), Trace(TRACE, PARENT))
    now += 1
    log.finished(replace(REQUEST, status=422), Trace(TRACE, PARENT))

    assert len(caplog.records) == 21
    assert [getattr(record, "lines_left_out", 0) for record in caplog.records] == [0] * 20 + [480]


@pytest.mark.parametrize("route", ["/readyz", "/ping", "/v2/health/ready"])
def test_a_probe_that_hears_not_yet_is_no_error(route: str, caplog: pytest.LogCaptureFixture) -> None:
    """It asks every second."""
    RequestLog("errors").finished(replace(REQUEST, route=route, status=503), Trace(TRACE, PARENT))

    assert not caplog.records


def test_a_span_says_what_the_line_says() -> None:
    """At the caller's place in the trace, with the ids that the log names."""
    exporter = InMemorySpanExporter()
    spans = OpenTelemetrySpans(PackageRef("file:///m", "0" * 64, "arn:x", 7), exporter)
    log = RequestLog("off", spans)
    assert log.wants(200)

    log.finished(REQUEST, Trace(TRACE, "1" * 16, PARENT, is_sampled=True))
    log.finished(replace(REQUEST, status=500), Trace("2" * 32, "3" * 16))
    log.finished(REQUEST, Trace(TRACE, "4" * 16, PARENT, is_sampled=False))
    log.close()

    first, second = exporter.get_finished_spans()  # the third is not sampled by its caller
    assert first.context is not None
    assert first.parent is not None
    assert (f"{first.context.trace_id:032x}", f"{first.context.span_id:016x}") == (TRACE, "1" * 16)
    assert f"{first.parent.span_id:016x}" == PARENT
    assert (first.name, first.kind, first.status.status_code) == ("POST /predict", SpanKind.SERVER, StatusCode.UNSET)
    assert first.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "http.request.body.size": 10,
        "http.response.body.size": 20,
        "psm.request_id": "r-1",
    }
    assert first.end_time is not None
    assert first.start_time is not None
    assert first.end_time - first.start_time == 1_234_500
    assert first.resource.attributes["service.name"] == "psm-predictor"
    assert first.resource.attributes["service.version"] == "7"
    assert second.context is not None
    assert (second.parent, f"{second.context.trace_id:032x}", second.status.status_code) == (
        None,
        "2" * 32,
        StatusCode.ERROR,
    )


def test_tracing_that_is_off_is_not_even_imported() -> None:
    """Nor is what checks tokens; FastAPI itself looks at the interface of OpenTelemetry where that is installed."""
    script = "import psm_predictor.server, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not {"opentelemetry.sdk", "jwt", "cryptography", "requests"} & set(run.stdout.split())
