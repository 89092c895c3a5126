"""Spans of requests for OpenTelemetry; imported only with PSM_TRACING=otlp, needs the extra `psm-predictor[otel]`.

A span is made when its request has been answered, so that the hot route knows nothing of tracing. Where spans go, how
many and under which service name is said by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, ...).
"""

import time
from typing import Final

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from psm_predictor.requestlog import Finished, Trace
from psm_predictor.settings import PackageRef

_NANO: Final = 1_000_000_000
_SERVER_ERROR: Final = 500


class _GivenIds(IdGenerator):
    """Hands out the ids of the next span, which the log and the answer name as well."""

    def __init__(self) -> None:
        self.trace = Trace("0", "0")

    def generate_trace_id(self) -> int:
        """Of a span without a caller."""
        return int(self.trace.trace_id, 16)

    def generate_span_id(self) -> int:
        """Of the span."""
        return int(self.trace.span_id, 16)


class OpenTelemetrySpans:
    """Hands spans to OpenTelemetry's exporter, which sends them in batches from a thread of its own."""

    def __init__(self, package: PackageRef, exporter: SpanExporter | None = None) -> None:
        named = Resource.create({SERVICE_VERSION: str(package.version), "psm.model_package": package.arn})
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: "psm-predictor"}))
        self._ids = _GivenIds()
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("psm_predictor")

    def record(self, request: Finished, trace: Trace) -> None:
        """Records the request as a span at its place in the trace."""
        self._ids.trace = trace  # used up by start_span: one thread records
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            f"{request.method} {request.route}",
            context=_parent(trace),
            kind=otel.SpanKind.SERVER,
            start_time=end_ns - int(request.seconds * _NANO),
            attributes={
                "http.request.method": request.method,
                "http.route": request.route,
                "http.response.status_code": request.status,
                "http.request.body.size": request.bytes_in,
                "http.response.body.size": request.bytes_out,
                "psm.request_id": request.request_id,
            },
        )
        if request.status >= _SERVER_ERROR:
            span.set_status(otel.StatusCode.ERROR)
        span.end(end_ns)

    def close(self) -> None:
        """Sends what waits."""
        self._provider.shutdown()


def _parent(trace: Trace) -> Context:
    """The caller's span as OpenTelemetry knows parents; without one an empty context, which begins a trace."""
    if not trace.parent_id:
        return Context()
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED if trace.is_sampled else otel.TraceFlags.DEFAULT)
    caller = otel.SpanContext(int(trace.trace_id, 16), int(trace.parent_id, 16), is_remote=True, trace_flags=flags)
    return otel.set_span_in_context(otel.NonRecordingSpan(caller), Context())
