"""predictions.npz: what a model answers to the validation and the test baskets.

Written once when a model is evaluated; whatever judges a model afterwards (evaluation, report, approval against the
approved baseline, comparison) reads these answers and needs no estimator.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import joblib
import numpy as np
from numpy.typing import NDArray

from psm_contract.schema import CLASSES
from psm_training.errors import PipelineError
from psm_training.recipes import Recipe
from psm_training.split import TEST, VALID
from psm_training.workspace import ModelFiles, Workspace, need

HELD_OUT: Final = (VALID, TEST)

_COLUMNS: Final = ("probabilities", "label", "household", "basket", "week")


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers to the baskets of one part, all arrays [baskets] and in the order of BASKET_ID.

    Attributes:
        probabilities: Float32 [baskets, classes].
        label: Number of the class that each basket really has.
        household: Number of its household; the same number means the same household within one run's data only.
        basket: BASKET_ID.
        week: Week of the purchase, yyyyww.
    """

    probabilities: NDArray[np.float32]
    label: NDArray[np.int8]
    household: NDArray[np.int64]
    basket: NDArray[np.int64]
    week: NDArray[np.int32]

    @property
    def predicted(self) -> NDArray[np.int8]:
        """Number of the likeliest class."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int8)

    @property
    def accuracy(self) -> float:
        """Share of the baskets answered rightly."""
        return float((self.predicted == self.label).mean())

    @classmethod
    def of(cls, path: Path, part: str) -> Self:
        """Reads the answers of one part.

        Args:
            path: Of predictions.npz.
            part: `valid` or `test`.

        Raises:
            PipelineError: The model has not been evaluated, or the file holds something else.
        """
        with np.load(need(path, "evaluate"), allow_pickle=False) as stored:
            missing = [name for name in _COLUMNS if f"{part}_{name}" not in stored]
            if missing:
                raise PipelineError(f"{path} has no {part}_{missing[0]}; run `psm-train evaluate` again")
            found = cls(**{name: stored[f"{part}_{name}"] for name in _COLUMNS})
        if found.probabilities.shape != (len(found.label), len(CLASSES)):
            raise PipelineError(f"{path}: probabilities of {part} have shape {found.probabilities.shape}")
        return found


def predict(space: Workspace, recipe: Recipe) -> dict[str, Predictions]:
    """Lets the trained model answer all held-out baskets and writes predictions.npz.

    Returns:
        The answers by part.
    """
    files = space.of(recipe.name)
    answers = _answers(files)
    arrays: dict[str, Any] = {
        f"{part}_{name}": column for part, found in answers.items() for name, column in vars(found).items()
    }
    np.savez(files.predictions, **arrays)
    return answers


def _answers(files: ModelFiles) -> dict[str, Predictions]:
    estimator = joblib.load(need(files.estimator, "train"))
    with np.load(need(files.features, "features"), allow_pickle=False) as stored:
        return {
            part: Predictions(
                probabilities=estimator.predict_proba(stored[part]).astype(np.float32),
                **{name: stored[f"{part}_{name}"] for name in _COLUMNS if name != "probabilities"},
            )
            for part in HELD_OUT
        }
