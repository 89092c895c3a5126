"""Prometheus metrics of the operator: where passes, polls, calls to AWS, the election and the queue are counted.

Every label has a closed set of values or goes with what it is about; metrics of models are in `model_series`, gauges
that are read at each scrape in `gauges`. Names follow Prometheus' conventions (base units, `_total`), and every counter
that can be foreseen is there from the start, at 0: a counter that appears with 1 has not increased. Logging is `logs`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from psm_operator.api.conditions import Reason
from psm_operator.api.status import ModelStatus
from psm_operator.model_series import ModelSeries, Steps
from psm_operator.values import GroupRef, ObjectRef, Observation, Plan

PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
WAIT_SECONDS = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)
CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
KEYS = (0, 1, 2, 5, 10, 50, 100, 500, 1000, 5000)

PASS_OUTCOMES = ("success", "retryable", "stalled", "timeout", "error", "cancelled")
CALL_OUTCOMES = ("ok", "throttled", "denied", "refused", "missing", "away")
EVENT_OUTCOMES = ("followed", "ignored", "unreadable")
EVENT_DROPS = ("rate", "refused")

ROLLBACK_REASONS = (
    Reason.APPROVAL_REVOKED,
    Reason.DATA_VALIDATION_FAILED,
    Reason.METRIC_BELOW_THRESHOLD,
    Reason.METRIC_REGRESSION,
    Reason.PROGRESS_DEADLINE_EXCEEDED,
    Reason.REQUESTED_BY_PERSON,
)
REJECTION_REASONS = (
    Reason.ARTIFACT_MISMATCH,
    Reason.DATA_VALIDATION_FAILED,
    Reason.METRIC_BELOW_THRESHOLD,
    Reason.METRIC_REGRESSION,
    Reason.VERIFICATION_FAILED,
)


@dataclass(frozen=True, slots=True)
class ReadCounter(Collector):
    """A counter that somebody else keeps, read at each scrape."""

    name: str
    help_text: str
    read: Callable[[], float]

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Its one sample."""
        yield CounterMetricFamily(self.name, self.help_text, value=self.read())


