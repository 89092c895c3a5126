"""Logged predictions joined with labels: formats, wrappings, what is counted twice and what contradicts."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_contract.metadata import LIVE_EVALUATION, NOT_METRICS, parse_metrics
from psm_contract.schema import CLASSES
from psm_training.errors import PipelineError
from psm_training.evaluate_live import LiveOrder, evaluate_live, live_document, live_properties
from psm_training.live_predictions import Joined, Labels, join, read_labels
from psm_training.registry import ModelRegistry
from psm_training.report import ROOT

GROUP = "Price-Sensitivity"


def prediction(request_id: str, label: str = "MM", *, index: int = 0, version: int = 3, **more: Any) -> dict[str, Any]:
    """A line as the predictor writes it."""
    return {
        "time": "2026-05-04T12:00:00.000+00:00",
        "level": "info",
        "message": "prediction",
        "group": GROUP.lower(),
        "request_id": request_id,
        "index": index,
        "label": label,
        "probabilities": dict.fromkeys(CLASSES, 1 / 3),
        "model_version": version,
        **more,
    }


def lines(path: Path, *rows: Mapping[str, Any] | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def labels_of(**known: str) -> Labels:
    labels = Labels()
    for request_id, label in known.items():
        labels.add({"request_id": request_id, "label": label}, "test")
    return labels


def joined(tmp_path: Path, labels: Labels, *rows: Mapping[str, Any] | str, version: int | None = None) -> Joined:
    return join([lines(tmp_path / "log.jsonl", *rows)], labels, group=GROUP, version=version)


def test_a_basket_counts_where_both_are_known(tmp_path: Path) -> None:
    """Rows are what was, columns what was said; a label without index is of the first basket."""
    found = joined(
        tmp_path,
        labels_of(a="LA", b="MM", c="UM"),
        prediction("a", "MM", time="2026-05-04T12:00:01"),
        prediction("b", "MM", time="2026-05-04T12:00:03"),
        prediction("b", "UM", index=1),
        prediction("d", "LA"),
    )
    assert found.confusion.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (found.version, found.first, found.last) == (3, "2026-05-04T12:00:01", "2026-05-04T12:00:03")
    assert found.counts == {
        "predictions": 4,
        "labels": 3,
        "matched": 2,
        "labels_without_prediction": 1,
        "labels_contradicted": 0,
        "labels_repeated": 0,
        "predictions_repeated": 0,
        "request_ids_used_twice": 0,
    }


def test_what_was_shipped_twice_counts_once(tmp_path: Path) -> None:
    """Log shippers deliver at least once; so do those who send labels."""
    labels = labels_of(a="MM")
    labels.add({"request_id": "a", "label": "MM"}, "test")
    found = joined(tmp_path, labels, prediction("a"), prediction("a"))
    assert found.counts["matched"] == 1
    assert (found.counts["predictions_repeated"], found.counts["labels_repeated"]) == (1, 1)


def test_a_contradiction_is_left_out_and_told(tmp_path: Path) -> None:
    """A label that is two, and a request id that a client used for two predictions."""
    labels = labels_of(a="MM", b="MM", c="MM")
    for label in ("LA", "MM"):
        labels.add({"request_id": "a", "label": label}, "test")
    twice = [prediction("b", "MM"), prediction("b", "UM"), prediction("b", "MM")]
    found = joined(tmp_path, labels, prediction("a"), *twice, prediction("c"))
    assert found.counts["matched"] == 1
    assert (found.counts["labels_contradicted"], found.counts["request_ids_used_twice"]) == (1, 1)


def test_the_newest_version_is_judged_unless_told_otherwise(tmp_path: Path) -> None:
    """A log of a roll-out holds two."""
    rows = [prediction("a", "LA", version=3), prediction("b", "UM", version=4)]
    labels = labels_of(a="LA", b="LA")
    assert joined(tmp_path, labels, *rows).confusion[0].tolist() == [0, 0, 1]
    assert joined(tmp_path, labels, *rows, version=3).confusion[0].tolist() == [1, 0, 0]
    with pytest.raises(PipelineError, match="no prediction of version 5; there are some of 3, 4"):
        joined(tmp_path, labels, *rows, version=5)


def test_other_groups_and_other_lines_are_left_out(tmp_path: Path) -> None:
    """One stream carries the logs of many models, and more than predictions."""
    found = joined(
        tmp_path,
        labels_of(a="MM"),
        {"message": "ready", "version": 3},
        "Traceback (most recent call last): {",
        prediction("a", "LA", group="another-group"),
        prediction("a"),
        {"message": "feedback", "request_id": "a", "label": "UM"},
    )
    assert found.confusion.sum() == found.confusion[1, 1] == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda line: json.dumps({"log": line + "\n", "kubernetes": {"pod_name": "x"}}),
        lambda line: json.dumps({"log_processed": {}, "message": line}),
        lambda line: json.dumps({"message": json.loads(line)}),
        lambda line: f"2026-05-04T12:00:00.1Z stdout F {line}",
        lambda line: json.dumps({"log": json.dumps({"log": line})}),
    ],
    ids=["fluent bit", "cloudwatch agent", "parsed", "cri", "twice"],
)
def test_what_log_shippers_put_around_a_line_does_not_matter(tmp_path: Path, wrap: Any) -> None:
    """Packed or not."""
    path = tmp_path / "part-0000.gz"
    path.write_bytes(gzip.compress((wrap(json.dumps(prediction("a"))) + "\n").encode()))
    assert join([path], labels_of(a="MM"), group=GROUP, version=None).counts["matched"] == 1


def test_labels_come_in_three_formats(tmp_path: Path) -> None:
    """The same in each; a predictor's log gives its feedback lines."""
    (tmp_path / "labels.csv").write_text("label,request_id,index\nLA,a,\nUM,b,2\n")
    with duckdb.connect() as database:
        path = tmp_path / "labels.parquet"
        database.execute(
            f"COPY (FROM (VALUES ('a', 'LA', NULL), ('b', 'UM', 2)) t(request_id, label, index)) TO '{path}'"
        )
    rows: list[dict[str, Any]] = [
        {"request_id": "a", "label": "LA"},
        {"request_id": "b", "label": "UM", "index": 2},
    ]
    lines(tmp_path / "labels.jsonl", *rows)
    feedback = [{**row, "message": "feedback", "group": GROUP.lower()} for row in rows]
    elsewhere = {"request_id": "c", "label": "UM", "message": "feedback", "group": "another"}
    lines(tmp_path / "all.log", prediction("z"), *feedback, elsewhere)
    (tmp_path / "labels.csv.gz").write_bytes(gzip.compress((tmp_path / "labels.csv").read_bytes()))
    for name in ("labels.csv", "labels.csv.gz", "labels.parquet", "labels.jsonl", "all.log"):
        read = read_labels([tmp_path / name], GROUP)
        assert (read.by_basket, read.rows) == ({("a", 0): 0, ("b", 2): 2}, 2), name


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.csv", "request_id,label\na,XL\n", r"l.csv, row 1: needs a request_id and a label of LA, MM, UM"),
        ("l.csv", "id,label\na,LA\n", r"needs a request_id"),
        ("l.csv", "request_id,label,index\na,LA,first\n", r"index is 'first', expected a whole number"),
        ("l.xlsx", "", r"labels in l.xlsx: .csv, .parquet, .jsonl"),
    ],
    ids=["an unknown label", "another header", "an index in words", "another format"],
)
def test_a_mistake_in_the_labels_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    """With the file and the row."""
    (tmp_path / name).write_text(content)
    with pytest.raises(PipelineError, match=message):
        read_labels([tmp_path / name], GROUP)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no prediction of group Price-Sensitivity; run the predictor with PSM_PREDICTION_LOG=1"),
        ([{"message": "prediction", "request_id": "a"}], "lacks or misstates 'model_version'"),
        ([prediction("a", "XL")], "lacks or misstates 'XL'"),
    ],
    ids=["none", "half a line", "an unknown label"],
)
def test_a_log_that_is_none_is_named(tmp_path: Path, rows: list[Any], message: str) -> None:
    """Rather than judged by what is left."""
    with pytest.raises(PipelineError, match=message):
        joined(tmp_path, labels_of(a="LA"), *rows)


