"""What the process counts, and how Prometheus sees it.

`Recorder` is the hot route's view: additions to a row of slots, well under a microsecond per request. `Telemetry`
collects the rows of all workers when /metrics is scraped.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from psm_predictor.counters import LIVE, CounterBlock, Row
from psm_predictor.settings import PackageRef

OTHER: Final = "other"
V2: Final = "/v2"
V2_INFER: Final = "/v2/models/{name}/infer"
ROUTES: Final = (
    "/predict",
    "/invocations",
    V2_INFER,
    "/feedback",
    "/health",
    "/healthz",
    "/readyz",
    "/ping",
    V2,
    "/model",
    "/metrics",
    "/docs",
    "/openapi.json",
    OTHER,
)
STATUSES: Final = (
    "200",
    "400",
    "401",
    "404",
    "405",
    "406",
    "408",
    "409",
    "413",
    "415",
    "422",
    "499",
    "500",
    "503",
    OTHER,
)
"""499: the client went away before it had its answer."""

REJECTIONS: Final = (
    "validation",
    "body_too_large",
    "slow_body",
    "in_flight",
    "not_ready",
    "unauthorized",
    # of connections, before there is a request
    "malformed",
    "headers_too_large",
    "slow_headers",
    "slow_reader",
    "pipelined",
    "connections",
)
BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the latency buckets: a row takes 0.0001 s, a full batch 0.01 s."""

_ROUTE: Final = {route: number for number, route in enumerate(ROUTES)}
_STATUS: Final = {int(status): number for number, status in enumerate(STATUSES[:-1])}
_REJECTION: Final = {kind: number for number, kind in enumerate(REJECTIONS)}

# the layout of a row
_IN_FLIGHT: Final = 0
_READY: Final = 1
_LOAD_SECONDS: Final = 2
_LOAD_FAILURES: Final = 3
_REJECTED: Final = 8
_REQUESTS: Final = _REJECTED + len(REJECTIONS)
_LATENCY: Final = _REQUESTS + len(ROUTES) * len(STATUSES)
_LATENCY_WIDTH: Final = len(BOUNDS_S) + 2  # the last bucket is +Inf, then the sum
_LABELS: Final = _LATENCY + len(ROUTES) * _LATENCY_WIDTH
_LABELS_MOST: Final = 16
_UNKNOWN: Final = _LABELS + _LABELS_MOST

PREDICT: Final = _ROUTE["/predict"]


PREDICTIONS: Final = tuple(_ROUTE[route] for route in ("/predict", "/invocations", V2_INFER))
"""Routes that answer baskets; probes and scrapes are no traffic."""

_ERRORS: Final = tuple(number for number, status in enumerate(STATUSES) if status.startswith("5"))


@dataclass(frozen=True, slots=True)
class Traffic:
    """Answered predictions of a pod since its start.

    Attributes:
        errors: those with a status from 500 on.
        buckets: how many took at most each of BOUNDS_S, and last those that took longer; not cumulative.
    """

    requests: int
    errors: int
    buckets: tuple[float, ...]


def traffic(block: CounterBlock) -> Traffic:
    """The sum over all workers and prediction routes, as it is now."""

    def requests(statuses: Sequence[int]) -> int:
        slots = (_REQUESTS + route * len(STATUSES) + status for route in PREDICTIONS for status in statuses)
        return int(sum(block.total(slot) for slot in slots))

    first = [_LATENCY + route * _LATENCY_WIDTH for route in PREDICTIONS]
    buckets = tuple(sum(block.total(slot + bucket) for slot in first) for bucket in range(len(BOUNDS_S) + 1))
    return Traffic(requests(range(len(STATUSES))), requests(_ERRORS), buckets)


class Recorder:
    """One writer's counters."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def request(self, route: int, status: int, seconds: float) -> None:
        """One answered request."""
        row = self._row
        row[_REQUESTS + route * len(STATUSES) + _STATUS.get(status, len(_STATUS))] += 1
        latency = _LATENCY + route * _LATENCY_WIDTH
        row[latency + bisect_left(BOUNDS_S, seconds)] += 1
        row[latency + _LATENCY_WIDTH - 1] += seconds

    def in_flight(self, requests: int) -> None:
        """How many requests wait or are being answered now."""
        self._row[_IN_FLIGHT] = requests

    def rejected(self, kind: str) -> None:
        """One request refused, by one of REJECTIONS."""
        self._row[_REJECTED + _REJECTION[kind]] += 1

    def predicted(self, label: int, count: int = 1) -> None:
        """Predictions of the label-th class."""
        self._row[_LABELS + label] += count

    def unknown(self, source: int) -> None:
        """A category value that training did not know, in the source-th of the telemetry's sources."""
        self._row[_UNKNOWN + source] += 1

    def ready(self, *, is_ready: bool) -> None:
        """Whether this worker answers predictions."""
        self._row[_READY] = is_ready

    def loaded(self, seconds: float) -> None:
        """How long the process took from its start to a model that passed its self-test."""
        self._row[_LOAD_SECONDS] = seconds

    def load_failed(self) -> None:
        """One attempt to fetch the model failed and will be repeated."""
        self._row[_LOAD_FAILURES] += 1


