"""The synthetic generator: reproducible, and as learnable as it claims."""

import numpy as np
import pytest

from psm_contract.features import basket_features
from psm_contract.schema import CLASSES
from psm_training.gold import UNLABELLED
from psm_training.models.families import fit_estimator
from psm_training.recipes import ForestRecipe, TableRecipe
from psm_training.synthetic import Households, Regime, draw, generate, tier_of_class
from psm_training.tables import cross_fitted_features, fit_tables


def test_the_same_seed_gives_the_same_baskets() -> None:
    """And another seed gives others."""
    one, two, other = generate(seed=1), generate(seed=1), generate(seed=2)
    assert np.array_equal(one.gold.lines.spend, two.gold.lines.spend)
    assert not np.array_equal(one.posterior, other.posterior)


@pytest.mark.parametrize(
    "regime",
    [
        Regime(),
        Regime(price=1.3),
        Regime(trips=(0.2, 0.3, 0.5)),
        Regime(trade_down=0.8),
        Regime(label_noise=0.3),
    ],
    ids=["calm", "dearer", "larger baskets", "everybody trades down", "labels get noisier"],
)
def test_the_posterior_is_calibrated(regime: Regime) -> None:
    """The best classifier is right as often as the closed form says it is, also when something has changed."""
    rng = np.random.default_rng(3)
    drawn = draw(rng, Households.draw(rng, 2000), 40_000, regime)
    labelled = drawn.label != UNLABELLED
    hits = drawn.posterior.argmax(axis=1)[labelled] == drawn.label[labelled]
    assert hits.mean() == pytest.approx(drawn.posterior.max(axis=1).mean(), abs=0.01)  # four standard errors
    for number in range(len(CLASSES)):
        share = (drawn.label[labelled] == number).mean()
        assert share == pytest.approx(drawn.posterior[labelled, number].mean(), abs=0.01)


@pytest.mark.parametrize(("weak", "strong"), [(0.0, 0.5), (0.5, 1.0), (1.0, 2.0)])
def test_more_separation_is_easier(weak: float, strong: float) -> None:
    """The knob turns one way."""
    assert generate(separation=weak).bayes_accuracy < generate(separation=strong).bayes_accuracy


def test_tiers_are_shares() -> None:
    """Each class spreads its lines over all tiers."""
    assert tier_of_class(0.9).sum(axis=1) == pytest.approx(np.ones(len(CLASSES)))


def test_the_pipeline_comes_close_to_the_best_possible() -> None:
    """Features and forest lose only a few points against the closed form, on households they never saw."""
    sample = generate(baskets=8000, households=800, separation=1.2, seed=5)
    labelled = sample.gold.label != UNLABELLED
    test = labelled & (sample.gold.household % 4 == 0)
    train, held_out = sample.gold.take(labelled & ~test), sample.gold.take(test)
    recipe = TableRecipe()
    tables = fit_tables(train, recipe)
    window = cross_fitted_features(train, tables, recipe)
    forest = fit_estimator(ForestRecipe(trees=40), window, train.label, seed=0)
    accuracy = forest.score(basket_features(held_out.lines, tables), held_out.label)
    best = sample.posterior[test].max(axis=1).mean()
    assert best - 0.05 < accuracy < best + 0.03
