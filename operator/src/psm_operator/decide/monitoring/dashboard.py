"""The dashboard of one model: the body of PutDashboard, with every change of the version as a vertical line."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from psm_contract import cloudwatch
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import HistoryEntry, HistoryResult, ModelStatus, Served
from psm_operator.decide.monitoring.alarms import HOUR_S, MINUTE_S
from psm_operator.decide.monitoring.model import Owner, Place

Widget = dict[str, Any]

COLUMNS: Final = 24
HALF: Final = 12
HEIGHT: Final = 6
TEXT_HEIGHT: Final = 7
"""In units of CloudWatch's grid."""

MOST_CHANGES: Final = 20
"""Newest changes that are drawn and listed: more lines hide the curves."""

LATEST: Final = "-P1D"
"""What a dashboard shows at first."""

DRIFT_LIMIT: Final = 0.2
"""A population stability index above it is a marked shift (the usual reading of the index)."""

ORANGE, RED, GREEN, GREY = "#ff7f0e", "#d62728", "#2ca02c", "#7f7f7f"
COLOURS: Final = {
    HistoryResult.PROMOTED: GREEN,
    HistoryResult.SUPERSEDED: GREY,
    HistoryResult.ROLLED_BACK: RED,
    HistoryResult.REJECTED: ORANGE,
}
SERIES: Final = {"view": "timeSeries", "stacked": False}
INSIGHTS: Final = "ContainerInsights"
"""Namespace of what the CloudWatch agent of the cluster measures."""


