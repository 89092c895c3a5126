"""The hot path's part of drift: a row is copied into a ring, and that is all. Counting happens in the thread of `live`.

One thread puts, another takes, without a lock. A row that is overwritten while it is copied mixes two baskets, which a
histogram of each feature by itself does not notice.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_predictor.model import Matrix

CAPACITY: Final = 1024
"""Rows between two takes, a second apart: all baskets up to a thousand a second, the newest of them beyond."""


class RowRing:
    """The newest rows and their predicted labels."""

    def __init__(self, features: int, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rows = np.zeros((capacity, features), dtype=np.float32)
        self._labels = np.zeros(capacity, dtype=np.uint8)
        self._one_label = self._labels.data
        self._put = 0
        self._taken = 0

    def put(self, matrix: Matrix, labels: Sequence[int]) -> None:
        """Copies the rows of one request."""
        if len(labels) == 1:
            at = self._put % self._capacity
            self._rows[at] = matrix
            self._one_label[at] = labels[0]
            self._put += 1
            return
        places = np.arange(self._put, self._put + len(labels)) % self._capacity
        self._rows[places] = matrix  # of a place that comes twice, numpy keeps the last
        self._labels[places] = labels
        self._put += len(labels)

    def take(self) -> tuple[Matrix, NDArray[np.uint8], int]:
        """Rows and labels since the last take, and how many were overwritten before anybody took them."""
        put, taken = self._put, self._taken
        self._taken = put
        waiting = min(put - taken, self._capacity)
        places = np.arange(put - waiting, put) % self._capacity
        return self._rows[places], self._labels[places], put - taken - waiting
