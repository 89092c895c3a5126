"""evaluation.json: SageMaker's shape and numbers that add up."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from psm_contract.schema import CLASSES
from psm_training.report import ROOT, evaluation, metrics_of

RNG = np.random.default_rng(0)
ACTUAL = RNG.integers(0, 3, 900).astype(np.int8)
PREDICTED = np.where(RNG.random(900) < 0.8, ACTUAL, RNG.integers(0, 3, 900)).astype(np.int8)
HOUSEHOLD = RNG.integers(0, 60, 900)
DOCUMENT = evaluation(ACTUAL, PREDICTED, HOUSEHOLD)
METRICS = DOCUMENT[ROOT]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", oracle.accuracy_score(ACTUAL, PREDICTED)),
        ("macro_f1", oracle.f1_score(ACTUAL, PREDICTED, average="macro")),
        ("weighted_f1", oracle.f1_score(ACTUAL, PREDICTED, average="weighted")),
        ("weighted_f0_5", oracle.fbeta_score(ACTUAL, PREDICTED, beta=0.5, average="weighted")),
        ("weighted_f2", oracle.fbeta_score(ACTUAL, PREDICTED, beta=2, average="weighted")),
        ("weighted_precision", oracle.precision_score(ACTUAL, PREDICTED, average="weighted")),
        ("weighted_recall", oracle.recall_score(ACTUAL, PREDICTED, average="weighted")),
    ],
)
def test_metrics_are_scikit_learns(name: str, expected: float) -> None:
    """Computed from counts, equal to the library's."""
    assert METRICS[name]["value"] == pytest.approx(expected)


def test_precision_per_class_is_scikit_learns() -> None:
    """And its minimum is what the registry gates on."""
    expected = oracle.precision_score(ACTUAL, PREDICTED, average=None)
    assert [METRICS["precision"][name]["value"] for name in CLASSES] == pytest.approx(expected)
    assert metrics_of(DOCUMENT)["precision_min_class"] == pytest.approx(expected.min())


def test_the_confusion_matrix_counts_every_basket() -> None:
    """Rows are what was, columns what was said."""
    matrix = [[METRICS["confusion_matrix"][row][column] for column in CLASSES] for row in CLASSES]
    assert matrix == oracle.confusion_matrix(ACTUAL, PREDICTED).tolist()


def test_the_interval_holds_the_value_and_is_wider_for_fewer_households() -> None:
    """Baskets of one household count as one draw."""
    low, high = METRICS["accuracy"]["confidence_interval_95"]
    assert low < METRICS["accuracy"]["value"] < high
    alike = np.repeat(np.arange(9), 100)
    sorted_hits = np.argsort(ACTUAL == PREDICTED)
    clustered = evaluation(ACTUAL[sorted_hits], PREDICTED[sorted_hits], alike)[ROOT]["accuracy"]
    assert clustered["standard_deviation"] > 2 * METRICS["accuracy"]["standard_deviation"]


def test_a_class_that_is_never_predicted_has_precision_zero() -> None:
    """Zero and not an error: the KPI must fail, not the step."""
    document = evaluation(ACTUAL, np.zeros_like(ACTUAL), HOUSEHOLD)
    assert document[ROOT]["precision"]["UM"]["value"] == 0.0
    assert document["kpis_met"] is False


def test_a_perfect_model_meets_the_kpis() -> None:
    """And the best constant is the share of the most frequent class."""
    document = evaluation(ACTUAL, ACTUAL, HOUSEHOLD)
    assert document["kpis_met"] is True
    constant = document[ROOT]["accuracy_best_constant_classifier"]["value"]
    assert constant == pytest.approx(np.bincount(ACTUAL).max() / len(ACTUAL))
