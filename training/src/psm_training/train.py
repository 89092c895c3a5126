"""Step 5: matrix -> fitted estimator."""

import os

import numpy as np

from psm_training.artifact import joblib_bytes
from psm_training.models.families import fit_estimator, size_of
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
    estimator = fit_estimator(recipe.estimator, matrix, label, seed=recipe.seed, jobs=os.cpu_count() or 1)
    files.estimator.write_bytes(joblib_bytes(estimator))
    return size_of(estimator)
