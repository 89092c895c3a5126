"""The live numbers of a pod, read from the slots of all its workers: what /metrics and the CloudWatch lines show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psm_contract.drift import CALENDAR, Drift
from psm_contract.quality import Quality
from psm_predictor.counters import CounterBlock
from psm_predictor.live import layout
from psm_predictor.live.layout import Outcome


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers.

    Attributes:
        confusion: Labels of the window, [actual, predicted].
        baskets: Of the drift window.
        psi: Of each feature; empty while there are too few baskets.
        prediction_psi: Of the predicted classes; None likewise.
        feedback: Items since the start, by outcome.
        right: Labels since the start that the model had right.
        wrong: Those it had wrong.
        skipped: Baskets since the start that drift did not look at.
        log_dropped: Lines of the prediction log since the start that were lost.
    """

    confusion: NDArray[np.float64]
    baskets: int
    psi: Mapping[str, float]
    prediction_psi: float | None
    feedback: Mapping[str, float]
    right: int
    wrong: int
    skipped: float
    log_dropped: float

    @property
    def labels(self) -> int:
        """How many labels the window holds."""
        return int(self.confusion.sum())

    @property
    def quality(self) -> Quality:
        """Of the labels of the window."""
        return Quality.of(self.confusion)

    @property
    def largest_psi(self) -> float | None:
        """Of all features but those that the clock decides."""
        return max((value for name, value in self.psi.items() if name not in CALENDAR), default=None)


def figures(block: CounterBlock, drift: Drift, classes: Sequence[str]) -> Figures:
    """The sum over all workers, as it is now."""
    counts = np.array([block.total(slot) for slot in range(layout.BINS, layout.BINS + drift.bins)])
    cells = np.array([block.total(layout.CONFUSION + cell) for cell in range(len(classes) ** 2)])
    index = drift.index(counts)
    return Figures(
        confusion=cells.reshape(len(classes), len(classes)),
        baskets=drift.baskets(counts),
        psi={} if index is None else dict(zip(drift.names, index.tolist(), strict=False)),
        prediction_psi=None if index is None else float(index[-1]),
        feedback={outcome.word: block.total(layout.FEEDBACK + outcome) for outcome in Outcome},
        right=int(block.total(layout.RIGHT)),
        wrong=int(block.total(layout.WRONG)),
        skipped=block.total(layout.SKIPPED),
        log_dropped=block.total(layout.LOG_DROPPED),
    )
