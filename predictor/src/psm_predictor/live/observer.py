"""What an answerer tells after each request: copies, and nothing that could fail or wait. Under a microsecond for a row."""

from collections.abc import Sequence

from psm_predictor.live.memory import MemoryRing
from psm_predictor.live.prediction_log import PredictionQueue
from psm_predictor.live.rings import RowRing
from psm_predictor.model import Matrix


class LiveObserver:
    """The observer of one answerer; `queue` is None unless predictions are logged."""

    def __init__(self, rows: RowRing, memory: MemoryRing, queue: PredictionQueue | None) -> None:
        self._put = rows.put
        self._remember = memory.remember
        self._queue = queue

    def answered(self, matrix: Matrix, probabilities: Matrix, labels: Sequence[int], request_id: str) -> None:
        """One request was answered; keeps copies only."""
        self._put(matrix, labels)
        self._remember(request_id, labels)
        if self._queue is not None:
            self._queue.put(request_id, labels, probabilities)
