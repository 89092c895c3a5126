"""Predictions and feedback as log lines, for `psm-train evaluate-live`: request id, answer, version, time; never a basket.

The hot path puts a tuple into a queue; the thread of `live` encodes and writes. A queue that nobody empties fast enough
drops what is new, and that is counted.
"""

import datetime as dt
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from psm_predictor.live.feedback import Result
from psm_predictor.model import Matrix
from psm_predictor.settings import PackageRef

Write = Callable[[bytes], object]

MOST_WAITING: Final = 50_000
"""Baskets in a queue, some 15 MB; they wait for a second unless stdout is stuck."""

PREDICTION: Final = "prediction"
FEEDBACK: Final = "feedback"
_LOGGER: Final = "psm_predictor.live"

Waiting = tuple[float, str, list[int], list[list[float]]]


class PredictionQueue:
    """One writer's predictions on their way to the log."""

    def __init__(self, most: int = MOST_WAITING, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._waiting: deque[Waiting] = deque()
        self._put = 0
        self._taken = 0
        self._dropped = 0

    def put(self, request_id: str, labels: Sequence[int], probabilities: Matrix) -> None:
        """One request."""
        if self._put - self._taken + len(labels) > self._most:
            self._dropped += len(labels)
            return
        self._waiting.append((self._clock(), request_id, list(labels), probabilities.tolist()))
        self._put += len(labels)

    def take(self) -> Iterator[Waiting]:
        """What waits, oldest first."""
        while self._waiting:
            entry = self._waiting.popleft()
            self._taken += len(entry[2])
            yield entry

    @property
    def dropped(self) -> int:
        """Baskets that were not kept, since the start."""
        return self._dropped


class LiveLog:
    """Encodes lines; `write` gets whole lines, each time no more than a pipe takes in one piece."""

    def __init__(self, write: Write, classes: Sequence[str], package: PackageRef) -> None:
        self._write = write
        self._classes = classes
        self._group = package.group
        self._version = package.version
        self._encode = msgspec.json.Encoder().encode

    def predictions(self, waiting: Iterable[Waiting]) -> int:
        """Writes predictions; how many were lost."""
        return self._lines(line for entry in waiting for line in self._predictions(*entry))

    def feedback(self, results: Iterable[Result], now_s: float) -> int:
        """Writes feedback; how many items were lost."""
        head = self._head(now_s, FEEDBACK)
        return self._lines(
            {
                **head,
                "request_id": result.item.request_id,
                "index": result.item.index or 0,
                "label": result.item.label,
                "outcome": result.outcome.word,
            }
            for result in results
        )

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

    def _head(self, at_s: float, message: str) -> dict[str, Any]:
        moment = dt.datetime.fromtimestamp(at_s, tz=dt.UTC).isoformat(timespec="milliseconds")
        return {"time": moment, "level": "info", "logger": _LOGGER, "message": message, "group": self._group}

    def _lines(self, documents: Iterable[dict[str, Any]]) -> int:
        """Workers share one pipe: what is written in one piece of at most PIPE_BUF bytes is not torn by another's."""
        lost, piece, lines = 0, b"", 0
        for document in documents:
            line = self._encode(document) + b"\n"
            if piece and len(piece) + len(line) > select.PIPE_BUF:
                lost += self._piece(piece, lines)
                piece, lines = b"", 0
            piece += line
            lines += 1
        return lost + (self._piece(piece, lines) if piece else 0)

    def _piece(self, piece: bytes, lines: int) -> int:
        try:
            self._write(piece)
        except OSError:  # nobody reads stdout any more; serving goes on
            return lines
        return 0
