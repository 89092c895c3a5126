"""predictions.npz: what a model answers to the held-out baskets, for everybody who judges it."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from training_spaces import copied

from psm_training.errors import PipelineError
from psm_training.evaluate import evaluate
from psm_training.features import features
from psm_training.models.predictions import HELD_OUT, Predictions
from psm_training.recipes import Recipe, TableRecipe, TreeRecipe
from psm_training.report import ROOT
from psm_training.split import TEST
from psm_training.train import train
from psm_training.workspace import Workspace, read_json

RECIPE = Recipe("small", TableRecipe(folds=2), TreeRecipe(max_depth=4))


@pytest.fixture(scope="module")
def space(synthetic_gold: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A model of synthetic baskets, trained and evaluated."""
    space = copied(synthetic_gold, tmp_path_factory.mktemp("predictions"))
    for step in (features, train, evaluate):
        step(space, RECIPE)
    return space


def test_they_are_the_estimators_answers_with_what_a_judge_needs(space: Workspace) -> None:
    """Label, household, basket and week of each, in the order of the baskets."""
    files = space.of(RECIPE.name)
    estimator = joblib.load(files.estimator)
    with np.load(files.features) as stored:
        for part in HELD_OUT:
            answers = Predictions.of(files.predictions, part)
            np.testing.assert_array_equal(
                answers.probabilities, estimator.predict_proba(stored[part]).astype(np.float32)
            )
            np.testing.assert_array_equal(answers.label, stored[f"{part}_label"])
            assert (np.diff(answers.basket) > 0).all()
            assert answers.week.min() > 200836
            assert len(answers.household) == len(answers.basket)


def test_the_evaluation_is_about_them(space: Workspace) -> None:
    """The same accuracy, so that whoever reads one need not doubt the other."""
    files = space.of(RECIPE.name)
    document = read_json(files.evaluation, "evaluate")
    assert Predictions.of(files.predictions, TEST).accuracy == pytest.approx(document[ROOT]["accuracy"]["value"])


def test_a_file_of_an_older_release_is_refused_with_the_remedy(space: Workspace, tmp_path: Path) -> None:
    """A column is missing; or the step has not run at all."""
    with np.load(space.of(RECIPE.name).predictions) as stored:
        kept = {name: stored[name] for name in stored.files if name != "test_week"}
    np.savez(tmp_path / "predictions.npz", **kept)
    with pytest.raises(PipelineError, match="has no test_week; run `psm-train evaluate` again"):
        Predictions.of(tmp_path / "predictions.npz", TEST)
    with pytest.raises(PipelineError, match="run `psm-train evaluate` first"):
        Predictions.of(tmp_path / "none.npz", TEST)
