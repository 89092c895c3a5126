"""Where tuning looks: for every family the parameters that may change, with bounds that keep an archive small.

A pod loads the archive when it starts, so no bound allows more than about 200,000 leaves.
"""

from dataclasses import replace
from typing import assert_never

from optuna.trial import BaseTrial

from psm_training.recipes import (
    EstimatorRecipe,
    ForestRecipe,
    HistgbRecipe,
    LogisticRecipe,
    TiersRecipe,
    TreeRecipe,
    XgboostRecipe,
)


def propose(trial: BaseTrial, start: EstimatorRecipe) -> EstimatorRecipe:
    """The recipe that the trial is to try.

    Args:
        trial: Decides; every suggestion carries the name of the recipe's field.
        start: Of the family, for what is not searched.
    """
    match start:
        case LogisticRecipe():
            return replace(start, inverse_penalty=trial.suggest_float("inverse_penalty", 1e-3, 10.0, log=True))
        case TiersRecipe():
            return replace(start, inverse_penalty=trial.suggest_float("inverse_penalty", 1e-1, 1e4, log=True))
        case TreeRecipe():
            return replace(
                start,
                max_depth=trial.suggest_int("max_depth", 4, 14),
                min_samples_leaf=trial.suggest_int("min_samples_leaf", 10, 300, log=True),
            )
        case ForestRecipe():
            return replace(
                start,
                max_depth=trial.suggest_int("max_depth", 8, 18),
                min_samples_leaf=trial.suggest_int("min_samples_leaf", 5, 60, log=True),
                max_features=trial.suggest_float("max_features", 0.1, 0.7),
            )
        case XgboostRecipe():
            return _xgboost(trial, start)
        case HistgbRecipe():
            return _histgb(trial, start)
        case _:
            assert_never(start)


def _xgboost(trial: BaseTrial, start: XgboostRecipe) -> XgboostRecipe:
    return replace(
        start,
        rounds=trial.suggest_int("rounds", 60, 400, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        max_depth=trial.suggest_int("max_depth", 2, 6),
        min_child_weight=trial.suggest_float("min_child_weight", 1.0, 100.0, log=True),
        subsample=trial.suggest_float("subsample", 0.4, 1.0),
        column_sample=trial.suggest_float("column_sample", 0.2, 1.0),
        penalty=trial.suggest_float("penalty", 0.1, 50.0, log=True),
    )


def _histgb(trial: BaseTrial, start: HistgbRecipe) -> HistgbRecipe:
    return replace(
        start,
        rounds=trial.suggest_int("rounds", 60, 400, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        max_leaves=trial.suggest_int("max_leaves", 4, 31),
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 10, 300, log=True),
        feature_share=trial.suggest_float("feature_share", 0.2, 1.0),
        penalty=trial.suggest_float("penalty", 0.1, 50.0, log=True),
    )
