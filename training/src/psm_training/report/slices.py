"""Is the model equally good everywhere? The same metrics on the baskets of every store format, region and size."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_training.households import Ints, Labels, evaluation
from psm_training.model_quality import ROOT

COLUMNS: Final = ("STORE_FORMAT", "STORE_REGION", "BASKET_SIZE")

LEAST_BASKETS: Final = 50
LEAST_HOUSEHOLDS: Final = 20
"""Below, the interval of an accuracy is wider than 0.2 and says nothing."""

UNKNOWN: Final = "not given"


def slices(
    columns: dict[str, NDArray[np.object_]], label: Labels, predicted: Labels, household: Ints
) -> dict[str, list[dict[str, Any]]]:
    """Accuracy and macro F1 of every value of every column, in the order of the values.

    A slice is `worse` when its interval lies below the accuracy of all baskets. With twenty slices one is so by
    chance every other time.

    Args:
        columns: Value of each basket by name of the column, [baskets].
        label: Number of the class that each basket really has.
        predicted: Number of the class that the model said.
        household: Of each basket.
    """
    overall = float((label == predicted).mean())
    found: dict[str, list[dict[str, Any]]] = {}
    for name, values in columns.items():
        words = np.array([UNKNOWN if value is None else str(value) for value in values])
        found[name] = [
            {"value": word, **_slice(words == word, label, predicted, household, overall)}
            for word in np.unique(words).tolist()
        ]
    return found


def _slice(
    chosen: NDArray[np.bool_], label: Labels, predicted: Labels, household: Ints, overall: float
) -> dict[str, Any]:
    baskets, households = int(chosen.sum()), len(np.unique(household[chosen]))
    size = {"baskets": baskets, "households": households}
    if baskets < LEAST_BASKETS or households < LEAST_HOUSEHOLDS:
        return {**size, "too_few": True, "worse": False}
    metrics = evaluation(label[chosen], predicted[chosen], household[chosen])[ROOT]
    accuracy = metrics["accuracy"]
    return {
        **size,
        "too_few": False,
        "worse": accuracy["confidence_interval_95"][1] < overall,
        "accuracy": accuracy,
        "macro_f1": metrics["macro_f1"],
    }
