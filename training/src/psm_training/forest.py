"""The model: a random forest, small enough that a pod loads it at once."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from psm_training.recipes import ForestRecipe


def train_forest(
    matrix: NDArray[np.float32], label: NDArray[np.int8], recipe: ForestRecipe, *, seed: int, jobs: int = 1
) -> RandomForestClassifier:
    """Fits the forest; the same arguments give the same trees, whatever the number of jobs.

    Args:
        matrix: Features of the training baskets, [baskets, features]; float32, so that no threshold lies between
            a number and its float32 neighbour and ONNX decides every split as scikit-learn does.
        label: Number of each basket's class.
        recipe: Size and shape.
        seed: Of the bootstrap and the splits.
        jobs: Processes' worth of threads.
    """
    forest = RandomForestClassifier(
        n_estimators=recipe.trees,
        max_depth=recipe.max_depth,
        min_samples_leaf=recipe.min_samples_leaf,
        max_features=recipe.max_features,
        random_state=seed,
        n_jobs=jobs,
    )
    forest.fit(matrix, label)
    forest.n_jobs = None  # where the model runs is not a property of the model
    return forest
