"""What happened lately: counts of bins by time slot, and labels by number and age. Pure; the time is an argument."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.drift import Counts

SLOTS: Final = 60
"""Parts of a drift window: an hour is forgotten minute by minute."""


class BinWindow:
    """Counts of a window, forgotten slot by slot."""

    def __init__(self, bins: int, window_s: float) -> None:
        self._slot_s = window_s / SLOTS
        self._counts = np.zeros((SLOTS, bins), dtype=np.int64)
        self._current = 0
        self.total: Counts = np.zeros(bins, dtype=np.int64)

    def add(self, counts: Counts, now_s: float) -> None:
        """Counts of now."""
        self.forget(now_s)
        self._counts[self._current % SLOTS] += counts
        self.total += counts

    def forget(self, now_s: float) -> bool:
        """Drops slots that are too old; whether there were any. A clock that goes back waits until it catches up."""
        slot = int(now_s / self._slot_s)
        passed = min(slot - self._current, SLOTS)
        if passed <= 0:
            return False
        old = np.arange(slot - passed + 1, slot + 1) % SLOTS
        self.total -= self._counts[old].sum(axis=0)
        self._counts[old] = 0
        self._current = slot
        return True


class LabelWindow:
    """Confusion counts of the newest labels: at most `most`, none older than `window_s`."""

    def __init__(self, classes: int, most: int, window_s: float) -> None:
        self._classes = classes
        self._most = most
        self._window_s = window_s
        self._times = np.zeros(most)
        self._cells = np.zeros(most, dtype=np.uint8)
        self._added = 0
        self._dropped = 0
        self.confusion: NDArray[np.int64] = np.zeros((classes, classes), dtype=np.int64)

    def add(self, actual: int, predicted: int, now_s: float) -> None:
        """One label."""
        if self._added - self._dropped == self._most:
            self._drop(1)
        at = self._added % self._most
        self._times[at] = now_s
        self._cells[at] = actual * self._classes + predicted
        self._added += 1
        self.confusion[actual, predicted] += 1

    def forget(self, now_s: float) -> None:
        """Drops labels that are too old."""
        if self._added == self._dropped:
            return
        kept = np.arange(self._dropped, self._added) % self._most
        self._drop(int(np.count_nonzero(self._times[kept] <= now_s - self._window_s)))

    def _drop(self, count: int) -> None:
        """Drops the oldest."""
        places = np.arange(self._dropped, self._dropped + count) % self._most
        cells = np.bincount(self._cells[places], minlength=self._classes**2)
        self.confusion -= cells.reshape(self.confusion.shape)
        self._dropped += count
