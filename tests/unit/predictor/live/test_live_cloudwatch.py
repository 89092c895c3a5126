"""Lines of CloudWatch's embedded metric format, against its specification."""

import json
import logging
import mmap
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from artifacts import make_artifact
from live_pod import DRIFT, PACKAGE, Pod, probabilities
from prometheus_client import CollectorRegistry

from psm_contract.drift import LEAST_BASKETS
from psm_contract.schema import CLASSES
from psm_predictor.counters import CounterBlock, Seat
from psm_predictor.live import emf, layout
from psm_predictor.live.emf import EmfLines, latencies_ms
from psm_predictor.live.figures import figures
from psm_predictor.live.layout import memory_bytes
from psm_predictor.live.live import INLINE, Live
from psm_predictor.logs import JsonFormatter
from psm_predictor.settings import LiveSettings
from psm_predictor.telemetry import BOUNDS_S, PREDICT, Recorder, route_number, traffic


@pytest.fixture
def pod() -> Pod:
    return Pod()


# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
UNITS = ["Seconds", "Milliseconds", "Bytes", "Percent", "Count", "Count/Second", "None"]
SPECIFICATION = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": False,
                        "properties": {
                            "Namespace": TEXT,
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "maxItems": 9, "items": TEXT},
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "additionalProperties": False,
                                    "properties": {"Name": TEXT, "Unit": {"enum": UNITS}},
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def check_emf(line: dict[str, Any]) -> None:
    """The schema, and what it cannot say: targets are members of the root, with values of their kind, 256 KB in all."""
    jsonschema.validate(line, SPECIFICATION)
    assert len(json.dumps(line)) < 256 * 1024
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for name in {name for dimensions in directive["Dimensions"] for name in dimensions}:
            assert isinstance(line[name], str)
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 0 < len(values) <= 100
            assert all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
            assert all(np.isfinite(values))


def labelled(pod: Pod, right: int, wrong: int) -> None:
    row = pod.block.row(0)
    row[layout.RIGHT] += right
    row[layout.WRONG] += wrong


def told(line: dict[str, Any]) -> set[str]:
    return {metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}


def test_a_pod_that_has_seen_nothing_tells_valid_lines(pod: Pod) -> None:
    """What is not known is left out, not zero."""
    (line,) = EmfLines(PACKAGE).of(figures(pod.block, DRIFT, CLASSES), 1_700_000_000.5)
    check_emf(line)
    assert told(line) == {"DriftBaskets", "LiveLabels"}
    assert line["_aws"]["Timestamp"] == 1_700_000_000_500
    assert (line["ModelPackageGroup"], line["ModelVersion"]) == ("price-sensitivity", "7")


def test_everything_is_told_where_it_is_known(pod: Pod) -> None:
    """Metrics to alarm on; the index of every feature as a property, which costs nothing."""
    pod.answer(0, "a", [[0.0, 2.0]] * LEAST_BASKETS, [1] * LEAST_BASKETS)
    pod.tick(10_000.0)
    pod.feedback(0, now_s=10_000.0, request_id="a", index=0, label="MM")
    (line,) = EmfLines(PACKAGE).of(figures(pod.block, DRIFT, CLASSES), 10_000.0)
    check_emf(line)
    assert told(line) == {
        "DriftBaskets",
        "LiveLabels",
        "LiveAccuracy",
        "LiveMacroF1",
        "LargestFeaturePsi",
        "PredictionPsi",
        "LabelCorrect",
    }
    assert line["LabelCorrect"] == [1]
    assert line["LargestFeaturePsi"] == pytest.approx(line["Psi"]["spend"], abs=1e-3)


def test_each_label_is_told_once_a_hundred_to_a_line(pod: Pod) -> None:
    """So that the average of LabelCorrect is the accuracy of all pods, and its sample count the labels."""
    lines = EmfLines(PACKAGE)
    labelled(pod, 180, 70)
    first = list(lines.of(figures(pod.block, DRIFT, CLASSES), 0.0))
    labelled(pod, 1, 0)
    second = list(lines.of(figures(pod.block, DRIFT, CLASSES), 60.0))
    third = list(lines.of(figures(pod.block, DRIFT, CLASSES), 120.0))

    for line in (*first, *second, *third):
        check_emf(line)
    assert [len(line["LabelCorrect"]) for line in first] == [100, 100, 50]
    values = [value for line in first for value in line["LabelCorrect"]]
    assert (values.count(1), values.count(0)) == (180, 70)
    assert [line["LabelCorrect"] for line in second] == [[1]]
    assert "LabelCorrect" not in third[0]


