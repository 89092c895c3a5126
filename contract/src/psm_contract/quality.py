"""Accuracy, precision, recall and F1 of confusion counts: one definition for training, live evaluation and the predictor."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """Metrics of confusion counts; every array has the shape of the counts without the last two axes.

    A class that was never predicted has precision 0, one that never occurred recall 0.
    """

    accuracy: Floats
    precision: Floats
    recall: Floats
    support: Floats

    @classmethod
    def of(cls, confusion: Floats) -> Self:
        """Metrics of counts [..., actual class, predicted class]."""
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        actual, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
        return cls(
            accuracy=hits.sum(axis=-1) / np.maximum(confusion.sum(axis=(-2, -1)), 1),
            precision=hits / np.maximum(predicted, 1),
            recall=hits / np.maximum(actual, 1),
            support=actual,
        )

    def f_score(self, beta: float) -> Floats:
        """F-beta per class, [..., classes]."""
        weight = beta**2
        below = weight * self.precision + self.recall
        score: Floats = (1 + weight) * self.precision * self.recall / np.where(below > 0, below, 1)
        return score

    def weighted(self, values: Floats) -> Floats:
        """Mean over classes, weighted by how often they occur."""
        mean: Floats = (values * self.support).sum(axis=-1) / np.maximum(self.support.sum(axis=-1), 1)
        return mean

    @property
    def macro_f1(self) -> Floats:
        """Plain mean of F1 over classes."""
        return np.asarray(self.f_score(1).mean(axis=-1), dtype=np.float64)
