"""Learned tables: a basket's own label never reaches its own features."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from psm_contract.features import FEATURES, basket_features
from psm_training.gold import Gold
from psm_training.recipes import TableRecipe
from psm_training.synthetic import generate
from psm_training.tables import cross_fitted_features, fit_tables, household_folds

RECIPE = TableRecipe()


@pytest.fixture(scope="module")
def gold() -> Gold:
    """Labelled synthetic baskets."""
    gold = generate(baskets=1500, households=100).gold
    return gold.take(gold.label >= 0)


@given(hnp.arrays(np.int64, st.integers(5, 60), elements=st.integers(0, 20)))
def test_a_household_is_in_one_fold(household: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """Every fold number is in range and a function of the household."""
    fold = household_folds(household, 5)
    assert set(fold.tolist()) <= set(range(5))
    assert len({(h, f) for h, f in zip(household.tolist(), fold.tolist(), strict=True)}) == len(set(household.tolist()))


def test_a_households_labels_do_not_reach_its_own_features(gold: Gold) -> None:
    """Turn every label of one fold around: the features of that fold stay, to the bit; others change."""
    tables = fit_tables(gold, RECIPE)
    mine = household_folds(gold.household, RECIPE.folds) == 2
    turned = replace(gold, label=np.where(mine, 2 - gold.label, gold.label).astype(np.int8))
    before, after = (cross_fitted_features(data, tables, RECIPE) for data in (gold, turned))
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before[~mine], after[~mine])


def test_cross_fitting_matters(gold: Gold) -> None:
    """Features from tables that saw the label separate the classes better than is true: the leak we avoid."""
    tables = fit_tables(gold, RECIPE)
    column = [spec.name for spec in FEATURES].index("product_la_mean")
    honest = cross_fitted_features(gold, tables, RECIPE)[:, column]
    leaking = basket_features(gold.lines, tables)[:, column]
    is_la = gold.label == 0

    def gap(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
        return float(values[is_la].mean() - values[~is_la].mean())

    assert gap(leaking) > 1.1 * gap(honest) > 0


def test_encodings_are_shrunk_shares(gold: Gold) -> None:
    """A department's encoding is its share of LA lines minus the prior, pulled a little towards zero."""
    tables = fit_tables(gold, RECIPE)
    department = gold.lines.codes[3][0]
    node = int(tables.known(3, [department])[0])
    label = np.repeat(gold.label, np.diff(gold.lines.starts, append=len(gold.lines.spend)))
    there = np.array([code == department for code in gold.lines.codes[3]])
    prior = (gold.label == 0).mean()
    hits, count = (label[there] == 0).sum(), there.sum()
    assert tables.encoding[node, 0] == pytest.approx((hits - count * prior) / (count + RECIPE.encoding_weight))


def test_rare_products_are_left_to_their_type(gold: Gold) -> None:
    """A product sold less often than the recipe asks for is unknown to the tables."""
    products, counts = np.unique(np.asarray(gold.lines.codes[0], dtype=np.str_), return_counts=True)
    tables = fit_tables(gold, replace(RECIPE, min_lines=int(np.median(counts)) + 1))
    known = tables.known(0, products.tolist()) >= 0
    assert np.array_equal(known, counts > np.median(counts))


def test_effects_point_the_right_way(gold: Gold) -> None:
    """Baskets of LA lean to LA, baskets of UM to UM, on households the tables never saw."""
    held_out = gold.household % 3 == 0
    tables = fit_tables(gold.take(~held_out), RECIPE)
    rest = gold.take(held_out)
    matrix = basket_features(rest.lines, tables)
    names = [spec.name for spec in FEATURES]
    for name, label in (("affinity_la_mean", 0), ("affinity_um_mean", 2)):
        values = matrix[:, names.index(name)]
        assert values[rest.label == label].mean() > values[rest.label == 1].mean()