def no_registry() -> ModelRegistry:
    raise AssertionError("nothing of AWS is needed")


def order(tmp_path: Path, baskets: int, **more: Any) -> LiveOrder:
    lines(tmp_path / "log.jsonl", *(prediction(f"r{n}", CLASSES[n % 3]) for n in range(baskets)))
    (tmp_path / "labels.csv").write_text(
        "request_id,label\n" + "".join(f"r{n},{CLASSES[n % 3 if n % 5 else 0]}\n" for n in range(baskets))
    )
    return LiveOrder(predictions=str(tmp_path / "*.jsonl"), labels=str(tmp_path / "labels.csv"), group=GROUP, **more)


def test_too_few_labels_are_refused_with_what_was_found(tmp_path: Path) -> None:
    """One short of the limit; at the limit it judges, and needs no AWS for it."""
    with pytest.raises(PipelineError, match=r"199 labels match a prediction of version 3, 200 are needed .*labels 199"):
        evaluate_live(order(tmp_path, 199), no_registry)
    assert evaluate_live(order(tmp_path, 200), no_registry)["written"] is None
    unlabelled = order(tmp_path, 1, least_labels=0)
    lines(tmp_path / "labels.csv", "request_id,label", "another,LA")
    with pytest.raises(PipelineError, match="0 labels match"):
        evaluate_live(unlabelled, no_registry)
    with pytest.raises(PipelineError, match=r"no file matches .*nothing"):
        evaluate_live(LiveOrder(predictions="nothing", labels="nothing", group=GROUP), no_registry)


