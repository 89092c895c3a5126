"""Household folds of the training and validation baskets: what tuning and the choice of recipes look at.

The test baskets never come in here. In every fold the tables, too, are learned without the households that are
checked, and only from training weeks; a fold is checked on its households' baskets of training weeks and of the later
weeks of the validation part.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psm_contract.features import basket_features
from psm_training.gold import Gold
from psm_training.recipes import TableRecipe
from psm_training.tables import cross_fitted_features, fit_tables, household_folds

Matrix = NDArray[np.float32]
Labels = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Fold:
    """One way to divide the households.

    Attributes:
        matrix: Features of the baskets to learn from, [baskets, features].
        label: Number of each one's class.
        checked_matrix: Features of the baskets of other households, [baskets, features].
        checked_label: Number of each one's class.
    """

    matrix: Matrix
    label: Labels
    checked_matrix: Matrix
    checked_label: Labels

    def accuracy(self, estimator: Any) -> float:
        """Share of the checked baskets that the estimator, fitted on the others, answers rightly."""
        answered = estimator.predict_proba(self.checked_matrix).argmax(axis=1)
        return float((answered == self.checked_label).mean())


def folds_of(train: Gold, valid: Gold, recipe: TableRecipe, count: int) -> list[Fold]:
    """Divides the households.

    Args:
        train: Labelled baskets of the training households in training weeks.
        valid: Labelled baskets of other households in later weeks; checked, never learned from.
        recipe: How the tables are learned.
        count: How many folds.
    """
    number = household_folds(np.concatenate([train.household, valid.household]), count)
    of_train, of_valid = number[: len(train)], number[len(train) :]
    return [_fold(train, recipe, of_train != fold, valid.take(of_valid == fold)) for fold in range(count)]


def _fold(train: Gold, recipe: TableRecipe, learned: NDArray[np.bool_], later: Gold) -> Fold:
    others, rest = train.take(learned), train.take(~learned)
    tables = fit_tables(others, recipe)
    return Fold(
        matrix=cross_fitted_features(others, tables, recipe),
        label=others.label,
        checked_matrix=np.concatenate([basket_features(part.lines, tables) for part in (rest, later)]),
        checked_label=np.concatenate([rest.label, later.label]),
    )