def dashboard(owner: Owner, place: Place, spec: ModelSpec, status: ModelStatus, cluster: str) -> str:
    """The body, as JSON; the same inputs give the same text."""
    charts = Charts(owner, place, spec, changes(status))
    found = [charts.latency(), charts.traffic(), charts.errors(), charts.pods(cluster)]
    found += [charts.accuracy(), charts.drift()] + ([charts.resources(cluster)] if cluster else [])
    widgets = [_text(owner, spec, status)]
    for number, widget in enumerate(found):
        row, column = divmod(number, COLUMNS // HALF)
        at = {"x": column * HALF, "y": TEXT_HEIGHT + row * HEIGHT, "width": HALF, "height": HEIGHT}
        widgets.append({"type": "metric", **at, "properties": widget})
    return json.dumps({"start": LATEST, "periodOverride": "inherit", "widgets": widgets}, sort_keys=True)


class Charts:
    """One method per chart; each gives the properties of a metric widget."""

    def __init__(self, owner: Owner, place: Place, spec: ModelSpec, lines: list[dict[str, Any]]) -> None:
        self._owner = owner
        self._region = place.region
        self._alarms = spec.monitoring.cloud_watch.alarms
        self._lines = lines

    def latency(self) -> Widget:
        """P50 and P95 of predictions."""
        metrics = [
            self._metric(cloudwatch.LATENCY, stat="p50", label="P50"),
            self._metric(cloudwatch.LATENCY, stat="p95", label="P95"),
        ]
        limit = self._alarms.p95_latency_ms
        return self._chart("Latency of predictions", metrics, axis="ms", limit=(limit, f"alarm: P95 {limit} ms"))

    def traffic(self) -> Widget:
        """Predictions per second."""
        metrics = [
            self._metric(cloudwatch.REQUESTS, id="requests", stat="Sum", visible=False),
            [{"expression": "requests / PERIOD(requests)", "label": "requests per second", "id": "rate"}],
        ]
        return self._chart("Predictions per second", metrics, axis="1/s")

    def errors(self) -> Widget:
        """Percent of predictions that failed."""
        metrics = [
            self._metric(cloudwatch.REQUESTS, id="requests", stat="Sum", visible=False),
            self._metric(cloudwatch.ERRORS, id="errors", stat="Sum", label="errors", yAxis="right"),
            [
                {
                    "expression": "IF(requests > 0, 100 * errors / requests, 0)",
                    "label": "errors in percent",
                    "id": "share",
                }
            ],
        ]
        limit = self._alarms.error_rate_percent
        return self._chart("Errors (status from 500 on)", metrics, axis="%", limit=(limit, f"alarm: {limit} %"))

    def pods(self, cluster: str) -> Widget:
        """Pods that told of themselves in each minute, and the Service's, if the cluster is measured."""
        metrics = [self._metric(cloudwatch.REQUESTS, stat="SampleCount", label="pods that tell")]
        if cluster:
            ref = self._owner.ref
            place = ["ClusterName", cluster, "Namespace", ref.namespace, "Service", ref.name]
            options = {"stat": "Average", "label": "pods that run"}
            metrics.append([INSIGHTS, "service_number_of_running_pods", *place, options])
        return self._chart("Pods", metrics, axis="pods")

    def accuracy(self) -> Widget:
        """Accuracy of each hour's labels."""
        metrics = [
            self._metric(
                cloudwatch.LABEL_CORRECT, stat="Average", period=HOUR_S, label="accuracy of the hour's labels"
            ),
            self._metric(cloudwatch.LABEL_CORRECT, stat="SampleCount", period=HOUR_S, label="labels", yAxis="right"),
        ]
        limit = float(self._alarms.accuracy_min)
        chart = self._chart("Live accuracy", metrics, axis="", limit=(limit, f"alarm: {limit:g}"))
        return chart | {
            "yAxis": {"left": {"min": 0, "max": 1, "showUnits": False}, "right": {"min": 0, "showUnits": False}}
        }

    def drift(self) -> Widget:
        """Population stability index of the most drifted feature and of the predictions."""
        metrics = [
            self._metric(cloudwatch.LARGEST_FEATURE_PSI, stat="Maximum", label="most drifted feature"),
            self._metric(cloudwatch.PREDICTION_PSI, stat="Maximum", label="predictions"),
        ]
        return self._chart(
            "Drift (population stability index)", metrics, axis="", limit=(DRIFT_LIMIT, "a marked shift")
        )

    def resources(self, cluster: str) -> Widget:
        """What the pods take of the node, by Container Insights."""
        ref = self._owner.ref
        place = ["ClusterName", cluster, "Namespace", ref.namespace, "PodName", ref.name]
        names = {"pod_cpu_utilization": "CPU", "pod_memory_utilization": "memory"}
        metrics = [[INSIGHTS, name, *place, {"stat": "Average", "label": label}] for name, label in names.items()]
        return self._chart("CPU and memory of a pod, of its node", metrics, axis="%")

    def _metric(self, name: str, **options: Any) -> list[Any]:
        return [cloudwatch.NAMESPACE, name, cloudwatch.MODEL, self._owner.dimension, options]

    def _chart(self, title: str, metrics: list[Any], *, axis: str, limit: tuple[float, str] = (0, "")) -> Widget:
        annotations: dict[str, Any] = {}
        if limit[0]:
            annotations["horizontal"] = [{"value": limit[0], "label": limit[1], "color": RED}]
        if self._lines:
            annotations["vertical"] = [dict(line) for line in self._lines]
        return {
            **SERIES,
            "title": title,
            "region": self._region,
            "period": MINUTE_S,
            "metrics": metrics,
            "yAxis": {"left": {"min": 0, "label": axis, "showUnits": False}, "right": {"min": 0, "showUnits": False}},
            **({"annotations": annotations} if annotations else {}),
        }


def changes(status: ModelStatus) -> list[dict[str, Any]]:
    """A vertical line for each change of the version, oldest first."""
    ours = [entry for entry in status.history if entry.result in COLOURS]  # a newer operator may have more to say
    found = [
        {"label": _said(entry), "value": _moment(entry.at), "color": COLOURS[entry.result]}
        for entry in ours[:MOST_CHANGES]
    ]
    current = status.current
    if current is not None and current.deployed_at is not None:
        label = f"version {current.version} serves"
        found.append({"label": label, "value": _moment(current.deployed_at), "color": GREY})
    return sorted(found, key=lambda line: (line["value"], line["label"]))


def _said(entry: HistoryEntry) -> str:
    match entry.result:
        case HistoryResult.PROMOTED:
            return f"version {entry.version} stays"
        case HistoryResult.SUPERSEDED:
            return f"version {entry.version} made way"
        case HistoryResult.ROLLED_BACK:
            return f"back from {entry.from_} to {entry.to}: {entry.reason.value}"
        case HistoryResult.REJECTED:
            return f"version {entry.version} rejected: {entry.reason.value}"


def _text(owner: Owner, spec: ModelSpec, status: ModelStatus) -> Widget:
    """What serves, how each version measured, and whose dashboard this is."""
    group = spec.registry.model_package_group_name.rpartition("/")[2]
    lines = [
        f"# {owner.ref}",
        f"Model package group `{group}`. {owner.sign} What is changed here is put back.",
        "",
        "| version | | since | accuracy |",
        "|---|---|---|---|",
        *_rows(status),
    ]
    at = {"x": 0, "y": 0, "width": COLUMNS, "height": TEXT_HEIGHT}
    return {"type": "text", **at, "properties": {"markdown": "\n".join(lines)}}


def _rows(status: ModelStatus) -> Iterator[str]:
    if status.current is not None:
        yield _row(status.current.version, "serves", status.current.deployed_at, status.current)
    for entry in status.history[:MOST_CHANGES]:
        yield _row(entry.version, _said(entry), entry.at, entry.served)


def _row(version: int, what: str, at: datetime | None, served: Served | None) -> str:
    found = [metric.value for metric in (served.metrics if served is not None else ()) if metric.name == "accuracy"]
    is_number = bool(found) and re.fullmatch("[0-9.]{1,16}", found[0]) is not None  # whoever registers wrote it
    accuracy = found[0] if is_number else ""
    return f"| {version} | {what} | {_moment(at) if at is not None else ''} | {accuracy} |"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
