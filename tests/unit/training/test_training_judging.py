"""What the report says of a model: calibration, slices, importance, learning curve. Laws, and libraries as oracles."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from psm_contract.features import FEATURES
from psm_contract.schema import CLASSES
from psm_training.gold import UNLABELLED, Gold
from psm_training.households import drawn, sums
from psm_training.report.calibration import BINS, calibration
from psm_training.report.eda import _correlation
from psm_training.report.importance import GROUPS, importance, strangers
from psm_training.report.learning import learning_curve
from psm_training.report.slices import LEAST_BASKETS, UNKNOWN, slices
from psm_training.synthetic import generate

RNG = np.random.default_rng(5)
BASKETS = 4000
HOUSEHOLD = RNG.integers(0, 200, BASKETS)
PROBABILITIES = RNG.dirichlet([1.0, 1.0, 1.0], BASKETS).astype(np.float32)
SAID = PROBABILITIES.argmax(axis=1)
SO = (RNG.random(BASKETS)[:, None] > np.cumsum(PROBABILITIES, axis=1)[:, :-1]).sum(axis=1)
"""Classes drawn with the very probabilities: a model that is calibrated."""


def test_a_calibrated_model_has_next_to_no_error() -> None:
    """Its labels are drawn with its own probabilities; every bin's interval holds its confidence, nearly."""
    found = calibration(PROBABILITIES, SO, HOUSEHOLD)
    error = found["expected_calibration_error"]
    assert 0 < error["value"] < error["by_chance"] < 0.04
    inside = [
        bound["accuracy"]["confidence_interval_95"][0] - 0.02
        <= bound["confidence"]
        <= bound["accuracy"]["confidence_interval_95"][1] + 0.02
        for bound in found["bins"]
    ]
    assert all(inside)


def test_a_boaster_is_found_out() -> None:
    """The same answers said with more certainty: the error is the gap between certainty and hits."""
    sure = np.where(np.eye(3)[SAID] > 0, 0.98, 0.01).astype(np.float32)
    found = calibration(sure, SO, HOUSEHOLD)
    expected = 0.98 - (SAID == SO).mean()
    error = found["expected_calibration_error"]
    assert error["value"] == pytest.approx(expected, abs=1e-6)
    assert error["value"] > 5 * error["by_chance"]


def test_losses_are_the_books() -> None:
    """Log loss as scikit-learn says, Brier score by hand, calibration error by a plain loop."""
    found = calibration(PROBABILITIES, SO, HOUSEHOLD)
    exact = PROBABILITIES.astype(np.float64)
    expected = log_loss(SO, exact / exact.sum(axis=1, keepdims=True))
    assert found["log_loss"]["value"] == pytest.approx(expected, rel=1e-5)
    assert found["brier"]["value"] == pytest.approx(
        np.mean([((p - np.eye(3)[y]) ** 2).sum() for p, y in zip(exact, SO, strict=True)])
    )
    confidence = exact.max(axis=1)
    error = 0.0
    for low in np.arange(BINS) / BINS:
        chosen = (confidence >= low) & (confidence < low + 1 / BINS)
        if chosen.any():
            error += chosen.mean() * abs(confidence[chosen].mean() - (SAID == SO)[chosen].mean())
    assert found["expected_calibration_error"]["value"] == pytest.approx(error)
    assert sum(each["baskets"] for each in found["bins"]) == BASKETS
    assert set(found["by_class"]) == set(CLASSES)


def test_a_certain_mistake_has_a_finite_loss() -> None:
    """A forest may answer 0 and 1."""
    found = calibration(np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], np.array([1, 1, 2, 0]), np.arange(4))
    assert np.isfinite(found["log_loss"]["value"])
    assert found["bins"][-1]["baskets"] == 4


def test_an_interval_of_households_is_wider_than_one_of_baskets() -> None:
    """Baskets of one household are alike; that is the reason to draw households."""
    hits = (np.arange(1000) % 50 < 25).astype(np.float64)
    alike = np.arange(1000) % 50
    of_households, of_baskets = drawn(sums(hits, alike)), drawn(sums(hits, np.arange(1000)))
    assert of_households.std() > 3 * of_baskets.std()


