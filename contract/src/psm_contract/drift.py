"""Drift: how far live baskets have moved from the training window, feature by feature, as population stability index.

The index of one histogram is the sum over its bins of (live - trained) * ln(live / trained), with the shares of both
(Siddiqi, Credit Risk Scorecards, 2006). By custom below 0.1 is nothing, up to 0.25 is worth a look, and above it the
population is another one. Half a basket is added to every bin of both sides, so that an empty bin is not infinitely far.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.manifest import Feature, Reference

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

LEAST_BASKETS: Final = 500
"""Fewer are not compared: by chance alone ten bins then differ by (bins - 1) / baskets, which is 0.018 at 500."""

MOVED: Final = 0.25
"""Above this, the population is another one."""

CALENDAR: Final = frozenset({"shop_weekday", "shop_hour"})
"""Features that the clock decides: within an hour they hold one value each, whatever customers do."""

_ADDED: Final = 0.5


class Drift:
    """The bins of all features, then those of the predicted classes, side by side in one flat array.

    Args:
        features: Of the manifest.
        reference: Of the manifest.
    """

    def __init__(self, features: Sequence[Feature], reference: Reference) -> None:
        histograms = (*reference.features, reference.predictions)
        self.names: Final = tuple(feature.name for feature in features)
        self._is_category = [feature.kind == "category" for feature in features]
        self._edges = [np.asarray(histogram.edges) for histogram in reference.features]
        self._sizes = np.array([len(histogram.shares) for histogram in histograms])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.bins: Final = int(self._sizes.sum())
        trained = np.concatenate([histogram.shares for histogram in histograms]) * reference.baskets
        self._trained = self._shares(trained)

    def count(self, matrix: NDArray[np.float32], labels: NDArray[np.integer]) -> Counts:
        """How many baskets fall into each bin, [bins].

        Args:
            matrix: [baskets, features] in the manifest's order, categories as the number of their word.
            labels: Number of the predicted class, [baskets].
        """
        bins = np.empty((len(self._sizes), len(matrix)), dtype=np.int64)
        columns = matrix.T.astype(np.float64, order="C")
        for row, column, edges, size, is_category in zip(
            bins, columns, self._edges, self._sizes.tolist(), self._is_category, strict=False
        ):
            if is_category:
                row[:] = np.fmin(np.fmax(column, 0), size - 1)  # a NaN would be the first word, never another's bin
            else:
                row[:] = np.searchsorted(edges, column, side="right")
        bins[-1] = labels
        bins += self._starts[:, np.newaxis]
        return np.bincount(bins.ravel(), minlength=self.bins)

    def index(self, counts: Counts | Floats) -> Floats | None:
        """The index of every feature, then that of the predictions, [features + 1]; None of too few baskets."""
        live = np.asarray(counts, dtype=np.float64)
        if live[self._starts[-1] :].sum() < LEAST_BASKETS:
            return None
        shares = self._shares(live)
        index: Floats = np.add.reduceat((shares - self._trained) * np.log(shares / self._trained), self._starts)
        return index

    def baskets(self, counts: Counts | Floats) -> int:
        """How many baskets were counted."""
        return int(counts[self._starts[-1] :].sum())

    def _shares(self, counts: Floats) -> Floats:
        added = counts + _ADDED
        shares: Floats = added / np.repeat(np.add.reduceat(added, self._starts), self._sizes)
        return shares
