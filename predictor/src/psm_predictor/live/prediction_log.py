"""Predictions and feedback as log lines, for `psm-train evaluate-live`: request id, answer, version, time; never a basket.

Whoever has something to log puts a tuple into a queue of its own; a thread encodes and writes. A queue that is not
emptied fast enough, as when nobody reads stdout, drops what is new, and that is counted.
"""

import datetime as dt
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from psm_predictor.live.feedback import Result
from psm_predictor.model import Matrix
from psm_predictor.settings import PackageRef

Write = Callable[[bytes], object]
Clock = Callable[[], float]
Entry = TypeVar("Entry")

MOST_WAITING: Final = 50_000
"""Lines in a queue, some 15 MB; they wait for a fraction of a second unless stdout is stuck."""

PREDICTION: Final = "prediction"
FEEDBACK: Final = "feedback"
_LOGGER: Final = "psm_predictor.live"

Answered = tuple[float, str, list[int], list[list[float]]]
"""When, request id, labels, probabilities."""

Labelled = tuple[float, Sequence[Result]]
"""When, and what became of the feedback."""


class _Queue(Generic[Entry]):
    """One writer puts, the log's thread takes; nobody waits."""

    def __init__(self, most: int = MOST_WAITING, clock: Clock = time.time) -> None:
        self._most = most
        self._clock = clock
        self._waiting: deque[tuple[int, Entry]] = deque()
        self._put = 0
        self._taken = 0
        self.dropped = 0

    def _add(self, lines: int, entry: Entry) -> None:
        self._waiting.append((lines, entry))
        self._put += lines

    def _has_room(self, lines: int) -> bool:
        if self._put - self._taken + lines <= self._most:
            return True
        self.dropped += lines
        return False

    def take(self) -> Iterator[Entry]:
        """What waits, oldest first."""
        while self._waiting:
            lines, entry = self._waiting.popleft()
            yield entry
            self._taken += lines


class PredictionQueue(_Queue[Answered]):
    """One answerer's predictions on their way to the log."""

    def put(self, request_id: str, labels: Sequence[int], probabilities: Matrix) -> None:
        """One request."""
        if self._has_room(len(labels)):
            self._add(len(labels), (self._clock(), request_id, list(labels), probabilities.tolist()))


class FeedbackQueue(_Queue[Labelled]):
    """Feedback on its way to the log."""

    def put(self, results: Sequence[Result]) -> None:
        """What came in one body."""
        if self._has_room(len(results)):
            self._add(len(results), (self._clock(), results))


class LiveLog:
    """Encodes lines; `write` gets whole lines, each time no more than a pipe takes in one piece."""

    def __init__(self, write: Write, classes: Sequence[str], package: PackageRef) -> None:
        self._write = write
        self._classes = classes
        self._group = package.group
        self._version = package.version
        self._encode = msgspec.json.Encoder().encode

    def predictions(self, waiting: Iterable[Answered]) -> None:
        """Writes predictions; raises OSError if they cannot be written."""
        self._lines(line for entry in waiting for line in self._predictions(*entry))

    def feedback(self, waiting: Iterable[Labelled]) -> None:
        """Writes feedback; raises OSError if it cannot be written."""
        self._lines(line for entry in waiting for line in self._feedback(*entry))

    def _predictions(
        self, at_s: float, request_id: str, labels: list[int], probabilities: list[list[float]]
    ) -> Iterator[dict[str, Any]]:
        head = self._head(at_s, PREDICTION)
        for index, (label, row) in enumerate(zip(labels, probabilities, strict=True)):
            yield {
                **head,
                "request_id": request_id,
                "index": index,
                "label": self._classes[label],
                "probabilities": dict(zip(self._classes, row, strict=True)),
                "model_version": self._version,
            }

    def _feedback(self, at_s: float, results: Sequence[Result]) -> Iterator[dict[str, Any]]:
        head = self._head(at_s, FEEDBACK)
        for result in results:
            item = result.item
            found = {"request_id": item.request_id, "index": item.index or 0, "label": item.label}
            yield {**head, **found, "outcome": result.outcome.word}

    def _head(self, at_s: float, message: str) -> dict[str, Any]:
        moment = dt.datetime.fromtimestamp(at_s, tz=dt.UTC).isoformat(timespec="milliseconds")
        return {"time": moment, "level": "info", "logger": _LOGGER, "message": message, "group": self._group}

    def _lines(self, documents: Iterable[dict[str, Any]]) -> None:
        """Workers share one pipe: what is written in one piece of at most PIPE_BUF bytes is not torn by another's."""
        piece = b""
        for document in documents:
            line = self._encode(document) + b"\n"
            if len(piece) + len(line) > select.PIPE_BUF:
                self._write(piece)
                piece = b""
            piece += line
        if piece:
            self._write(piece)
