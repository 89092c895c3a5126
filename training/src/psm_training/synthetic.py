"""Synthetic till lines with a known best possible accuracy: the pipeline's own test bench.

Causal graph, an arrow meaning "is drawn given":
region -> affluence of the household -> customer segment, store format, class of the basket;
class -> mission, and class -> price tier of every line; (product type, tier) -> product -> price.
Everything else is independent of the class given those, so P(class | basket) is a closed form and the accuracy
of the best possible classifier is the mean of its maximum. `separation` is the only strength knob.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.features import Lines
from psm_training.gold import UNLABELLED, Gold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REGIONS: Final = np.array([f"{side}{number:02d}" for side in "ENSW" for number in (1, 2, 3)], dtype=object)
FORMATS: Final = np.array(["LS", "MS", "SS", "XLS"], dtype=object)
MISSIONS: Final = np.array(["Fresh", "Grocery", "Mixed", "Nonfood"], dtype=object)
TRIPS: Final = np.array(["Small Shop", "Top Up", "Full Shop"], dtype=object)
SIZES: Final = np.array(["S", "M", "L"], dtype=object)
SEGMENTS: Final = np.array(["AZ", "BG", "CT", "DY"], dtype=object)
FIRST_WEEK: Final = 200801

AFFLUENCE_OF_REGION: Final = np.array([[0.42, 0.38, 0.20], [0.34, 0.42, 0.24], [0.26, 0.42, 0.32], [0.20, 0.40, 0.40]])
SEGMENT_OF_AFFLUENCE: Final = np.array([[0.62, 0.20, 0.08, 0.10], [0.20, 0.55, 0.15, 0.10], [0.08, 0.22, 0.60, 0.10]])
FORMAT_OF_AFFLUENCE: Final = np.array([[0.42, 0.24, 0.16, 0.18], [0.44, 0.22, 0.12, 0.22], [0.46, 0.16, 0.10, 0.28]])
CLASS_OF_AFFLUENCE: Final = np.array([[0.66, 0.26, 0.08], [0.20, 0.60, 0.20], [0.08, 0.26, 0.66]])
MISSION_OF_CLASS: Final = np.array([[0.18, 0.42, 0.28, 0.12], [0.24, 0.36, 0.30, 0.10], [0.32, 0.28, 0.30, 0.10]])
TRIP_SHARE: Final = np.array([0.45, 0.35, 0.20])
LINES_OF_TRIP: Final = np.array([2.2, 7.0, 18.0])

TYPES: Final = 60
PRODUCTS_PER_TYPE: Final = 9
TIERS: Final = 3
TIER_PRICE: Final = np.array([0.68, 1.0, 1.5])
QUANTITY_SHARE: Final = (0.78, 0.18, 0.04)
UNLABELLED_SHARE: Final = 0.04


@dataclass(frozen=True)
class Sample:
    """Synthetic baskets and what is known about them.

    Attributes:
        gold: The baskets.
        posterior: P(class | everything observable), exact, [baskets, 3].
    """

    gold: Gold
    posterior: Floats

    @property
    def bayes_accuracy(self) -> float:
        """Expected accuracy of the best possible classifier."""
        return float(self.posterior.max(axis=1).mean())


def tier_of_class(separation: float) -> Floats:
    """P(tier of a line | class of the basket), [class, tier]; separation 0 makes the lines say nothing."""
    base = np.array([0.34, 0.40, 0.26])
    shift = np.array([[1.0, 0.0, -1.0], [-0.15, 0.30, -0.15], [-1.0, 0.0, 1.0]])
    weights = np.exp(np.log(base) + separation * shift)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def generate(
    *, baskets: int = 4000, households: int = 400, weeks: int = 20, separation: float = 0.9, seed: int = 0
) -> Sample:
    """Draws baskets; the same arguments give the same baskets.

    Args:
        baskets: How many.
        households: How many shoppers they belong to.
        weeks: Weeks they are spread over, from FIRST_WEEK; at most 52.
        separation: How strongly the class moves the price tier of the lines.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    region, affluence, segment, store = _households(rng, households)
    household = rng.integers(0, households, baskets)
    label = _draw(rng, CLASS_OF_AFFLUENCE, affluence[household])
    mission = _draw(rng, MISSION_OF_CLASS, label)
    trip = _draw(rng, TRIP_SHARE[None], np.zeros(baskets, dtype=np.int64))
    lengths = 1 + rng.poisson(LINES_OF_TRIP[trip] - 1)
    basket = np.repeat(np.arange(baskets), lengths)
    tier = _draw(rng, tier_of_class(separation), label[basket])

    product, price = _products(rng, tier)
    quantity = rng.choice([1.0, 2.0, 3.0], size=len(tier), p=QUANTITY_SHARE)
    spend = np.maximum(0.01, np.round(price * quantity * np.exp(rng.normal(0, 0.02, len(tier))), 2))
    counts = np.stack([np.bincount(basket[tier == level], minlength=baskets) for level in range(TIERS)], axis=1)
    shown = (region[household], segment[household], store[household], mission, counts)
    context = {
        **_occasion(rng, np.bincount(basket, quantity, baskets).astype(np.float64)),
        "BASKET_TYPE": TRIPS[trip],
        "BASKET_DOMINANT_MISSION": MISSIONS[mission],
        "STORE_FORMAT": FORMATS[store[household]],
        "STORE_REGION": REGIONS[region[household]],
        "seg_1": SEGMENTS[segment[household]],
    }
    hidden = rng.random(baskets) < UNLABELLED_SHARE
    starts = np.cumsum(lengths) - lengths
    return Sample(
        gold=Gold(
            lines=Lines(starts=starts, quantity=quantity, spend=spend, codes=_codes(product), context=context),
            label=np.where(hidden, UNLABELLED, label).astype(np.int8),
            household=household,
            week=(FIRST_WEEK + rng.integers(0, weeks, baskets)).astype(np.int32),
            basket=994_100_000_000_000 + np.arange(baskets),
        ),
        posterior=_posterior(shown, separation),
    )