def test_a_flood_of_labels_is_told_over_the_next_minutes(pod: Pod) -> None:
    """A line has a bound, a minute too."""
    lines = EmfLines(PACKAGE)
    labelled(pod, 6000, 100)
    counts = [len(list(lines.of(figures(pod.block, DRIFT, CLASSES), 60.0 * n))) for n in range(3)]
    assert counts == [emf.MOST_LINES, 11, 1]


def test_the_line_on_stdout_is_valid_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One a minute, from the first worker alone, whatever the level of the other logs; with a real model's bins."""
    caplog.set_level(logging.ERROR)
    caplog.handler.setLevel(logging.NOTSET)  # as the handler of the process
    now = [1_700_000_000.0]
    manifest = make_artifact(tmp_path).manifest
    block, memory = CounterBlock(4), mmap.mmap(-1, memory_bytes(6, 100))
    settings = LiveSettings(remembered=100, emf=True)
    workers = [
        Live(settings, PACKAGE, Seat(block, memory, number), workers=2, clock=lambda: now[0]) for number in range(2)
    ]
    for worker in workers:
        worker.model_loaded(manifest, CollectorRegistry())
        rows = np.zeros((600, len(manifest.features)), dtype=np.float32)
        worker.observer(INLINE).answered(rows, probabilities(600), [1] * 600, "x")
    for passed in (30.0, 31.0, 58.0):
        now[0] += passed
        for worker in workers:
            worker.tick()

    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]

    assert [line["message"] for line in lines] == ["live metrics"]
    check_emf(lines[0])
    assert lines[0]["DriftBaskets"] == 1200
    assert lines[0]["Psi"].keys() == {feature.name for feature in manifest.features}


def test_a_pod_that_knows_its_resource_tells_of_its_requests(pod: Pod) -> None:
    """Of predictions alone, each minute's, under a dimension of the resource's own; everything else under it as well."""
    lines = EmfLines(PACKAGE, "psm/mlops/uk-grocery")
    first, second = Recorder(pod.block.row(0)), Recorder(pod.block.row(1))
    first.request(PREDICT, 200, 0.0003)
    second.request(PREDICT, 503, 0.002)
    second.request(route_number("/invocations"), 422, 0.0003)
    first.request(route_number("/readyz"), 500, 9.0)
    told_lines = [
        next(lines.of(figures(pod.block, DRIFT, CLASSES), 60.0 * minute, traffic(pod.block))) for minute in (1, 2)
    ]
    for line in told_lines:
        check_emf(line)
        everything, requests = line["_aws"]["CloudWatchMetrics"]
        assert everything["Dimensions"] == [["ModelPackageGroup"], ["ModelPackageGroup", "ModelVersion"], ["Model"]]
        assert requests["Dimensions"] == [["Model"]]
        assert line["Model"] == "psm/mlops/uk-grocery"
    busy, silent = told_lines
    assert (busy["Requests"], busy["Errors"], len(busy["Latency"])) == (3, 1, 3)
    assert (silent["Requests"], silent["Errors"]) == (0, 0)
    assert "Latency" not in silent, "no request has no latency"


def test_percentiles_of_the_values_told_are_those_of_the_histogram() -> None:
    """A hundred values stand for any number of requests; what is beyond the last bound counts as that bound."""
    counts = [0.0] * (len(BOUNDS_S) + 1)
    counts[BOUNDS_S.index(0.005)] = 9_000  # evenly over 2.5 to 5 ms
    counts[BOUNDS_S.index(0.05)] = 900
    counts[-1] = 100
    values = latencies_ms(counts)
    assert len(values) == 100
    assert values == sorted(values)
    assert np.percentile(values, 45) == pytest.approx(3.75, rel=0.02)
    assert np.percentile(values, 95) == pytest.approx(
        25 + 25 * 500 / 900, rel=0.05
    )  # the hundred values are a percent apart
    assert values[-1] == 2500
    assert latencies_ms([1.0] + [0.0] * len(BOUNDS_S)) == [0.05]
    assert latencies_ms([0.0] * (len(BOUNDS_S) + 1)) == []
