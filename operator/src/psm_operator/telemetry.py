"""Prometheus metrics of the operator: where passes, polls, the election and the queue are counted.

Every series about one model carries its namespace and name, and goes with it: label sets stay bounded by what exists.
Names follow Prometheus' conventions (base units, `_total`). Logging is `logs`.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from psm_operator.api.conditions import ConditionStatus, ConditionType
from psm_operator.api.status import ModelStatus
from psm_operator.values import GroupRef, ObjectRef, Observation, Plan

PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
READ_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REMEMBERED_ROLLBACKS = 10_000
"""Rollback ids kept to count each once; the oldest goes first."""


@dataclass(slots=True)
class ModelSeries:
    """The label values that one model's series have now."""

    info: tuple[str, ...] | None = None
    metrics: frozenset[str] = frozenset()


class PrometheusTelemetry:
    """Owns every metric of the process, in a registry of its own.

    Implements `ports.Telemetry`, and what the queue, the polls and the adapters each ask for.
    """

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Info("psm_operator_build", "Version of this operator.", registry=self.registry).info({"version": version})
        self._make_process_metrics()
        self._make_model_metrics()
        self._models: dict[ObjectRef, ModelSeries] = {}
        self._rollback_ids: OrderedDict[str, None] = OrderedDict()

    def _make_process_metrics(self) -> None:
        reg = self.registry
        self._passes = Histogram(
            "psm_reconcile_duration_seconds", "Duration of passes.", ["outcome"], buckets=PASS_SECONDS, registry=reg
        )
        self._adds = Counter("psm_queue_adds_total", "Keys added to the work queue.", registry=reg)
        self._retries = Counter("psm_queue_retries_total", "Keys put back after a failure.", ["reason"], registry=reg)
        self._reads = Counter(
            "psm_registry_reads_total", "Calls to the model registry.", ["operation", "outcome"], registry=reg
        )
        self._read_seconds = Histogram(
            "psm_registry_poll_duration_seconds", "Duration of polls.", buckets=READ_SECONDS, registry=reg
        )
        self._unknown = Counter(
            "psm_registry_unknown_minutes_total",
            "Minutes in which a model package group could not be read.",
            ["region", "group"],
            registry=reg,
        )
        self._leader = Gauge("psm_leader", "1 while this process leads.", registry=reg)
        self._dropped_events = Counter("psm_events_dropped_total", "Events not recorded.", ["why"], registry=reg)

    def _make_model_metrics(self) -> None:
        reg, model = self.registry, ["namespace", "name"]
        self._rollbacks = Counter(
            "psm_rollbacks_total", "Rollbacks, each counted once.", [*model, "reason"], registry=reg
        )
        self._info = Gauge(
            "psm_model_info", "1; what a model is about.", [*model, "group", "region", "phase"], registry=reg
        )
        self._ready = Gauge("psm_model_ready", "1 while condition Ready is True.", model, registry=reg)
        self._version = Gauge("psm_model_version", "Version being served; 0 if none.", model, registry=reg)
        self._latest = Gauge(
            "psm_model_desired_version", "Version the policy would pick; 0 if none.", model, registry=reg
        )
        self._blocked = Gauge("psm_model_stalled", "1 while only a person can help.", model, registry=reg)
        self._metric = Gauge("psm_model_metric", "Metric of the served version.", [*model, "metric"], registry=reg)
        self._seen_at = Gauge(
            "psm_model_last_pass_timestamp_seconds", "When it was last looked at.", model, registry=reg
        )

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Serve what `read` returns at each scrape."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def exposition(self) -> bytes:
        """Every metric in Prometheus' text format."""
        return generate_latest(self.registry)

    # --- the queue ------------------------------------------------------------------------------------------------

    def queue_added(self) -> None:
        """A key was added that was not waiting yet."""
        self._adds.inc()

    def queue_retried(self, why: str) -> None:
        """A key failed and will be tried again."""
        self._retries.labels(why).inc()

    def pass_finished(self, outcome: str, seconds: float) -> None:
        """One pass ended."""
        self._passes.labels(outcome).observe(seconds)

    # --- the registry ---------------------------------------------------------------------------------------------

    def registry_called(self, operation: str, outcome: str) -> None:
        """One call to SageMaker ended; outcome is "ok" or an error code."""
        self._reads.labels(operation, outcome).inc()

    def polled(self, seconds: float) -> None:
        """One poll ended, well or not."""
        self._read_seconds.observe(seconds)

    def registry_unknown(self, group: GroupRef, minutes: float) -> None:
        """So many more minutes passed in which `group` could not be read."""
        self._unknown.labels(group.region, group.name).inc(minutes)

    def group_forgotten(self, group: GroupRef) -> None:
        """Nobody follows `group` any more."""
        self._unknown.remove(group.region, group.name)

    # --- the process ----------------------------------------------------------------------------------------------

    def leading(self, *, is_leader: bool) -> None:
        """Whether this process leads."""
        self._leader.set(is_leader)

    def event_dropped(self, why: str) -> None:
        """An Event was not recorded."""
        self._dropped_events.labels(why).inc()

    # --- models ---------------------------------------------------------------------------------------------------

    def observed(self, seen: Observation, plan: Plan) -> None:
        """One model was looked at: set its gauges, step the rollback counter once per rollback id."""
        status, ref = plan.release, seen.ref
        labels = (ref.namespace, ref.name)
        series = self._models.setdefault(ref, ModelSeries())
        registry = seen.spec.registry
        self._set_info(series, (*labels, registry.model_package_group_name, registry.region, status.phase or ""))
        self._ready.labels(*labels).set(_is_true(status, ConditionType.READY))
        self._blocked.labels(*labels).set(_is_true(status, ConditionType.STALLED))
        self._version.labels(*labels).set(status.current.version if status.current else 0)
        self._latest.labels(*labels).set(status.desired.version if status.desired else 0)
        self._seen_at.labels(*labels).set(seen.now.timestamp())
        self._set_metrics(series, labels, status)
        rollback = status.rollback
        if rollback is not None and self._is_new_rollback(f"{seen.uid}/{rollback.id}"):
            self._rollbacks.labels(*labels, rollback.reason.value).inc()

    def forget(self, ref: ObjectRef) -> None:
        """A model is gone: its series go too."""
        series = self._models.pop(ref, None)
        if series is None:
            return
        gauges = (self._info, self._ready, self._blocked, self._version, self._latest, self._seen_at, self._metric)
        for metric in (*gauges, self._rollbacks):
            metric.remove_by_labels({"namespace": ref.namespace, "name": ref.name})

    def _set_info(self, series: ModelSeries, labels: tuple[str, ...]) -> None:
        if series.info != labels:
            if series.info is not None:
                self._info.remove(*series.info)
            series.info = labels
        self._info.labels(*labels).set(1)

    def _set_metrics(self, series: ModelSeries, labels: tuple[str, str], status: ModelStatus) -> None:
        values = {} if status.current is None else {m.name: _number(m.value) for m in status.current.metrics}
        known = {name: value for name, value in values.items() if value is not None}
        for name in series.metrics - known.keys():
            self._metric.remove(*labels, name)
        for name, value in known.items():
            self._metric.labels(*labels, name).set(value)
        series.metrics = frozenset(known)

    def _is_new_rollback(self, rollback_id: str) -> bool:
        if rollback_id in self._rollback_ids:
            return False
        self._rollback_ids[rollback_id] = None
        if len(self._rollback_ids) > REMEMBERED_ROLLBACKS:
            self._rollback_ids.popitem(last=False)
        return True


def _is_true(status: ModelStatus, kind: ConditionType) -> bool:
    return any(c.type is kind and c.status is ConditionStatus.TRUE for c in status.conditions)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
