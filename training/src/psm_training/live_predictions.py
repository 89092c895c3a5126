"""Logged predictions and the labels that came later, joined by request id. Reads files; knows nothing of the registry.

Predictions are the log lines that a predictor writes with PSM_PREDICTION_LOG=1, as they are or as a log shipper wraps
them, among other lines. Shippers deliver at least once, so a line may be there twice.
"""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from psm_contract.schema import CLASSES
from psm_training.errors import PipelineError

Basket = tuple[str, int]
"""Request id, and which basket of the request."""

_NUMBER: Final = {name: number for number, name in enumerate(CLASSES)}
_WRAPPERS: Final = ("log", "message", "MESSAGE")
"""Members in which Fluent Bit, the CloudWatch agent and journald put the line they ship."""


@dataclass
class Labels:
    """What baskets turned out to be.

    Attributes:
        by_basket: Class number; None where labels contradict one another.
        rows: How many were read.
    """

    by_basket: dict[Basket, int | None] = field(default_factory=dict)
    rows: int = 0

    @property
    def contradicted(self) -> int:
        """Baskets with more than one label."""
        return sum(label is None for label in self.by_basket.values())

    def add(self, row: Mapping[str, Any], where: str) -> None:
        """One row with request_id, label and maybe index."""
        request_id, word = row.get("request_id"), row.get("label")
        if not request_id or word not in _NUMBER:
            raise PipelineError(f"{where}: needs a request_id and a label of {', '.join(CLASSES)}; it has {dict(row)}")
        basket = str(request_id), _index(row.get("index"), where)
        label = _NUMBER[str(word)]
        self.by_basket[basket] = label if self.by_basket.get(basket, label) == label else None
        self.rows += 1


@dataclass(frozen=True)
class Joined:
    """Baskets of one version that have both.

    Attributes:
        version: Of the model.
        confusion: Baskets, [actual class, predicted class].
        first: Time of the earliest joined prediction, ISO 8601; empty if there is none.
        last: Of the latest.
        counts: What was read and what was left out, for the report.
    """

    version: int
    confusion: NDArray[np.float64]
    first: str
    last: str
    counts: dict[str, int]


def read_labels(files: Iterable[Path], group: str) -> Labels:
    """Labels of CSV, Parquet or JSON lines; also of the feedback lines among a predictor's log.

    Raises:
        PipelineError: A row has no request id or an unknown label, or the format is not known.
    """
    labels = Labels()
    for path in files:
        for number, row in enumerate(_rows(path), start=1):
            if _is_of(row, group) and row.get("message") in (None, "feedback"):
                labels.add(row, f"{path.name}, row {number}")
    return labels


def join(files: Iterable[Path], labels: Labels, *, group: str, version: int | None) -> Joined:
    """Joins logged predictions with labels.

    Args:
        files: Of JSON lines.
        labels: Of any version.
        group: Lines that name another model package group are left out.
        version: Of the model; None: the newest that was logged.

    Raises:
        PipelineError: There is no prediction, or none of the version.
    """
    seen = _Predictions(labels)
    for path in files:
        for row in _json_rows(path):
            if row.get("message") == "prediction" and _is_of(row, group):
                seen.add(row)
    if not seen.by_version:
        raise PipelineError(f"no prediction of group {group}; run the predictor with PSM_PREDICTION_LOG=1")
    wanted = max(seen.by_version) if version is None else version
    if wanted not in seen.by_version:
        known = ", ".join(str(number) for number in sorted(seen.by_version))
        raise PipelineError(f"no prediction of version {wanted}; there are some of {known}")
    return seen.joined(wanted)


@dataclass(frozen=True)
class _Prediction:
    version: int
    label: int
    time: str


class _Predictions:
    """Keeps those that have a label: memory is bounded by the labels, not by the log."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._kept: dict[Basket, _Prediction | None] = {}
        self.by_version: Counter[int] = Counter()
        self._repeated = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """One logged prediction."""
        try:
            prediction = _Prediction(int(row["model_version"]), _NUMBER[row["label"]], str(row.get("time", "")))
            basket = str(row["request_id"]), int(row.get("index", 0))
        except (KeyError, TypeError, ValueError) as err:
            raise PipelineError(f"a logged prediction lacks or misstates {err}: {dict(row)}") from err
        self.by_version[prediction.version] += 1
        if basket not in self._labels.by_basket:
            return
        if basket not in self._kept:
            self._kept[basket] = prediction
            return
        self._repeated += 1
        before = self._kept[basket]
        if before is None or (before.version, before.label) != (prediction.version, prediction.label):
            self._kept[basket] = None  # a client used a request id twice: which of the two was labelled is unknown

    def joined(self, version: int) -> Joined:
        """The baskets of one version."""
        confusion = np.zeros((len(CLASSES), len(CLASSES)))
        times = []
        for basket, prediction in self._kept.items():
            label = self._labels.by_basket[basket]
            if prediction is not None and label is not None and prediction.version == version:
                confusion[label, prediction.label] += 1
                times.append(prediction.time)
        counts = {
            "predictions": self.by_version[version],
            "labels": len(self._labels.by_basket),
            "matched": int(confusion.sum()),
            "labels_without_prediction": len(self._labels.by_basket) - len(self._kept),
            "labels_contradicted": self._labels.contradicted,
            "labels_repeated": self._labels.rows - len(self._labels.by_basket),
            "predictions_repeated": self._repeated,
            "request_ids_used_twice": sum(kept is None for kept in self._kept.values()),
        }
        return Joined(version, confusion, min(times, default=""), max(times, default=""), counts)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    match kind:
        case "csv":
            with _text(path) as lines:
                yield from csv.DictReader(lines)
        case "parquet":
            with duckdb.connect() as database:
                found = database.execute("FROM read_parquet($path)", {"path": str(path)})
                names = [column[0] for column in found.description or ()]
                while row := found.fetchone():
                    yield dict(zip(names, row, strict=True))
        case "jsonl" | "json" | "ndjson" | "log":
            yield from _json_rows(path)
        case _:
            raise PipelineError(f"labels in {path.name}: .csv, .parquet, .jsonl, .json, .ndjson or .log, maybe .gz")


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of a file, one per line, without what log shippers put around them; other lines are left out."""
    with _text(path) as lines:
        for line in lines:
            row = _object(line[line.find("{") :]) if "{" in line else None
            while row is not None and "request_id" not in row:
                row = next((inner for name in _WRAPPERS if (inner := _object(row.get(name)))), None)
            if row is not None:
                yield row


def _object(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def _text(path: Path) -> Any:
    """The file as lines of text; read as gzip if it is that, whatever its name."""
    with path.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
    if is_packed:
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _is_of(row: Mapping[str, Any], group: str) -> bool:
    """Whether a row belongs to the group, or does not say; ARNs hold group names in lower case."""
    return str(row.get("group") or group).lower() == group.lower()


def _index(value: Any, where: str) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError) as err:
        raise PipelineError(f"{where}: index is {value!r}, expected a whole number") from err