@given(st.lists(st.integers(1, 300), min_size=9, max_size=9))
def test_the_document_is_the_same_each_time_and_holds_its_interval(cells: list[int]) -> None:
    """Bit by bit: its digest names the object. The interval is that of a binomial share."""
    confusion = np.array(cells, dtype=np.float64).reshape(3, 3)
    baskets = Joined(3, confusion, "", "", {"matched": int(confusion.sum())})
    document = live_document(baskets)
    assert document == live_document(baskets)
    accuracy = document[ROOT]["accuracy"]
    low, high = accuracy["confidence_interval_95"]
    share = np.trace(confusion) / confusion.sum()
    assert accuracy["value"] == pytest.approx(share)
    assert low <= share <= high
    expected = 2 * 1.96 * np.sqrt(share * (1 - share) / confusion.sum())
    assert high - low == pytest.approx(expected, rel=0.25, abs=0.01)
    assert document[ROOT]["accuracy_upper"]["value"] == high


def test_what_is_recorded_are_metrics_but_for_the_address() -> None:
    """The operator would otherwise read an address as a metric that is no number."""
    confusion = np.array([[60.0, 10, 0], [10, 100, 10], [0, 10, 50]])
    properties = live_properties(live_document(Joined(3, confusion, "", "", {})), "s3://b/k/live/x.json")
    assert properties.pop(LIVE_EVALUATION) == "s3://b/k/live/x.json"
    assert LIVE_EVALUATION in NOT_METRICS
    parsed = parse_metrics({**properties, LIVE_EVALUATION: "s3://b/k", "psm.accuracy": "0.9"})
    assert parsed.malformed == {}
    assert parsed.values.keys() == {"accuracy", "macro_f1", "precision_min_class", "accuracy_upper"}
    assert str(parsed.values["accuracy"]) == "0.840000"