class PrometheusTelemetry:
    """Owns every metric of the process, in a registry of its own.

    Implements `ports.Telemetry`, and what the queue, the polls and the adapters each ask for.
    """

    def __init__(self, *, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series per counter, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Info("psm_operator_build", "Version of this operator.", registry=self.registry).info({"version": version})
        self._make_queue_metrics()
        self._make_registry_metrics()
        self._make_release_metrics()
        self._leader = Gauge("psm_leader", "1 while this process leads.", registry=self.registry)
        self._dropped_events = self._counter("psm_events_dropped_total", "Events not recorded.", why=EVENT_DROPS)
        self._called: set[tuple[str, str]] = set()
        self._models = ModelSeries()

    def _make_queue_metrics(self) -> None:
        reg = self.registry
        self._passes = Histogram(
            "psm_reconcile_duration_seconds", "Duration of passes.", ["outcome"], buckets=PASS_SECONDS, registry=reg
        )
        for outcome in PASS_OUTCOMES:
            self._passes.labels(outcome)
        self._waits = Histogram(
            "psm_queue_wait_seconds", "Time a key waited for a worker.", buckets=WAIT_SECONDS, registry=reg
        )
        self._ahead = Histogram(
            "psm_queue_ahead_keys", "Keys waiting already when one was added.", buckets=KEYS, registry=reg
        )
        self._adds = Counter("psm_queue_adds_total", "Keys added to the work queue.", registry=reg)
        self._retries = Counter("psm_queue_retries_total", "Keys put back after a failure.", ["reason"], registry=reg)

    def _make_registry_metrics(self) -> None:
        reg, call = self.registry, ["service", "operation"]
        self._calls = Counter("psm_aws_calls_total", "Calls to AWS.", [*call, "outcome"], registry=reg)
        self._call_retries = Counter(
            "psm_aws_call_retries_total", "Tries after the first, within calls to AWS.", call, registry=reg
        )
        self._call_seconds = Histogram(
            "psm_aws_call_duration_seconds",
            "Duration of calls to AWS, retries within included.",
            call,
            buckets=CALL_SECONDS,
            registry=reg,
        )
        self._poll_seconds = Histogram(
            "psm_registry_poll_duration_seconds", "Duration of polls.", buckets=CALL_SECONDS, registry=reg
        )
        self._unknown = Counter(
            "psm_registry_unknown_seconds_total",
            "Time in which a model package group could not be read.",
            ["region", "group", "role"],
            registry=reg,
        )

        self._events = self._counter(
            "psm_registry_events_total", "Messages from the registry events queue.", outcome=list(EVENT_OUTCOMES)
        )

    def _make_release_metrics(self) -> None:
        rollbacks = [reason.value for reason in ROLLBACK_REASONS]
        self._rollbacks = self._counter("psm_rollbacks_total", "Rollbacks, each counted once.", reason=rollbacks)
        rejections = [reason.value for reason in REJECTION_REASONS]
        self._rejections = self._counter(
            "psm_rejections_total", "Candidates rejected before they served.", reason=rejections
        )

    def _counter(self, name: str, help_text: str, **label: tuple[str, ...] | list[str]) -> Counter:
        """A counter with one label, whose foreseeable values are there from the start."""
        ((label_name, values),) = label.items()
        counter = Counter(name, help_text, [label_name], registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Serve what `read` returns at each scrape."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def gauges(self, name: str, help_text: str, label: str, reads: Mapping[str, Callable[[], float]]) -> None:
        """Serve, for each value of a label, what its function returns at each scrape."""
        gauge = Gauge(name, help_text, [label], registry=self.registry)
        for value, read in reads.items():
            gauge.labels(value).set_function(read)

    def counter(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Serve a counter that somebody else keeps."""
        self.registry.register(ReadCounter(name, help_text, read))

    def exposition(self) -> bytes:
        """Every metric in Prometheus' text format; may run in a thread."""
        return generate_latest(self.registry) + self._models.exposition().encode()

    # --- the queue ------------------------------------------------------------------------------------------------

    def queue_added(self, ahead: int) -> None:
        """A key was added that was not waiting yet, behind `ahead` others."""
        self._adds.inc()
        self._ahead.observe(ahead)

    def queue_waited(self, seconds: float) -> None:
        """A worker took a key that had waited so long for one."""
        self._waits.observe(seconds)

    def queue_retried(self, why: str) -> None:
        """A key failed and will be tried again."""
        self._retries.labels(why).inc()

    def pass_finished(self, outcome: str, seconds: float) -> None:
        """One pass ended."""
        self._passes.labels(outcome).observe(seconds)

    # --- AWS and the registry -------------------------------------------------------------------------------------

    def aws_called(self, service: str, operation: str, outcome: str, seconds: float, retries: int) -> None:
        """One call to AWS ended; outcome is one of `CALL_OUTCOMES`. Called from threads."""
        call = (service, operation)
        if call not in self._called:
            self._called.add(call)
            for known in CALL_OUTCOMES:
                self._calls.labels(*call, known)
        self._calls.labels(*call, outcome).inc()
        self._call_retries.labels(*call).inc(retries)
        self._call_seconds.labels(*call).observe(seconds)

    def registry_event(self, outcome: str) -> None:
        """One message was handled; outcome is one of `EVENT_OUTCOMES`."""
        self._events.labels(outcome).inc()

    def polled(self, seconds: float) -> None:
        """One poll ended, well or not."""
        self._poll_seconds.observe(seconds)

    def registry_unknown(self, group: GroupRef, minutes: float) -> None:
        """So many more minutes passed in which `group` could not be read."""
        self._unknown.labels(group.region, group.name, group.role_arn).inc(minutes * 60)

    def group_forgotten(self, group: GroupRef) -> None:
        """Nobody follows `group` any more."""
        self._unknown.remove(group.region, group.name, group.role_arn)

    # --- the process ----------------------------------------------------------------------------------------------

    def leading(self, *, is_leader: bool) -> None:
        """Whether this process leads."""
        self._leader.set(is_leader)

    def event_dropped(self, why: str) -> None:
        """An Event was not recorded."""
        self._dropped_events.labels(why).inc()

    # --- models ---------------------------------------------------------------------------------------------------

    def noticed(self, seen: Observation) -> None:
        """A pass over one model begins: count what its status newly tells of, also when the pass before broke off."""
        steps = self._models.steps.get(seen.ref)
        if steps is None:
            self._models.steps[seen.ref] = Steps.at_first_sight(seen.status)
        else:
            self._count(steps, seen.status)

    def observed(self, seen: Observation, plan: Plan) -> None:
        """A pass over one model ended, and `plan.release` is its status: set its gauges, count what is new."""
        self._models.show(seen, plan.release)
        self._count(self._models.steps.setdefault(seen.ref, Steps.at_first_sight(seen.status)), plan.release)

    def unreadable(self, ref: ObjectRef, reason: Reason) -> None:
        """A model cannot be understood; only a person can help."""
        self._models.show_unreadable(ref, reason)

    def forget(self, ref: ObjectRef) -> None:
        """A model is gone: its series go too."""
        self._models.forget(ref)

    def _count(self, steps: Steps, status: ModelStatus) -> None:
        rollbacks, rejections = steps.new_in(status)
        for reason in rollbacks:
            self._rollbacks.labels(reason.value).inc()
        for reason in rejections:
            self._rejections.labels(reason.value).inc()
