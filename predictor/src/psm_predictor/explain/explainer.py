"""What each feature of a basket contributed to its answer, by TreeSHAP: exact Shapley values of the trees.

A feature that is not known counts with the training rows on either side of each split ("path-dependent" TreeSHAP).
Called by `answer` when a request asks for it. Holds LightGBM's copy of the trees.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from psm_contract.trees import TreeEnsemble
from psm_predictor.explain.lightgbm import Booster
from psm_predictor.explain.model_text import ModelTexts
from psm_predictor.model import Matrix

_MOST_LEAVES: Final = 16_384
"""Of one booster: its text is a MiB or two while it is read, whatever the forest."""

_SAME: Final = 1e-6
"""Sums of a tree's leaves over the classes that differ by less are the same: float32 keeps seven digits."""

Scale = Literal["probability", "margin"]


class ContributionExplainer:
    """The contributions for one ensemble; one thread at a time may ask.

    Attributes:
        scale: What base and contributions of a class sum to: its probability, or its margin before softmax.
    """

    def __init__(self, ensemble: TreeEnsemble) -> None:
        self.scale: Scale = "probability" if ensemble.link == "identity" else "margin"
        self._base = ensemble.base
        self._columns = ensemble.columns
        texts = ModelTexts(ensemble)
        self._total = _constant_total(ensemble)
        asked = ensemble.classes if self._total is None else ensemble.classes - 1
        self._boosters = [
            [Booster(text, ensemble.columns) for text in texts.texts(number, _MOST_LEAVES)] for number in range(asked)
        ]

    def contributions(self, matrix: Matrix) -> NDArray[np.float64]:
        """For every row and class: each feature's share, then the base, which all of them add up from.

        Args:
            matrix: [n, features]

        Returns:
            [n, classes, features + 1]
        """
        answer = np.zeros((len(matrix), len(self._base), self._columns + 1))
        answer[:, :, -1] = self._base
        for number, boosters in enumerate(self._boosters):
            for booster in boosters:
                answer[:, number] += booster.contributions(matrix)
        if self._total is not None:
            answer[:, -1] = -answer[:, :-1].sum(axis=1)
            answer[:, -1, -1] += self._total
        return answer


def _constant_total(ensemble: TreeEnsemble) -> float | None:
    """What the classes sum to if that is the same for every row, else None.

    Then the last class follows from the others: a forest of three classes costs two thirds.
    """
    sums = ensemble.value.sum(axis=1, dtype=np.float64)
    first = ensemble.leaf[ensemble.roots]
    high, low = np.maximum.reduceat(sums, first), np.minimum.reduceat(sums, first)
    if float((high - low).sum()) > _SAME:
        return None
    return float(((high + low) / 2).sum() + ensemble.base.sum())
