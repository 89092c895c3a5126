"""Step 6: how good is the model on baskets of other households in later weeks.

Writes evaluation.json (`report`). Baskets of one household are alike, so the spread comes from drawing households, not
baskets.
"""

from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from psm_contract.quality import Floats
from psm_contract.schema import CLASSES
from psm_training.recipes import Recipe
from psm_training.report import DRAWS, ROOT, document_of, metrics_of
from psm_training.split import TEST, VALID
from psm_training.workspace import Workspace, need, write_json


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


def report(actual: NDArray[np.int8], predicted: NDArray[np.int8], household: NDArray[np.int64]) -> dict[str, Any]:
    """The evaluation document.

    Args:
        actual: Class numbers, [baskets].
        predicted: Class numbers, [baskets].
        household: Of each basket.
    """
    by_household = _confusion_by_household(actual, predicted, household)
    document = document_of(by_household.sum(axis=0), _bootstrap(by_household))
    return {**document, "households": len(by_household)}


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