def route_number(path: str) -> int:
    """The route's number for Recorder.request; paths below /v2 share one, and so do unknown ones."""
    return _ROUTE.get(path, _ROUTE[V2 if path.startswith("/v2/") else OTHER])


class Telemetry:
    """The counters of all workers of this pod as a Prometheus collector."""

    def __init__(self, block: CounterBlock, package: PackageRef, *, workers: int) -> None:
        self._block = block
        self._package = package
        self._workers = workers
        self._classes: Sequence[str] = ()
        self._sources: Sequence[str] = ()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def describe_model(self, classes: Sequence[str], sources: Sequence[str]) -> None:
        """Names the slots of predictions and of unknown values; the same in every worker of a model."""
        if len(classes) > _LABELS_MOST or _UNKNOWN + len(sources) > LIVE:
            raise ValueError(f"{len(classes)} classes and {len(sources)} category features exceed the {LIVE} counters")
        self._classes, self._sources = tuple(classes), tuple(sources)

    def all_ready(self) -> bool:
        """Whether every worker has its model: a request may reach any of them."""
        return all(self._block.values(_READY, range(self._workers)))

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry."""
        yield from self._about_the_process()
        yield from self._about_requests()
        yield from self._about_predictions()

    def _about_the_process(self) -> Iterator[Metric]:
        package = self._package
        info = {"version": str(package.version), "arn": package.arn, "sha256": package.sha256}
        yield InfoMetricFamily("psm_predictor_model", "The model package this process serves", value=info)
        yield GaugeMetricFamily(
            "psm_predictor_ready", "1 when every worker has its model", value=float(self.all_ready())
        )
        loads = max(self._block.values(_LOAD_SECONDS, range(self._workers)))
        yield GaugeMetricFamily(
            "psm_predictor_start_duration_seconds", "Slowest worker's time from start to a tested model", value=loads
        )
        yield CounterMetricFamily(
            "psm_predictor_load_failures", "Attempts to fetch the model that were repeated", self._total(_LOAD_FAILURES)
        )

    def _about_requests(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "psm_predictor_requests_in_flight", "Requests waiting or being answered", self._total(_IN_FLIGHT)
        )
        requests = CounterMetricFamily("psm_predictor_requests", "Answered requests", labels=["route", "status"])
        latency = HistogramMetricFamily(
            "psm_predictor_request_duration_seconds", "Time from first byte handled to last byte sent", labels=["route"]
        )
        for route, name in enumerate(ROUTES):
            for status, text in enumerate(STATUSES):
                if count := self._total(_REQUESTS + route * len(STATUSES) + status):
                    requests.add_metric([name, text], count)
            self._add_latency(latency, name, _LATENCY + route * _LATENCY_WIDTH)
        yield requests
        yield latency
        yield self._counter("psm_predictor_rejected_requests", "Refused requests", "reason", REJECTIONS, _REJECTED)

    def _add_latency(self, latency: HistogramMetricFamily, route: str, first: int) -> None:
        counts = [self._total(first + number) for number in range(len(BOUNDS_S) + 1)]
        if not any(counts):
            return
        names = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        buckets = [(name, sum(counts[: number + 1])) for number, name in enumerate(names)]
        latency.add_metric([route], buckets, self._total(first + _LATENCY_WIDTH - 1))

    def _about_predictions(self) -> Iterator[Metric]:
        yield self._counter("psm_predictor_predictions", "Answered baskets", "label", self._classes, _LABELS)
        yield self._counter(
            "psm_predictor_unknown_categories",
            "Category values that training did not know",
            "feature",
            self._sources,
            _UNKNOWN,
        )

    def _counter(self, name: str, text: str, label: str, values: Sequence[str], first: int) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=[label])
        for number, value in enumerate(values):
            family.add_metric([value], self._total(first + number))
        return family

    def _total(self, slot: int) -> float:
        return self._block.total(slot)
