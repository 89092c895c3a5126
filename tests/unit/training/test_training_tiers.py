"""Tiers of products are learned from classes of baskets, and answer baskets that nobody learned from."""

from dataclasses import replace

import numpy as np
import pytest

from psm_contract.features import FEATURES, Lines, basket_features
from psm_contract.tiers import COUNTS, TIERS, VALUE, Thresholds, class_of
from psm_training.gold import UNLABELLED, Gold
from psm_training.models.families import fit_estimator
from psm_training.recipes import TableRecipe, TiersRecipe
from psm_training.tables import cross_fitted_features, fit_tables

PRODUCTS, TYPES = 600, 60
TRUE = Thresholds(-0.2265, 0.1827)


def _gold(baskets: int, seed: int) -> tuple[Gold, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Baskets labelled as the vendor's are, of products some of which are rare; and the tier of each product."""
    world = np.random.default_rng(0)
    tier = world.choice(4, size=PRODUCTS, p=[0.22, 0.5, 0.24, 0.04])
    popularity = world.pareto(1.2, PRODUCTS) + 0.02
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.geometric(0.2, baskets), 40)  # a fifth of one line, as the vendor's
    starts = np.cumsum(lengths) - lengths
    product = rng.choice(PRODUCTS, size=int(lengths.sum()), p=popularity / popularity.sum())
    total = np.add.reduceat(VALUE[tier[product]], starts)
    count = np.add.reduceat(COUNTS[tier[product]], starts)
    la, um = class_of(total, count, TRUE)
    label = np.select([count == 0, la, um], [UNLABELLED, 0, 2], 1).astype(np.int8)

    def names(
        prefix: str, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        return np.array([f"{prefix}{number:05d}" for number in numbers.tolist()], dtype=object)

    kind = product % TYPES
    codes = (names("PRD", product), names("CL", kind), names("DEP", kind % 6), names("G", kind % 2))
    prices = rng.lognormal(0.5, 0.4, len(product)).round(2) + 0.01
    return (
        Gold(
            lines=Lines(starts, np.ones(len(product)), prices, codes, {}),
            label=label,
            household=np.arange(baskets) % 500 + 1000 * seed,
            week=np.full(baskets, 200801, dtype=np.int32),
            basket=np.arange(baskets),
        ),
        tier,
    )


@pytest.fixture(scope="module")
def learned() -> tuple[Gold, Gold]:
    """Baskets to learn from and baskets of others."""
    return _gold(12_000, 1)[0], _gold(4_000, 2)[0]


def test_tiers_and_thresholds_are_found(learned: tuple[Gold, Gold]) -> None:
    """Of every product that was sold ten times; the thresholds part the means as the true ones do."""
    train, _ = learned
    tier = _gold(1, 1)[1]
    tables = fit_tables(train, TableRecipe(min_lines=10, tiers=True))
    known = [int(code[3:]) for code in tables.codes[: tables.level_ends[0]].tolist()]
    found = tables.tier[: len(known)].argmax(axis=1)
    has_tier = tier[known] < len(TIERS) - 1
    assert (found == tier[known])[has_tier].mean() > 0.99
    assert (found == tier[known])[~has_tier].mean() > 0.7, "that a line does not count shows in few baskets"
    assert -0.2308 < tables.thresholds.la_until < -0.2222
    assert 0.1765 < tables.thresholds.um_from < 0.1875


def test_the_family_answers_the_baskets_of_others(learned: tuple[Gold, Gold]) -> None:
    """Accuracy, macro F1 and the precision of every class are at least 0.985."""
    train, test = learned
    test = test.take(test.label != UNLABELLED)
    recipe = TableRecipe(min_lines=1, tiers=True)
    tables = fit_tables(train, recipe)
    labelled = train.label != UNLABELLED
    matrix = cross_fitted_features(train, tables, recipe)[labelled]
    estimator = fit_estimator(TiersRecipe(), matrix, train.label[labelled], seed=0)
    answered = estimator.predict(basket_features(test.lines, tables))
    for number in range(3):
        hits = (answered == number) & (test.label == number)
        precision, recall = hits.sum() / (answered == number).sum(), hits.sum() / (test.label == number).sum()
        assert precision >= 0.985
        assert 2 * precision * recall / (precision + recall) >= 0.985
    assert (answered == test.label).mean() >= 0.985


def test_labels_that_mean_nothing_make_no_tier_sure(learned: tuple[Gold, Gold]) -> None:
    """Dealt out anew, labels leave the honest features of their own baskets without a word about them."""
    train, _ = learned
    train = train.take(train.label != UNLABELLED)
    dealt = replace(train, label=np.random.default_rng(5).permutation(train.label))
    recipe = TableRecipe(tiers=True)
    matrix = cross_fitted_features(dealt, fit_tables(dealt, recipe), recipe)
    place = [spec.name for spec in FEATURES].index("tier_la")
    is_la = dealt.label == 0
    assert abs(matrix[is_la, place].mean() - matrix[~is_la, place].mean()) < 0.03
