"""What workers count, summed: figures, Prometheus, CloudWatch lines and the log, with a clock moved by hand."""

import json
import logging
import mmap
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from artifacts import make_artifact
from prometheus_client import CollectorRegistry, generate_latest

from psm_contract.drift import LEAST_BASKETS, Drift
from psm_contract.manifest import Feature, Histogram, Reference
from psm_contract.schema import CLASSES
from psm_predictor.counters import CounterBlock, Seat
from psm_predictor.live import emf, layout
from psm_predictor.live.emf import EmfLines
from psm_predictor.live.exposition import LiveCollector
from psm_predictor.live.feedback import Feedback, Matcher, Result
from psm_predictor.live.figures import figures
from psm_predictor.live.layout import Outcome, memory_bytes
from psm_predictor.live.live import INLINE, Live
from psm_predictor.live.memory import MemoryRing, PredictionMemory
from psm_predictor.live.prediction_log import LiveLog, PredictionQueue
from psm_predictor.live.rings import RowRing
from psm_predictor.live.tally import Tally
from psm_predictor.live.windows import BinWindow, LabelWindow
from psm_predictor.logs import JsonFormatter
from psm_predictor.settings import LiveSettings, PackageRef

ARN = "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/7"
PACKAGE = PackageRef("s3://b/k", "ab" * 32, ARN, 7)
FEATURES = (
    Feature(name="spend", kind="number", description="money"),
    Feature(name="shop_hour", kind="number", description="hour"),
)
HALVES = Histogram(edges=(1.0,), shares=(0.5, 0.5))
REFERENCE = Reference(baskets=1000, features=(HALVES, HALVES), predictions=Histogram(shares=(0.2, 0.5, 0.3)))
DRIFT = Drift(FEATURES, REFERENCE)


class Pod:
    """Two workers of one pod, without their processes."""

    def __init__(self) -> None:
        self.block = CounterBlock(4)
        self.memory = PredictionMemory(mmap.mmap(-1, memory_bytes(6, 1000)), 6, 1000)
        self.rows = [RowRing(2), RowRing(2)]
        self.rings: list[MemoryRing] = [self.memory.ring(0), self.memory.ring(3)]
        self.tallies = [self._tally(0), self._tally(1)]

    def _tally(self, number: int) -> Tally:
        return Tally(
            self.block.row(number),
            DRIFT,
            classes=CLASSES,
            rings=(self.rows[number],),
            matcher=Matcher(self.memory, self.memory.ring(3 * number + 2), CLASSES, 7),
            bins=BinWindow(DRIFT.bins, 3600),
            labels=LabelWindow(3, 100, 3600),
        )

    def answer(self, worker: int, request_id: str, rows: list[list[float]], labels: list[int]) -> None:
        self.rows[worker].put(np.array(rows, dtype=np.float32), labels)
        self.rings[worker].remember(request_id, labels)

    def feedback(self, worker: int, now_s: float = 0.0, **fields: Any) -> Outcome:
        (result,) = self.tallies[worker].feedback([Feedback(**fields)], now_s)
        return result.outcome

    def tick(self, now_s: float) -> None:
        for tally in self.tallies:
            tally.tick(now_s)

    def exposed(self) -> str:
        registry = CollectorRegistry()
        registry.register(LiveCollector(self.block, DRIFT, CLASSES))
        return generate_latest(registry).decode()


@pytest.fixture
def pod() -> Pod:
    return Pod()


def test_drift_is_that_of_all_workers_and_is_forgotten(pod: Pod) -> None:
    """Each sees half of the training window, together they see all of it; an hour later nothing is left."""
    half = LEAST_BASKETS
    pod.answer(0, "a", [[0.0, 0.0]] * half, [1] * half)
    pod.answer(1, "b", [[2.0, 2.0]] * half, [1] * half)
    pod.tick(10_000.0)

    now = figures(pod.block, DRIFT, CLASSES)
    assert now.baskets == 2 * half
    assert now.psi == pytest.approx({"spend": 0, "shop_hour": 0}, abs=1e-6)
    assert now.prediction_psi is not None
    assert now.prediction_psi > 1
    assert 'psm_predictor_drift_psi{feature="spend"}' in pod.exposed()

    pod.tick(10_000.0 + 3600)
    assert figures(pod.block, DRIFT, CLASSES).baskets == 0
    assert "psm_predictor_drift_psi{" not in pod.exposed()


def test_the_clock_does_not_count_as_the_largest_drift(pod: Pod) -> None:
    """shop_hour holds one value in an hour."""
    pod.answer(0, "a", [[0.0, 2.0], [2.0, 2.0]] * LEAST_BASKETS, [1] * 2 * LEAST_BASKETS)
    pod.tick(10_000.0)
    now = figures(pod.block, DRIFT, CLASSES)
    assert now.psi["shop_hour"] > 0.25
    assert now.largest_psi == now.psi["spend"]


def test_baskets_that_come_too_fast_are_sampled_and_counted(pod: Pod) -> None:
    """The newest of a second are looked at."""
    pod.answer(0, "a", [[0.0, 0.0]] * 3000, [0] * 3000)
    pod.tick(10_000.0)
    now = figures(pod.block, DRIFT, CLASSES)
    assert now.baskets + now.skipped == 3000
    assert now.baskets == 1024


