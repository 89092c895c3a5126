"""The evaluation document, of a test set or of live traffic: the shape of SageMaker's model-quality monitor.

Plus macro F1, precision, recall and F1 per class, 95 % intervals, and `accuracy_upper` for gates that act only on what is sure.
"""

from typing import Any, Final

import numpy as np

from psm_contract.quality import Floats, Quality
from psm_contract.schema import CLASSES

ROOT: Final = "multiclass_classification_metrics"
DRAWS: Final = 1000
"""Samples of a bootstrap."""

KPIS: Final = {"accuracy": 0.75, "macro_f1": 0.70, "precision_min_class": 0.65}
"""What a model must reach before anyone is asked to approve it."""


def document_of(total: Floats, drawn: Floats) -> dict[str, Any]:
    """The document.

    Args:
        total: Baskets, [actual class, predicted class].
        drawn: The same of samples drawn with replacement, [draws, actual, predicted].
    """
    best, draws = Quality.of(total), Quality.of(drawn)
    constant = np.zeros_like(total)
    constant[:, total.sum(axis=1).argmax()] = total.sum(axis=1)
    constantly = Quality.of(constant)

    def value(of: Any, *, number: int | None = None) -> dict[str, Any]:
        point, spread = of(best), of(draws)
        if number is not None:
            point, spread = point[number], spread[:, number]
        low, high = np.percentile(spread, [2.5, 97.5])
        return {
            "value": float(point),
            "standard_deviation": float(spread.std()),
            "confidence_interval_95": [float(low), float(high)],
        }

    metrics: dict[str, Any] = {
        "confusion_matrix": {
            name: {other: int(total[row, column]) for column, other in enumerate(CLASSES)}
            for row, name in enumerate(CLASSES)
        },
        "accuracy": value(lambda q: q.accuracy),
        "weighted_recall": value(lambda q: q.weighted(q.recall)),
        "weighted_precision": value(lambda q: q.weighted(q.precision)),
        "weighted_f0_5": value(lambda q: q.weighted(q.f_score(0.5))),
        "weighted_f1": value(lambda q: q.weighted(q.f_score(1))),
        "weighted_f2": value(lambda q: q.weighted(q.f_score(2))),
        "accuracy_best_constant_classifier": {"value": float(constantly.accuracy), "standard_deviation": 0.0},
        "macro_f1": value(lambda q: q.macro_f1),
        "precision": {name: value(lambda q: q.precision, number=row) for row, name in enumerate(CLASSES)},
        "recall": {name: value(lambda q: q.recall, number=row) for row, name in enumerate(CLASSES)},
        "f1": {name: value(lambda q: q.f_score(1), number=row) for row, name in enumerate(CLASSES)},
    }
    metrics["accuracy_upper"] = {"value": metrics["accuracy"]["confidence_interval_95"][1]}
    document: dict[str, Any] = {ROOT: metrics, "baskets": int(total.sum())}
    document["kpis"] = {name: {"minimum": minimum} for name, minimum in KPIS.items()}
    document["kpis_met"] = all(metrics_of(document)[name] >= minimum for name, minimum in KPIS.items())
    return document


def metrics_of(document: dict[str, Any]) -> dict[str, float]:
    """The metrics that the manifest and the registry carry."""
    metrics = document[ROOT]
    precision = {name: metrics["precision"][name]["value"] for name in CLASSES}
    return {
        "accuracy": metrics["accuracy"]["value"],
        "macro_f1": metrics["macro_f1"]["value"],
        "precision_min_class": min(precision.values()),
        **{f"precision_{name}": number for name, number in precision.items()},
    }
