"""Step 6: how good is the model on baskets of other households in later weeks.

Writes evaluation.json in the shape of SageMaker's model-quality monitor, plus macro F1, precision per class and
95 % intervals. Baskets of one household are alike, so the spread comes from drawing households, not baskets.
"""

from dataclasses import dataclass
from typing import Any, Final

import joblib
import numpy as np
from numpy.typing import NDArray

from psm_contract.schema import CLASSES
from psm_training.recipes import Recipe
from psm_training.split import TEST, VALID
from psm_training.workspace import Workspace, need, write_json

Floats = NDArray[np.float64]

DRAWS: Final = 1000
KPIS: Final = {"accuracy": 0.75, "macro_f1": 0.70, "precision_min_class": 0.65}
"""What a model must reach before anyone is asked to approve it."""


@dataclass(frozen=True)
class Quality:
    """Metrics of confusion counts; every array has the shape of the counts without the last two axes."""

    accuracy: Floats
    precision: Floats
    recall: Floats
    support: Floats

    @classmethod
    def of(cls, confusion: Floats) -> "Quality":
        """Metrics of counts [..., actual class, predicted class]."""
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        actual, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
        return cls(
            accuracy=hits.sum(axis=-1) / confusion.sum(axis=(-2, -1)),
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
        mean: Floats = (values * self.support).sum(axis=-1) / self.support.sum(axis=-1)
        return mean

    @property
    def macro_f1(self) -> Floats:
        """Plain mean of F1 over classes."""
        return np.asarray(self.f_score(1).mean(axis=-1), dtype=np.float64)


def evaluate(space: Workspace, recipe: Recipe) -> str:
    """Writes evaluation.json.

    Returns:
        One line for the user.
    """
    files = space.of(recipe.name)
    estimator = joblib.load(need(files.estimator, "train"))
    with np.load(need(files.features, "features"), allow_pickle=False) as stored:
        parts = {
            name: (stored[f"{name}_label"], estimator.predict(stored[name]), stored[f"{name}_household"])
            for name in (VALID, TEST)
        }
    document = report(*parts[TEST])
    document["validation_households"] = metrics_of(report(*parts[VALID]))
    write_json(files.evaluation, document)
    metrics, interval = metrics_of(document), document[ROOT]["accuracy"]["confidence_interval_95"]
    return (
        f"accuracy {metrics['accuracy']:.3f} ({interval[0]:.3f}-{interval[1]:.3f}), macro F1 {metrics['macro_f1']:.3f}, "
        "precision " + " ".join(f"{name} {metrics[f'precision_{name}']:.2f}" for name in CLASSES)
    )


ROOT: Final = "multiclass_classification_metrics"


def report(actual: NDArray[np.int8], predicted: NDArray[np.int8], household: NDArray[np.int64]) -> dict[str, Any]:
    """The evaluation document.

    Args:
        actual: Class numbers, [baskets].
        predicted: Class numbers, [baskets].
        household: Of each basket.
    """
    by_household = _confusion_by_household(actual, predicted, household)
    total = by_household.sum(axis=0)
    drawn = _bootstrap(by_household)
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
    }
    document = {ROOT: metrics, "baskets": len(actual), "households": len(by_household)}
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


def _confusion_by_household(
    actual: NDArray[np.int8], predicted: NDArray[np.int8], household: NDArray[np.int64]
) -> Floats:
    """Counts [households, actual, predicted]."""
    number = np.unique(household, return_inverse=True)[1]
    counts = np.zeros((number.max() + 1, len(CLASSES), len(CLASSES)))
    np.add.at(counts, (number, actual, predicted), 1)
    return counts


def _bootstrap(by_household: Floats) -> Floats:
    """Counts of samples of households drawn with replacement, [draws, actual, predicted]."""
    households = len(by_household)
    rng = np.random.default_rng(0)
    times = rng.multinomial(households, np.full(households, 1 / households), size=DRAWS).astype(np.float64)
    drawn: Floats = np.einsum("dh,hap->dap", times, by_household)
    return drawn
