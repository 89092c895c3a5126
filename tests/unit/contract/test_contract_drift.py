"""The population stability index: the formula, and the same bins as training's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_contract.drift import LEAST_BASKETS, Drift
from psm_contract.manifest import Feature, Histogram, Reference
from psm_training.reference import reference

NUMBER = Feature(name="spend", kind="number", description="money")
WORD = Feature(name="store_format", kind="category", vocabulary=("LS", "XLS", "other"), description="size")
FLAT = Histogram(edges=(1.0, 2.0), shares=(0.25, 0.25, 0.5))
CLASSES = Histogram(shares=(0.2, 0.5, 0.3))
REFERENCE = Reference(baskets=4000, features=(FLAT, Histogram(shares=(0.5, 0.5, 0.0))), predictions=CLASSES)
DRIFT = Drift((NUMBER, WORD), REFERENCE)


def matrix(*rows: tuple[float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, dtype=np.float32)


def test_a_value_on_an_edge_belongs_above_it() -> None:
    """As the manifest says: edges[i - 1] <= v < edges[i]; categories are counted by word, then the classes."""
    counts = DRIFT.count(matrix((0.5, 0), (1.0, 1), (1.5, 1), (2.0, 2), (9.0, 0)), np.array([0, 1, 1, 2, 2]))

    assert counts.tolist() == [1, 2, 2, 2, 2, 1, 1, 2, 2]
    assert DRIFT.baskets(counts) == 5


def test_the_index_is_the_sum_of_differences_times_log_ratios() -> None:
    """With half a basket added to each bin of both sides, written out."""
    counts = np.array([100, 400, 500, 0, 900, 100, 200, 500, 300])

    index = DRIFT.index(counts)

    def by_hand(live: list[float], trained: list[float]) -> float:
        total = 0.0
        for one, other in zip(live, trained, strict=True):
            p = (one + 0.5) / (sum(live) + 0.5 * len(live))
            q = (other * 4000 + 0.5) / (4000 + 0.5 * len(trained))
            total += (p - q) * math.log(p / q)
        return total

    assert index is not None
    assert index.tolist() == pytest.approx(
        [
            by_hand([100, 400, 500], [0.25, 0.25, 0.5]),
            by_hand([0, 900, 100], [0.5, 0.5, 0.0]),
            by_hand([200, 500, 300], [0.2, 0.5, 0.3]),
        ]
    )
    assert index[0] > 0.1
    assert index[1] > 0.25
    assert index[2] == pytest.approx(0, abs=1e-5)


def test_few_baskets_are_not_judged() -> None:
    """Chance alone would look like drift."""
    few = np.array([LEAST_BASKETS - 1, 0, 0] * 3)
    assert DRIFT.index(few) is None
    assert DRIFT.index(few + [1, 0, 0] * 3) is not None


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_is_counted_somewhere() -> None:
    """A NaN, an infinity, a word beyond the vocabulary: no error, and one bin of each histogram."""
    strange = matrix((math.nan, math.nan), (math.inf, 7), (-math.inf, -3))

    counts = DRIFT.count(strange, np.array([0, 0, 0]))

    assert counts.reshape(3, 3).sum(axis=1).tolist() == [3, 3, 3]


@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_the_training_window_against_itself_is_no_drift(seed: int, baskets: int) -> None:
    """Training and predictor put every value into the same bin, ties and constants included."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice([rng.normal(size=baskets), rng.integers(0, 4, baskets).astype(float), np.full(baskets, 7.0)])
    rows = np.column_stack([numbers, rng.integers(0, 3, baskets)]).astype(np.float32)
    probabilities = rng.dirichlet([1, 1, 1], baskets).astype(np.float32)
    trained = reference((NUMBER, WORD), rows, probabilities)

    drift = Drift((NUMBER, WORD), trained.model_copy(update={"baskets": baskets * LEAST_BASKETS}))
    counts = drift.count(rows, probabilities.argmax(axis=1))

    shares = [share for histogram in (*trained.features, trained.predictions) for share in histogram.shares]
    assert (counts / baskets).tolist() == pytest.approx(shares)
    index = drift.index(counts * LEAST_BASKETS)
    assert index is not None
    assert index.tolist() == pytest.approx([0, 0, 0], abs=1e-12)
