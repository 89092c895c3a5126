"""When a version may be approved without a person: the rules and the paired bootstrap behind them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_versions import answers

from psm_contract import metadata
from psm_contract.schema import CLASSES
from psm_training.approval import LEAST_HOUSEHOLDS, Version, compare, differences, kpis_of, rule
from psm_training.models.predictions import Predictions


def version(number: int, of: Predictions | None, **changed: str) -> Version:
    accuracy = "0.800000" if of is None else metadata.format_metric(kpis_of(of)["accuracy"])
    properties = {metadata.DATA_VALIDATION: "passed", metadata.SHA256: f"{number:064}", metadata.ACCURACY: accuracy}
    return Version(number, {**properties, **changed}, of)


GOOD = answers(0.78, seed=1)
BETTER = answers(0.86, seed=2)
ABOUT_AS_GOOD = answers(0.785, seed=3)
POOR = answers(0.70, seed=4)
FEW = LEAST_HOUSEHOLDS - 1


def test_the_first_good_version_is_approved() -> None:
    """There is nothing to beat."""
    ruling = rule(version(1, GOOD), None)
    assert ruling.approve
    assert "every KPI met" in ruling.reason
    assert "no version was approved before" in ruling.reason
    assert ruling.evidence["baseline"] is None


def test_a_surely_better_version_is_approved_with_the_numbers_as_reason() -> None:
    """The interval of the accuracy's difference lies above zero."""
    ruling = rule(version(2, BETTER), version(1, GOOD))
    assert ruling.approve
    assert "accuracy against version 1: +0.0" in ruling.reason
    low, high = ruling.evidence["comparison"]["accuracy_difference"]["confidence_interval_95"]
    assert 0 < low < ruling.evidence["comparison"]["accuracy_difference"]["value"] < high


RELABELLED = replace(GOOD, label=np.where(np.arange(len(GOOD.label)) < 5, (GOOD.label + 1) % 3, GOOD.label))
ELSEWHERE = replace(GOOD, basket=GOOD.basket + 10**9)


@pytest.mark.parametrize(
    ("candidate", "baseline", "reason"),
    [
        (version(2, BETTER, **{metadata.DATA_VALIDATION: "failed"}), version(1, GOOD), "its data validation says failed"),
        (version(2, BETTER), version(3, GOOD), "version 3 is newer and approved already"),
        (version(2, BETTER), version(1, BETTER, **{metadata.SHA256: f"{2:064}"}), "the same archive as version 1"),
        (version(2, None), version(1, GOOD), "no predictions lie beside the evaluation of version 2"),
        (version(2, BETTER), version(1, None), "no predictions lie beside the evaluation of version 1"),
        (version(2, BETTER, **{metadata.ACCURACY: "0.990000"}), version(1, GOOD), "its registration says 0.990000"),
        (version(2, POOR), None, "KPIs not met: accuracy 0."),
        (version(2, BETTER), version(1, ELSEWHERE), "only 0 households were tested with version 1 too"),
        (version(2, BETTER), version(1, answers(0.7, seed=1, households=FEW)), f"only {FEW} households were tested"),
        (version(2, BETTER), version(1, RELABELLED), "5 of 1800 baskets in common have another label"),
        (version(2, ABOUT_AS_GOOD), version(1, GOOD), "which may be noise; 1,800 baskets of 300 households"),
        (version(2, GOOD), version(1, BETTER), "surely worse"),
    ],
    ids=[
        "failed data validation", "a newer one serves", "the same archive again", "no answers", "no answers of the other",
        "answers of another model", "a KPI is missed", "no basket in common", "too few households", "another label",
        "no more than noise", "worse",
    ],
)  # fmt: skip
def test_otherwise_it_waits_and_says_why(candidate: Version, baseline: Version | None, reason: str) -> None:
    """The first objection is what people read."""
    ruling = rule(candidate, baseline)
    assert not ruling.approve
    assert reason in ruling.reason


def test_more_baskets_right_at_the_cost_of_a_class_wait() -> None:
    """Accuracy is surely better and macro F1 surely worse: that is for people to weigh."""
    number, rng = np.arange(3000), np.random.default_rng(0)
    rare = number % 20 == 0
    label = np.where(rare, 0, 1 + number % 2).astype(np.int8)
    fair = np.where(rare | (rng.random(3000) < 0.90), label, 3 - label)
    unfair = np.where(rng.random(3000) < np.where(rare, 0.4, 0.98), label, np.where(rare, 1, 3 - label))
    basis = replace(answers(0.8, seed=1, households=500), label=label)
    new, old = (replace(basis, probabilities=np.eye(3, dtype=np.float32)[said]) for said in (unfair, fair))
    found = compare(new, old)
    assert found is not None
    assert found.accuracy.low > 0
    assert "macro F1 against version 1: -0." in rule(version(2, new), version(1, old)).reason


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_laws_of_the_comparison(seed: int, households: int) -> None:
    """A model differs from itself by exactly nothing; swapping two turns the interval round; order is nothing."""
    rng = np.random.default_rng(seed)
    new, old = rng.integers(0, 5, size=(2, households, len(CLASSES), len(CLASSES))).astype(np.float64)
    same, _ = differences(new, new, draws=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    for forth, back in zip(differences(new, old, draws=50), differences(old, new, draws=50), strict=True):
        assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
        assert forth.low <= forth.high


def test_the_order_of_the_baskets_is_nothing() -> None:
    """Answers are matched by basket."""
    order = np.random.default_rng(0).permutation(len(GOOD.label))
    shuffled = Predictions(**{name: column[order] for name, column in vars(GOOD).items()})
    assert compare(BETTER, shuffled) == compare(BETTER, GOOD)


def _false_alarms(*, by_household: bool, trials: int, households: int = 100, baskets: int = 12) -> float:
    """Share of trials in which one of two equally good models is found surely better; each has its own households."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(trials):
        chance = rng.choice([0.6, 0.95], size=(2, households, 1))
        right = rng.random((2, households, baskets)) < chance
        if not by_household:
            right = right.reshape(2, -1, 1)
        counts = np.zeros((*right.shape[:2], 3, 3))
        counts[..., 0, 0], counts[..., 0, 1] = right.sum(axis=-1), (~right).sum(axis=-1)
        found += differences(counts[0], counts[1], draws=200)[0].low > 0
    return found / trials


def test_two_equal_models_are_seldom_found_different() -> None:
    """One time in forty by the interval's definition; drawing baskets, as if they were independent, fails that."""
    assert _false_alarms(by_household=True, trials=200) <= 0.05
    assert _false_alarms(by_household=False, trials=60) > 0.08