def test_a_label_counts_in_the_worker_that_gets_it(pod: Pod) -> None:
    """Whoever answered; the sum is the pod's, and labels are forgotten with time."""
    pod.answer(0, "a", [[0.0, 0.0]], [2])
    pod.answer(1, "b", [[0.0, 0.0]], [1])
    assert pod.feedback(1, request_id="a", label="UM") is Outcome.COUNTED
    assert pod.feedback(0, request_id="b", label="UM") is Outcome.COUNTED
    assert pod.feedback(0, request_id="a", label="UM") is Outcome.DUPLICATE
    assert pod.feedback(0, request_id="c", label="UM") is Outcome.UNKNOWN

    now = figures(pod.block, DRIFT, CLASSES)
    assert (now.labels, now.right, now.wrong) == (2, 1, 1)
    assert float(now.quality.accuracy) == 0.5
    assert now.confusion[2].tolist() == [0, 1, 1]
    text = pod.exposed()
    assert 'psm_predictor_feedback_total{outcome="duplicate"} 1.0' in text
    assert "psm_predictor_live_accuracy 0.5" in text
    assert 'psm_predictor_live_recall{label="UM"} 0.5' in text

    pod.tick(3600.0)
    now = figures(pod.block, DRIFT, CLASSES)
    assert (now.labels, now.right, now.wrong) == (0, 1, 1)
    assert "psm_predictor_live_accuracy" not in pod.exposed()


def test_the_oldest_labels_make_room(pod: Pod) -> None:
    """A hundred are kept, by number."""
    for number in range(150):
        pod.answer(0, f"r{number}", [[0.0, 0.0]], [0])
        pod.feedback(0, now_s=number, request_id=f"r{number}", label="LA" if number < 75 else "MM")
    now = figures(pod.block, DRIFT, CLASSES)
    assert (now.labels, now.confusion[0, 0], now.confusion[1, 0]) == (100, 25, 75)


def test_what_was_answered_counts_more_than_what_is_sent(pod: Pod) -> None:
    """A client that mixes up its answers does not change what this pod knows."""
    pod.answer(0, "a", [[0.0, 0.0]], [2])
    pod.feedback(0, request_id="a", label="LA", predicted="LA", model_version=7)
    assert figures(pod.block, DRIFT, CLASSES).wrong == 1


def test_more_bins_than_slots_are_refused() -> None:
    """They would be another row's."""
    words = (*(f"w{number}" for number in range(layout.BINS_MOST)), "other")
    wide = Feature(name="w", kind="category", vocabulary=words, description="many words")
    shares = Histogram(shares=(1.0, *[0.0] * layout.BINS_MOST))
    drift = Drift((wide,), Reference(baskets=1, features=(shares,), predictions=REFERENCE.predictions))
    with pytest.raises(ValueError, match="exceed"):
        Tally(
            CounterBlock(1).row(0),
            drift,
            classes=CLASSES,
            rings=(),
            matcher=Pod().tallies[0]._matcher,
            bins=BinWindow(1, 60),
            labels=LabelWindow(3, 1, 60),
        )


# --- CloudWatch -------------------------------------------------------------------------------------------------------

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


# --- the log ----------------------------------------------------------------------------------------------------------


def probabilities(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.full((count, 3), 1 / 3, dtype=np.float32)


def test_lines_are_written_in_pieces_that_a_pipe_takes_whole() -> None:
    """Workers share one pipe: longer pieces would tear each other's lines."""
    queue, pieces = PredictionQueue(clock=lambda: 1_700_000_000.0), list[bytes]()
    queue.put("r" * 200, [1] * 300, probabilities(300))
    assert LiveLog(pieces.append, CLASSES, PACKAGE).predictions(queue.take()) == 0

    assert len(pieces) > 10
    assert all(piece.endswith(b"\n") and len(piece) <= select.PIPE_BUF for piece in pieces)
    lines = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert [line["index"] for line in lines] == list(range(300))
    assert lines[0] == {
        "time": "2023-11-14T22:13:20.000+00:00",
        "level": "info",
        "logger": "psm_predictor.live",
        "message": "prediction",
        "group": "price-sensitivity",
        "request_id": "r" * 200,
        "index": 0,
        "label": "MM",
        "probabilities": pytest.approx(dict.fromkeys(CLASSES, 1 / 3)),
        "model_version": 7,
    }


def test_a_queue_that_nobody_empties_drops_what_is_new() -> None:
    """Bounded memory, and the loss is counted."""
    queue = PredictionQueue(most=5)
    for number in range(4):
        queue.put(f"r{number}", [0, 1], probabilities(2))
    assert queue.dropped == 4
    assert [entry[1] for entry in queue.take()] == ["r0", "r1"]
    queue.put("later", [0], probabilities(1))
    assert [entry[1] for entry in queue.take()] == ["later"]


def test_a_log_that_nobody_reads_loses_lines_and_nothing_else() -> None:
    """Serving goes on without stdout."""

    def closed(_: bytes) -> None:
        raise BrokenPipeError

    def results() -> Iterator[Result]:
        yield Result(Feedback(request_id="x", label="LA"), Outcome.UNKNOWN)

    log = LiveLog(closed, CLASSES, PACKAGE)
    queue = PredictionQueue()
    queue.put("a", [0] * 3, probabilities(3))
    assert log.predictions(queue.take()) == 3
    assert log.feedback(results(), 0.0) == 1
