"""Fitted estimators of every kind that training knows how to flatten, small and cached."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

KINDS: Final = (
    "RandomForest",
    "DecisionTree",
    "ExtraTrees",
    "HistGradientBoosting",
    "GradientBoosting",
    "XGBoost",
)
COLUMNS: Final = 44


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to learn from.

    Attributes:
        matrix: [rows, COLUMNS], numbers of different scales and a few small whole ones, as categories are.
        label: [rows]
    """

    matrix: NDArray[np.float32]
    label: NDArray[np.int64]


@cache
def training_data(*, classes: int, seed: int = 0, rows: int = 2000) -> Data:
    """Classes that depend on several columns, with noise."""
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(rows, COLUMNS)) * np.logspace(-3, 3, COLUMNS)).astype(np.float32)
    matrix[:, -6:] = rng.integers(0, 6, size=(rows, 6))
    score = matrix[:, 0] * 1e3 + (matrix[:, 20] > 0) + 0.3 * matrix[:, -1] + rng.normal(size=rows)
    label = np.searchsorted(np.quantile(score, np.arange(1, classes) / classes), score)
    return Data(matrix, label.astype(np.int64))


@cache
def fitted(kind: str, data: Data) -> Any:
    """The estimator of one of KINDS, fitted."""
    return _unfitted(kind).fit(data.matrix, data.label)


def _unfitted(kind: str) -> Any:
    match kind:
        case "RandomForest":
            return RandomForestClassifier(n_estimators=25, max_depth=12, min_samples_leaf=3, random_state=0)
        case "DecisionTree":
            return DecisionTreeClassifier(max_depth=8, random_state=0)
        case "ExtraTrees":
            return ExtraTreesClassifier(n_estimators=13, max_depth=10, random_state=0)
        case "HistGradientBoosting":
            return HistGradientBoostingClassifier(max_iter=15, random_state=0)
        case "GradientBoosting":
            return GradientBoostingClassifier(n_estimators=8, max_depth=4, random_state=0)
        case "XGBoost":
            return xgboost.XGBClassifier(n_estimators=10, max_depth=5, n_jobs=1, random_state=0)
        case _:
            raise ValueError(f"unknown kind {kind!r}")
