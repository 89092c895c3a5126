"""Metrics of confusion counts, against scikit-learn's."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from psm_contract.quality import Quality


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_metrics_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """Also where a class never occurs or is never predicted: zero."""
    actual, predicted = zip(*pairs, strict=True)
    confusion = np.zeros((3, 3))
    np.add.at(confusion, (list(actual), list(predicted)), 1)

    quality = Quality.of(confusion)

    labels = [0, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = oracle.precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)
    assert float(quality.accuracy) == pytest.approx(oracle.accuracy_score(actual, predicted))
    assert quality.precision.tolist() == pytest.approx(expected[0].tolist())
    assert quality.recall.tolist() == pytest.approx(expected[1].tolist())
    assert float(quality.macro_f1) == pytest.approx(expected[2].mean())


def test_no_label_at_all_is_no_error() -> None:
    """Zero, and whoever shows it looks at the number of labels first."""
    assert float(Quality.of(np.zeros((3, 3))).accuracy) == 0
