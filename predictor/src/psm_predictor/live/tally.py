"""One worker's live numbers: takes what the rings hold, keeps the windows, writes their sums into the worker's slots.

All of it runs in the one thread of `live`; the hot path only fills the rings.
"""

from collections.abc import Sequence

import numpy as np

from psm_contract.drift import Drift
from psm_predictor.counters import Row
from psm_predictor.live import layout
from psm_predictor.live.feedback import Feedback, Matcher, Result
from psm_predictor.live.layout import Outcome
from psm_predictor.live.rings import RowRing
from psm_predictor.live.windows import BinWindow, LabelWindow


class Tally:
    """The numbers of one worker.

    Args:
        row: Its slots.
        drift: The bins of the model.
        classes: Of the model.
        rings: Filled by its answerers.
        matcher: Finds predictions.
        bins: The drift window.
        labels: The window of labels.
    """

    def __init__(
        self,
        row: Row,
        drift: Drift,
        *,
        classes: Sequence[str],
        rings: Sequence[RowRing],
        matcher: Matcher,
        bins: BinWindow,
        labels: LabelWindow,
    ) -> None:
        if drift.bins > layout.BINS_MOST or len(classes) > layout.CLASSES_MOST:
            raise ValueError(f"{drift.bins} bins of {len(classes)} classes exceed the {layout.BINS_MOST} counters")
        self._row = row
        self._drift = drift
        self._number = {name: number for number, name in enumerate(classes)}
        self._rings = rings
        self._matcher = matcher
        self._bins = bins
        self._labels = labels

    def tick(self, now_s: float) -> None:
        """Counts what was answered since the last tick, and forgets what is too old."""
        changed = self._bins.forget(now_s)
        for ring in self._rings:
            rows, labels, skipped = ring.take()
            self._row[layout.SKIPPED] += skipped
            if len(rows):
                self._bins.add(self._drift.count(rows, labels), now_s)
                changed = True
        if changed:
            self._row[layout.BINS : layout.BINS + self._drift.bins] = self._bins.total.astype(np.float64).data
        self._labels.forget(now_s)
        self._publish_labels()

    def feedback(self, items: Sequence[Feedback], now_s: float) -> list[Result]:
        """Counts feedback."""
        results = self._matcher.match(items)
        for result in results:
            self._row[layout.FEEDBACK + result.outcome] += 1
            if result.outcome is Outcome.COUNTED and result.predicted is not None:
                actual, predicted = self._number[result.item.label], self._number[result.predicted]
                self._labels.add(actual, predicted, now_s)
                self._row[layout.RIGHT if actual == predicted else layout.WRONG] += 1
        self._publish_labels()
        return results

    def lost_lines(self, total: int) -> None:
        """Lines of the prediction log that were lost, since the start."""
        self._row[layout.LOG_DROPPED] = total

    def _publish_labels(self) -> None:
        cells = self._labels.confusion.astype(np.float64).ravel()
        self._row[layout.CONFUSION : layout.CONFUSION + len(cells)] = cells.data