def _households(rng: np.random.Generator, households: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Region, affluence, customer segment and store format of each household."""
    region = rng.integers(0, len(REGIONS), households)
    affluence = _draw(rng, AFFLUENCE_OF_REGION, region % len(AFFLUENCE_OF_REGION))
    return region, affluence, _draw(rng, SEGMENT_OF_AFFLUENCE, affluence), _draw(rng, FORMAT_OF_AFFLUENCE, affluence)


def _occasion(rng: np.random.Generator, items: Floats) -> dict[str, NDArray[Any]]:
    """Columns of the basket that say nothing about its class."""
    return {
        "SHOP_WEEKDAY": rng.integers(1, 8, len(items)),
        "SHOP_HOUR": rng.integers(8, 22, len(items)),
        "BASKET_SIZE": SIZES[np.digitize(items, [4, 11])],
    }


def _draw(rng: np.random.Generator, shares: Floats, row: Ints) -> Ints:
    """One category per entry of `row`, with the shares of that row of the table."""
    limits = np.cumsum(shares, axis=1)[:, :-1]
    return np.asarray((rng.random(len(row))[:, None] > limits[row]).sum(axis=1), dtype=np.int64)


def _products(rng: np.random.Generator, tier: Ints) -> tuple[Ints, Floats]:
    """A product of each line's tier and its shelf price; the catalogue is the same for every seed."""
    catalogue = np.random.default_rng(7)
    base = np.exp(catalogue.normal(0.3, 0.6, TYPES))
    per_tier = PRODUCTS_PER_TYPE // TIERS
    kind = rng.integers(0, TYPES, len(tier))
    product = kind * PRODUCTS_PER_TYPE + tier * per_tier + rng.integers(0, per_tier, len(tier))
    noise = np.exp(catalogue.normal(0, 0.06, TYPES * PRODUCTS_PER_TYPE))
    return product, base[kind] * TIER_PRICE[tier] * noise[product]


def _codes(product: Ints) -> tuple[NDArray[np.object_], NDArray[np.object_], NDArray[np.object_], NDArray[np.object_]]:
    """Codes of every level: 60 product types in 20 categories in 5 departments; numbers carry no tier."""
    number = np.random.default_rng(11).permutation(TYPES * PRODUCTS_PER_TYPE)
    kind = product // PRODUCTS_PER_TYPE

    def named(prefix: str, width: int, values: Ints, size: int) -> NDArray[np.object_]:
        names = np.array([f"{prefix}{value + 1:0{width}d}" for value in range(size)], dtype=object)
        return np.asarray(names[values], dtype=object)

    return (
        named("PRD", 7, number[product], len(number)),
        named("CL", 5, kind, TYPES),
        named("DEP", 5, kind // 3, TYPES // 3),
        named("G", 5, kind // 12, TYPES // 12),
    )


def _posterior(shown: tuple[Ints, Ints, Ints, Ints, Ints], separation: float) -> Floats:
    """P(class | region, segment, format, mission, tiers of the lines), [baskets, 3]."""
    region, segment, store, mission, counts = shown
    affluence = AFFLUENCE_OF_REGION[region % len(AFFLUENCE_OF_REGION)]
    affluence = affluence * SEGMENT_OF_AFFLUENCE[:, segment].T * FORMAT_OF_AFFLUENCE[:, store].T
    log = np.log(affluence @ CLASS_OF_AFFLUENCE) + np.log(MISSION_OF_CLASS[:, mission]).T
    log += counts @ np.log(tier_of_class(separation)).T
    odds = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)
