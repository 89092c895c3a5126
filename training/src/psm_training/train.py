"""Step 5: matrix -> fitted forest."""

import os

import joblib
import numpy as np

from psm_training.forest import train_forest
from psm_training.recipes import Recipe
from psm_training.split import TRAIN
from psm_training.workspace import Workspace, need


def train(space: Workspace, recipe: Recipe) -> str:
    """Writes model.joblib.

    Returns:
        One line for the user.
    """
    files = space.of(recipe.name)
    with np.load(need(files.features, "features"), allow_pickle=False) as stored:
        matrix, label = stored[TRAIN], stored[f"{TRAIN}_label"]
    forest = train_forest(matrix, label, recipe.forest, seed=recipe.seed, jobs=os.cpu_count() or 1)
    joblib.dump(forest, files.estimator)
    leaves = sum(int(tree.get_n_leaves()) for tree in forest.estimators_)
    return f"{len(forest.estimators_)} trees, {leaves:,} leaves"
