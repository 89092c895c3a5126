"""May the probabilities be believed? Reliability curve, expected calibration error, Brier score and log loss.

Definitions: Guo et al., On Calibration of Modern Neural Networks, 2017, with ten bins of equal width over the
probability of the predicted class; for a single class over the probability of that class.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.quality import Floats
from psm_contract.schema import CLASSES
from psm_training.households import Ints, Labels, drawn, estimate, mean, sums

BINS: Final = 10

BY_CHANCE: Final = 200
"""Times that labels are drawn with the model's own probabilities."""

SEED: Final = 20170101

SMALLEST: Final = 1e-6
"""A forest may answer 0; its log loss must stay a number."""


def calibration(probabilities: NDArray[np.float32], label: Labels, household: Ints) -> dict[str, Any]:
    """Calibration of all answers and of each class, with intervals by drawing households.

    Args:
        probabilities: [baskets, classes].
        label: Number of the class that each basket really has.
        household: Of each basket.
    """
    asked = probabilities.astype(np.float64)
    predicted = asked.argmax(axis=1)
    hits = np.eye(asked.shape[1])[label]
    rows = np.arange(len(label))
    losses = np.stack([((asked - hits) ** 2).sum(axis=1), -np.log(np.maximum(asked[rows, label], SMALLEST))], axis=1)
    return {
        **_reliability(asked.max(axis=1), predicted == label, household),
        "brier": mean(losses[:, 0], household),
        "log_loss": mean(losses[:, 1], household),
        "by_class": {
            name: _reliability(asked[:, number], label == number, household) for number, name in enumerate(CLASSES)
        },
    }


def _reliability(confidence: Floats, hit: NDArray[np.bool_], household: Ints) -> dict[str, Any]:
    """Mean confidence and share of hits in every bin that holds a basket, and their mean distance."""
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    inside = np.eye(BINS)[place]
    by_household = sums(np.stack([inside, inside * confidence[:, None], inside * hit[:, None]], axis=1), household)
    total, draws = by_household.sum(axis=0), drawn(by_household)
    shares = draws[:, 2] / np.maximum(draws[:, 0], 1)
    bins = [
        {
            "from": number / BINS,
            "to": (number + 1) / BINS,
            "baskets": int(total[0, number]),
            "confidence": float(total[1, number] / total[0, number]),
            "accuracy": estimate(total[2, number] / total[0, number], shares[draws[:, 0, number] > 0, number]),
        }
        for number in range(BINS)
        if total[0, number]
    ]
    error = {"value": float(_error(total)), "by_chance": _by_chance(confidence, inside)}
    return {"expected_calibration_error": error, "bins": bins}


def _by_chance(confidence: Floats, inside: Floats) -> float:
    """What a perfectly calibrated model with the same answers stays below 19 times of 20.

    Noise only ever adds to this error, so its bootstrap interval would lie above it; this is what to compare it with.
    """
    rng = np.random.default_rng(SEED)
    sizes, sums_of_confidence = inside.sum(axis=0), confidence @ inside
    errors = [
        _error(np.stack([sizes, sums_of_confidence, (rng.random(len(confidence)) < confidence) @ inside]))
        for _ in range(BY_CHANCE)
    ]
    return float(np.quantile(errors, 0.95))


def _error(totals: Floats) -> Floats:
    """Mean distance of confidence and hits, from sums [..., (baskets, confidence, hits), bins]."""
    distance = np.abs(totals[..., 1, :] - totals[..., 2, :]).sum(axis=-1)
    return np.asarray(distance / np.maximum(totals[..., 0, :].sum(axis=-1), 1), dtype=np.float64)
