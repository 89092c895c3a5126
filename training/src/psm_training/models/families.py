"""Fits an estimator of any family; `artifact` makes an archive of each, `models.tuning` looks for its parameters.

Equal arguments give equal bytes, whatever the machine's number of cores: where a library's result depends on threads
it gets one, and where it merely remembers how many it used, it is made to forget.
"""

from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from psm_contract.features import FEATURES
from psm_training.recipes import (
    EstimatorRecipe,
    ForestRecipe,
    HistgbRecipe,
    LogisticRecipe,
    TiersRecipe,
    TreeRecipe,
    XgboostRecipe,
)

Matrix = NDArray[np.float32]
Labels = NDArray[np.int8]


def fit_estimator(recipe: EstimatorRecipe, matrix: Matrix, label: Labels, *, seed: int, jobs: int = 1) -> Any:
    """Fits the recipe's estimator.

    Args:
        recipe: Family and parameters.
        matrix: Features of the training baskets, [baskets, features]; float32, so that no threshold lies between
            a number and its float32 neighbour and ONNX decides every split as the estimator does.
        label: Number of each basket's class.
        seed: Of whatever is random.
        jobs: Threads; they change the time and nothing else.

    Returns:
        A classifier as scikit-learn knows them.
    """
    match recipe:
        case LogisticRecipe():
            return _logistic(recipe, matrix, label)
        case TiersRecipe():
            return _tiers(recipe, matrix, label)
        case TreeRecipe():
            return _tree(recipe, matrix, label, seed)
        case ForestRecipe():
            return _forest(recipe, matrix, label, seed, jobs)
        case XgboostRecipe():
            return _xgboost(recipe, matrix, label, seed, jobs)
        case HistgbRecipe():
            return _histgb(recipe, matrix, label, seed, jobs)
        case _:
            assert_never(recipe)


def _logistic(recipe: LogisticRecipe, matrix: Matrix, label: Labels) -> Pipeline:
    """Categories arrive as the number of their word: each word gets a column of its own."""
    words = [place for place, spec in enumerate(FEATURES) if spec.kind == "category"]
    numbers = [place for place, spec in enumerate(FEATURES) if spec.kind == "number"]
    estimator = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", StandardScaler(), numbers),
                        ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32), words),
                    ]
                ),
            ),
            ("logistic", LogisticRegression(C=recipe.inverse_penalty, max_iter=2000)),
        ]
    )
    with threadpool_limits(1, "blas"):  # sums in an order that does not depend on the cores
        return estimator.fit(matrix, label)


TIER_FEATURES: Final = ("tier_mean", "tier_la", "tier_um")


def _tiers(recipe: TiersRecipe, matrix: Matrix, label: Labels) -> Pipeline:
    """Weighs the chances against one another; they are the whole model, so that each line's tier explains it."""
    places = [place for place, spec in enumerate(FEATURES) if spec.name in TIER_FEATURES]
    estimator = Pipeline(
        [
            ("tiers", ColumnTransformer([("numbers", StandardScaler(), places)])),
            ("logistic", LogisticRegression(C=recipe.inverse_penalty, max_iter=5000)),
        ]
    )
    with threadpool_limits(1, "blas"):  # as above
        return estimator.fit(matrix, label)


def _tree(recipe: TreeRecipe, matrix: Matrix, label: Labels, seed: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(
        max_depth=recipe.max_depth, min_samples_leaf=recipe.min_samples_leaf, random_state=seed
    ).fit(matrix, label)


def _forest(recipe: ForestRecipe, matrix: Matrix, label: Labels, seed: int, jobs: int) -> RandomForestClassifier:
    forest = RandomForestClassifier(
        n_estimators=recipe.trees,
        max_depth=recipe.max_depth,
        min_samples_leaf=recipe.min_samples_leaf,
        max_features=recipe.max_features,
        random_state=seed,
        n_jobs=jobs,
    ).fit(matrix, label)
    forest.n_jobs = None  # where the model runs is not a property of the model
    return forest


def _xgboost(recipe: XgboostRecipe, matrix: Matrix, label: Labels, seed: int, jobs: int) -> Any:
    import xgboost  # noqa: PLC0415  # a second of import that the other families do without

    estimator = xgboost.XGBClassifier(
        n_estimators=recipe.rounds,
        learning_rate=recipe.learning_rate,
        max_depth=recipe.max_depth,
        min_child_weight=recipe.min_child_weight,
        subsample=recipe.subsample,
        colsample_bytree=recipe.column_sample,
        reg_lambda=recipe.penalty,
        tree_method="hist",
        objective="multi:softprob",
        random_state=seed,
        n_jobs=jobs,
    ).fit(matrix, label)
    estimator.set_params(n_jobs=None)
    estimator.get_booster().set_param({"nthread": 0})  # the booster's own memory of it: 0 is "as many as there are"
    return estimator


def _histgb(
    recipe: HistgbRecipe, matrix: Matrix, label: Labels, seed: int, jobs: int
) -> HistGradientBoostingClassifier:
    estimator = HistGradientBoostingClassifier(
        max_iter=recipe.rounds,
        learning_rate=recipe.learning_rate,
        max_leaf_nodes=recipe.max_leaves,
        min_samples_leaf=recipe.min_samples_leaf,
        max_features=recipe.feature_share,
        l2_regularization=recipe.penalty,
        categorical_features=None,
        early_stopping=False,  # its own would split baskets of one household
        random_state=seed,
    )
    with threadpool_limits(jobs, "openmp"):
        estimator.fit(matrix, label)
    estimator._bin_mapper.n_threads = 1  # noqa: SLF001  # it keeps how many cores it was fitted on
    return estimator


def size_of(estimator: Any) -> str:
    """What was grown, for the user."""
    match estimator:
        case RandomForestClassifier():
            leaves = sum(int(tree.get_n_leaves()) for tree in estimator.estimators_)
            return f"{len(estimator.estimators_)} trees, {leaves:,} leaves"
        case DecisionTreeClassifier():
            return f"1 tree, {estimator.get_n_leaves():,} leaves"
        case HistGradientBoostingClassifier():
            return f"{estimator.n_iter_} rounds of {estimator.n_trees_per_iteration_} trees"
        case Pipeline():
            return f"{estimator[-1].coef_.size:,} coefficients"
        case _:
            return f"{estimator.get_booster().num_boosted_rounds()} rounds of {estimator.n_classes_} trees"