def test_a_slice_that_is_worse_is_named_and_others_are_not() -> None:
    """Every second answer in W is wrong; tiny slices are not judged; a missing value is a slice of its own."""
    region = RNG.choice(np.array(["E", "N", "S", "W"], dtype=object), BASKETS)
    region[:20], region[20:420] = "tiny", None
    predicted = np.where((region == "W") & (np.arange(BASKETS) % 2 == 0), (SO + 1) % 3, SO)
    store = RNG.choice(np.array(["LS", "XLS"], dtype=object), BASKETS)
    found, even = slices({"STORE_REGION": region, "STORE_FORMAT": store}, SO, predicted, HOUSEHOLD).values()
    assert [entry["worse"] for entry in even] == [False, False]
    by_value = {entry["value"]: entry for entry in found}
    assert {name for name, entry in by_value.items() if entry["worse"]} == {"W"}
    assert by_value["tiny"]["too_few"]
    assert by_value[UNKNOWN]["baskets"] == 400 > LEAST_BASKETS
    assert by_value["W"]["accuracy"]["value"] == pytest.approx(0.5, abs=0.05)
    assert sum(entry["baskets"] for entry in found) == BASKETS


@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(0, 2**32 - 1))
def test_no_basket_is_given_a_value_of_its_own_household(household: list[int], seed: int) -> None:
    """A law wherever no household holds more than half of the baskets; and every basket gives once."""
    numbers = np.array(household)
    donors = strangers(numbers, np.random.default_rng(seed))
    assert sorted(donors) == list(range(len(numbers)))
    if np.bincount(numbers).max() <= len(numbers) // 2:
        assert (numbers[donors] != numbers).all()


def test_what_the_model_ignores_loses_nothing_and_what_decides_loses_much() -> None:
    """Two copies of one signal: alone each seems to matter little, together they are all there is."""
    signal = RNG.integers(0, 3, BASKETS)
    matrix = np.stack([signal, signal, RNG.random(BASKETS)], axis=1).astype(np.float32)

    def predict(features: NDArray[np.float32]) -> NDArray[np.integer]:
        agree = features[:, 0] == features[:, 1]
        return np.asarray(np.where(agree, features[:, 0], np.resize(signal, len(features))), dtype=np.int64)

    found = importance(predict, matrix, signal, HOUSEHOLD, ["store_a", "store_b", "spend"])
    lost = {entry["name"]: entry["accuracy_lost"]["value"] for entry in found["groups"] + found["features"]}
    assert lost["spend"] == 0
    assert lost["store_a"] == lost["store_b"] == 0
    assert lost["store"] > 0
    assert found["groups"][0]["name"] == "store"


def test_every_feature_is_in_one_group() -> None:
    """A new feature must not fall out of the picture."""
    for spec in FEATURES:
        assert sum(spec.name.startswith(beginnings) for beginnings in GROUPS.values()) == 1, spec.name


def test_the_learning_curve_learns_from_ever_more_of_the_same_households() -> None:
    """And never from a validation household."""
    gold = generate(baskets=1500, households=80, weeks=8, separation=1.2, seed=3).gold
    gold = gold.take(gold.label != UNLABELLED)
    train, valid = gold.take(gold.household < 60), gold.take(gold.household >= 60)
    seen: list[set[int]] = []

    def fit(known: Gold) -> Callable[[Gold], NDArray[np.int8]]:
        seen.append(set(known.household.tolist()))
        return lambda others: np.zeros(len(others), dtype=np.int8)

    points = learning_curve(fit, train, valid, (0.1, 0.4, 0.9), lambda _: None)
    assert seen[0] < seen[1] < seen[2]
    assert not seen[2] & set(valid.household.tolist())
    assert [point["households"] for point in points] == [len(known) for known in seen] == [6, 24, 54]
    assert points[0]["accuracy"]["value"] == (valid.label == 0).mean()


def test_rank_correlation_is_spearmans() -> None:
    """1 for any rising function; a column that never changes is related to nothing."""
    x = RNG.random(500)
    matrix = np.stack([x, np.exp(5 * x), -x, np.ones(500)], axis=1).astype(np.float32)
    found = np.array(_correlation(matrix, ["a", "b", "c", "d"])["values"])
    np.testing.assert_allclose(found[0], [1, 1, -1, 0], atol=1e-4)
