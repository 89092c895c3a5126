"""Metrics of baskets with intervals: baskets of one household are alike, so the spread comes from drawing households."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psm_contract.quality import Floats
from psm_contract.schema import CLASSES
from psm_training.model_quality import DRAWS, document_of

Labels = NDArray[np.integer]
Ints = NDArray[np.int64]


def evaluation(actual: Labels, predicted: Labels, household: Ints) -> dict[str, Any]:
    """The evaluation document.

    Args:
        actual: Class numbers, [baskets].
        predicted: Class numbers, [baskets].
        household: Of each basket.
    """
    by_household = _confusion_by_household(actual, predicted, household)
    document = document_of(by_household.sum(axis=0), drawn(by_household))
    return {**document, "households": len(by_household)}


def sums(values: Floats, household: Ints) -> Floats:
    """Sum of the values of each household, [households, ...].

    Args:
        values: [baskets, ...].
        household: Of each basket.
    """
    number = np.unique(household, return_inverse=True)[1]
    total = np.zeros((int(number.max()) + 1, *values.shape[1:]))
    np.add.at(total, number, values)
    return total


def drawn(by_household: Floats) -> Floats:
    """Sums over samples of households drawn with replacement; the same draws for the same number of households.

    Args:
        by_household: [households, ...].

    Returns:
        [draws, ...].
    """
    households = len(by_household)
    rng = np.random.default_rng(0)
    times = rng.multinomial(households, np.full(households, 1 / households), size=DRAWS).astype(np.float64)
    return np.asarray(np.tensordot(times, by_household, axes=1), dtype=np.float64)


def estimate(value: float, draws: Floats) -> dict[str, Any]:
    """A number with its 95 % interval, as the evaluation document writes them.

    Args:
        value: Of all baskets.
        draws: The same of each sample.
    """
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"value": float(value), "confidence_interval_95": [float(low), float(high)]}


def mean(values: Floats, household: Ints) -> dict[str, Any]:
    """Mean over the baskets with its interval.

    Args:
        values: [baskets].
        household: Of each basket.
    """
    draws = drawn(sums(np.stack([values, np.ones(len(values))], axis=1), household))
    return estimate(float(values.mean()), draws[:, 0] / draws[:, 1])


def _confusion_by_household(actual: Labels, predicted: Labels, household: Ints) -> Floats:
    """Counts [households, actual, predicted]."""
    number = np.unique(household, return_inverse=True)[1]
    counts = np.zeros((int(number.max()) + 1, len(CLASSES), len(CLASSES)))
    np.add.at(counts, (number, actual, predicted), 1)
    return counts
