"""Where the live numbers lie in a worker's row of slots, and how much memory predictions take. Imports nothing.

The parent of several workers makes the memory and must stay small.
"""

from enum import IntEnum
from typing import Final

from psm_predictor.counters import LIVE, SLOTS

CLASSES_MOST: Final = 4
"""Classes whose confusions have a place; the manifest allows three."""


class Outcome(IntEnum):
    """What became of one item of feedback; the number is its slot, the lower-case name its label."""

    COUNTED = 0
    """Its prediction was found, or sent along: it counts."""
    DUPLICATE = 1
    """It was counted before."""
    UNKNOWN = 2
    """No prediction is known, and none was sent along."""
    AMBIGUOUS = 3
    """The request had several baskets, and the index does not say which of them."""
    OTHER_VERSION = 4
    """Another version of the model made the prediction."""

    @property
    def word(self) -> str:
        """As clients and metrics read it."""
        return self.name.lower()


FEEDBACK: Final = LIVE
RIGHT: Final = FEEDBACK + len(Outcome)
"""Labels counted that the model had right, since the start; then those it had wrong."""
WRONG: Final = RIGHT + 1
SKIPPED: Final = WRONG + 1
"""Baskets that drift did not look at, because they came faster than it samples."""
LOG_DROPPED: Final = SKIPPED + 1
CONFUSION: Final = LOG_DROPPED + 1
"""Labels of the window, [actual, predicted]."""
BINS: Final = CONFUSION + CLASSES_MOST**2
"""Baskets of the window in each bin of `psm_contract.drift`."""
BINS_MOST: Final = SLOTS - BINS

WRITERS_PER_WORKER: Final = 3
"""Who remembers predictions: the event loop, the batch thread, and feedback that brought its prediction along."""

ENTRY_BYTES: Final = 8 + 8 + 4
"""Of a request: the key of its id, where its labels begin, how many they are."""
RING_HEAD_BYTES: Final = 8
"""Of a ring: how many labels it has seen."""


def memory_bytes(rings: int, size: int) -> int:
    """Bytes that `memory.PredictionMemory` needs for so many rings of so many requests and labels."""
    return rings * (RING_HEAD_BYTES + size * (ENTRY_BYTES + 1))
