"""Would more customers help? The model fitted again on a share of the training households, tables and all."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from psm_training.gold import Gold
from psm_training.households import Labels, evaluation
from psm_training.model_quality import ROOT

SHARES: Final = (0.0625, 0.125, 0.25, 0.5)
"""Of the training households; the whole is the model itself."""

SEED: Final = 20170101

Fit = Callable[[Gold], Callable[[Gold], Labels]]
"""Learns tables and model from baskets; what it returns predicts the classes of others."""


def learning_curve(
    fit: Fit, train: Gold, valid: Gold, shares: Sequence[float], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Accuracy and macro F1 on the validation baskets after learning from ever more households.

    A larger share holds all households of a smaller one.

    Args:
        fit: How the model learns.
        train: All training baskets.
        valid: Baskets of other households.
        shares: Of the training households, each within 0-1.
        say: Told of every point.
    """
    points = []
    households = np.unique(train.household)
    order = np.random.default_rng(SEED).permutation(households)
    for share in shares:
        known = train.take(np.isin(train.household, order[: max(2, round(share * len(order)))]))
        predicted = fit(known)(valid)
        point = learned(known, evaluation(valid.label, predicted, valid.household))
        say(f"learning curve: {point['households']} households, accuracy {point['accuracy']['value']:.3f}")
        points.append(point)
    return points


def learned(known: Gold, document: dict[str, Any]) -> dict[str, Any]:
    """One point of the curve.

    Args:
        known: What was learned from.
        document: Evaluation of what was learned.
    """
    metrics = document[ROOT]
    return {
        "households": known.households,
        "baskets": len(known),
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
    }
