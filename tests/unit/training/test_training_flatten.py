"""Fitted estimators as flat arrays: exactly the estimator's splits, its covers, and nothing that we do not know."""

from typing import Any

import numpy as np
import pytest
from estimators import KINDS, Data, fitted, training_data
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.tree import DecisionTreeClassifier
from tree_ensembles import rows_on_thresholds

from psm_contract.trees import TreeEnsemble
from psm_training.flatten import _rounded_down, flatten


@pytest.fixture(scope="module")
def data() -> Data:
    """Three classes."""
    return training_data(classes=3)


def known(estimator: Any) -> TreeEnsemble:
    """The ensemble of an estimator that we know."""
    ensemble = flatten(estimator)
    assert ensemble is not None
    return ensemble


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_arrays_answer_as_the_estimator_does(kind: str, classes: int) -> None:
    """On ordinary rows, and on rows that sit on thresholds and beside them."""
    estimator = fitted(kind, training_data(classes=classes))
    ensemble = known(estimator)
    matrix = np.concatenate([training_data(classes=classes, seed=1).matrix, rows_on_thresholds(ensemble, 1000)])

    np.testing.assert_allclose(ensemble.probabilities(matrix), estimator.predict_proba(matrix), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_arrays_survive_their_file(kind: str, data: Data) -> None:
    """Whatever library they come from."""
    raw = known(fitted(kind, data)).to_npz()
    assert TreeEnsemble.from_npz(raw).to_npz() == raw


@pytest.mark.parametrize("kind", ["DecisionTree", "RandomForest", "HistGradientBoosting"])
def test_covers_count_the_training_rows(kind: str, data: Data) -> None:
    """Every root has seen all of them, every inner node what its children have."""
    ensemble = known(fitted(kind, data))
    inner = np.flatnonzero(~ensemble.is_leaf)

    assert set(ensemble.cover[ensemble.roots].tolist()) == {len(data.label)}
    children = ensemble.cover[ensemble.left[inner]] + ensemble.cover[ensemble.left[inner] + 1]
    np.testing.assert_allclose(ensemble.cover[inner], children)


def test_early_stopping_is_honoured(data: Data) -> None:
    """XGBoost keeps the trees after the best round and does not use them."""
    xgboost = pytest.importorskip("xgboost")
    noise = np.random.default_rng(5).integers(0, 3, len(data.label))
    estimator = xgboost.XGBClassifier(n_estimators=30, max_depth=3, early_stopping_rounds=3, n_jobs=1)
    estimator.fit(data.matrix, noise, eval_set=[(data.matrix[::-1], noise)], verbose=False)
    assert estimator.best_iteration < 29

    ensemble = known(estimator)

    assert len(ensemble.sizes) == 3 * (estimator.best_iteration + 1)
    np.testing.assert_allclose(ensemble.probabilities(data.matrix), estimator.predict_proba(data.matrix), atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=50),
        AdaBoostClassifier(n_estimators=2),
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]),
        GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier(max_depth=2)),
    ],
    ids=["a linear model", "boosting that votes", "splits by category", "boosting that starts from a model"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_no_sum_of_trees_over_thresholds_is_left_to_onnx(estimator: Any, data: Data) -> None:
    """Better no arrays than wrong ones."""
    matrix = data.matrix.copy()
    matrix[:, 0] = np.arange(len(matrix)) % 5

    assert flatten(estimator.fit(matrix, data.label)) is None


def test_several_outputs_are_left_to_onnx(data: Data) -> None:
    """A tree that answers two questions at once."""
    two = np.stack([data.label, data.label], axis=1)
    assert flatten(DecisionTreeClassifier(max_depth=2).fit(data.matrix, two)) is None
    assert flatten(MultiOutputClassifier(DecisionTreeClassifier(max_depth=2)).fit(data.matrix, two)) is None


def test_an_exponential_loss_is_left_to_onnx() -> None:
    """Its probabilities are not the softmax of its scores."""
    data = training_data(classes=2)
    estimator = GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(data.matrix, data.label)
    assert flatten(estimator) is None


@pytest.mark.parametrize("threshold", [0.1, -0.1, 1e300, -1e300, 1e-300, -1e-300, np.inf, 16777217.0, 0.5])
def test_a_rounded_threshold_decides_every_float32_as_before(threshold: float) -> None:
    """At it and on both sides of it, to the ends of the range."""
    rounded = _rounded_down(np.array([threshold]))
    near = np.array([threshold], dtype=np.float64).clip(-3.4e38, 3.4e38).astype(np.float32)
    ends = np.array([-np.inf, -3.4e38, 0, 3.4e38, np.inf], dtype=np.float32)
    values = np.concatenate([near, np.nextafter(near, ends[:1]), np.nextafter(near, ends[-1:]), ends])

    assert np.array_equal(values <= rounded, values.astype(np.float64) <= threshold)
