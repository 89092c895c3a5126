"""Synthetic till lines with a known best possible accuracy: the pipeline's own test bench.

Causal graph, an arrow meaning "is drawn given":
region -> affluence of the household -> customer segment, store format, class of the basket;
class -> mission, and class -> price tier of every line; (product type, tier) -> product -> price.
Everything else is independent of the class given those, so P(class | basket) is a closed form and the accuracy
of the best possible classifier is the mean of its maximum. `separation` is the only strength knob; a `Regime` also
says what drifts, and the closed form follows it.
"""

import functools
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from psm_contract.features import Lines
from psm_contract.schema import CLASSES
from psm_training.gold import UNLABELLED, Gold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.object_]

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
LINES_OF_TRIP: Final = np.array([2.2, 7.0, 18.0])
ITEMS_OF_SIZE: Final = (4, 11)
"""So many items make a basket M, and L."""

TYPES: Final = 60
PRODUCTS_PER_TYPE: Final = 9
TIERS: Final = 3
TIER_PRICE: Final = np.array([0.68, 1.0, 1.5])
QUANTITY_SHARE: Final = (0.78, 0.18, 0.04)
UNLABELLED_SHARE: Final = 0.04


FIRST_BASKET: Final = 994_100_000_000_000


@dataclass(frozen=True)
class Regime:
    """How baskets come about; drift is another regime from some week on.

    Attributes:
        separation: How strongly the class moves the price tier of the lines.
        price: Factor on every shelf price; tells nothing about the class.
        trips: Share of each of TRIPS.
        trade_down: How far every class moves to cheaper tiers, in log odds; what a tier says about the class changes.
        label_noise: Share of baskets that are labelled as one of the two other classes.
    """

    separation: float = 0.9
    price: float = 1.0
    trips: tuple[float, float, float] = (0.45, 0.35, 0.20)
    trade_down: float = 0.0
    label_noise: float = 0.0


@dataclass(frozen=True)
class Households:
    """The shoppers, or the shopper of each basket.

    Attributes:
        region: Number in REGIONS.
        affluence: Hidden: nobody but the generator knows it.
        segment: Number in SEGMENTS.
        store: Number in FORMATS.
    """

    region: Ints
    affluence: Ints
    segment: Ints
    store: Ints

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int) -> Self:
        """So many shoppers."""
        region = rng.integers(0, len(REGIONS), count)
        affluence = _draw(rng, AFFLUENCE_OF_REGION, region % len(AFFLUENCE_OF_REGION))
        segment = _draw(rng, SEGMENT_OF_AFFLUENCE, affluence)
        return cls(region, affluence, segment, _draw(rng, FORMAT_OF_AFFLUENCE, affluence))

    def of(self, household: Ints) -> Self:
        """The shopper of each basket.

        Args:
            household: Number of the household, [baskets].
        """
        return type(self)(
            self.region[household], self.affluence[household], self.segment[household], self.store[household]
        )


@dataclass(frozen=True)
class Baskets:
    """Baskets as numbers, without a week; all arrays [baskets] but the last four.

    Attributes:
        household: Number of the household.
        shopper: What is known about it.
        label: Class as the label says it, UNLABELLED for XX.
        mission: Number in MISSIONS.
        trip: Number in TRIPS.
        size: Number in SIZES.
        weekday: 1 to 7.
        hour: 8 to 21.
        lengths: Lines of each basket.
        product: Number of each line's product, [lines].
        quantity: Items, [lines].
        spend: Money, [lines].
        posterior: P(label | everything observable), exact, [baskets, 3].
    """

    household: Ints
    shopper: Households
    label: NDArray[np.int8]
    mission: Ints
    trip: Ints
    size: Ints
    weekday: Ints
    hour: Ints
    lengths: Ints
    product: Ints
    quantity: Floats
    spend: Floats
    posterior: Floats

    def __len__(self) -> int:
        return len(self.household)


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


def tier_of_class(separation: float, trade_down: float = 0.0) -> Floats:
    """P(tier of a line | class of the basket), [class, tier]; separation 0 makes the lines say nothing."""
    base = np.log([0.34, 0.40, 0.26]) + trade_down * np.array([1.0, 0.0, -1.0])
    shift = np.array([[1.0, 0.0, -1.0], [-0.15, 0.30, -0.15], [-1.0, 0.0, 1.0]])
    weights = np.exp(base + separation * shift)
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
    drawn = draw(rng, Households.draw(rng, households), baskets, Regime(separation=separation))
    week = (FIRST_WEEK + rng.integers(0, weeks, baskets)).astype(np.int32)
    return Sample(gold=_gold(drawn, week), posterior=drawn.posterior)


def draw(rng: np.random.Generator, households: Households, baskets: int, regime: Regime) -> Baskets:
    """Draws baskets of the given shoppers.

    Args:
        rng: Decides all.
        households: Who shops.
        baskets: How many.
        regime: How they come about.
    """
    household = rng.integers(0, len(households.region), baskets)
    shopper = households.of(household)
    actual = _draw(rng, CLASS_OF_AFFLUENCE, shopper.affluence)
    mission = _draw(rng, MISSION_OF_CLASS, actual)
    trip = _draw(rng, np.array([regime.trips]), np.zeros(baskets, dtype=np.int64))
    lengths = 1 + rng.poisson(LINES_OF_TRIP[trip] - 1)
    basket = np.repeat(np.arange(baskets), lengths)
    tier = _draw(rng, tier_of_class(regime.separation, regime.trade_down), actual[basket])

    product, price = _products(rng, tier)
    quantity = rng.choice([1.0, 2.0, 3.0], size=len(tier), p=QUANTITY_SHARE)
    paid = regime.price * price * quantity * np.exp(rng.normal(0, 0.02, len(tier)))
    counts = np.bincount(basket * TIERS + tier, minlength=baskets * TIERS).reshape(-1, TIERS)
    weekday, hour = rng.integers(1, 8, baskets), rng.integers(8, 22, baskets)
    hidden = rng.random(baskets) < UNLABELLED_SHARE
    return Baskets(
        household=household,
        shopper=shopper,
        label=np.where(hidden, UNLABELLED, _mislabelled(rng, actual, regime.label_noise)).astype(np.int8),
        mission=mission,
        trip=trip,
        size=np.digitize(np.bincount(basket, quantity, baskets), ITEMS_OF_SIZE).astype(np.int64),
        weekday=weekday,
        hour=hour,
        lengths=lengths,
        product=product,
        quantity=quantity,
        spend=np.maximum(0.01, np.round(paid, 2)),
        posterior=_posterior(shopper, mission, counts, regime),
    )


def _gold(drawn: Baskets, week: NDArray[np.int32]) -> Gold:
    """The same baskets with names, as the pipeline has them in memory."""
    product, kind, category, department = (names[drawn.product] for names in code_names())
    context = {
        "SHOP_WEEKDAY": drawn.weekday,
        "SHOP_HOUR": drawn.hour,
        "BASKET_SIZE": SIZES[drawn.size],
        "BASKET_TYPE": TRIPS[drawn.trip],
        "BASKET_DOMINANT_MISSION": MISSIONS[drawn.mission],
        "STORE_FORMAT": FORMATS[drawn.shopper.store],
        "STORE_REGION": REGIONS[drawn.shopper.region],
        "seg_1": SEGMENTS[drawn.shopper.segment],
    }
    lines = Lines(
        starts=np.cumsum(drawn.lengths) - drawn.lengths,
        quantity=drawn.quantity,
        spend=drawn.spend,
        codes=(product, kind, category, department),
        context=context,
    )
    return Gold(
        lines=lines,
        label=drawn.label,
        household=drawn.household,
        week=week,
        basket=FIRST_BASKET + np.arange(len(drawn)),
    )


def _draw(rng: np.random.Generator, shares: Floats, row: Ints) -> Ints:
    """One category per entry of `row`, with the shares of that row of the table."""
    limits = np.cumsum(shares, axis=1)[:, :-1]
    chance = rng.random(len(row))
    chosen = np.zeros(len(row), dtype=np.int64)
    for limit in limits.T:
        chosen += chance > limit[row]
    return chosen


def _mislabelled(rng: np.random.Generator, actual: Ints, share: float) -> Ints:
    """The classes, so large a share of them replaced by one of the two others."""
    if not share:
        return actual
    other = (actual + rng.integers(1, len(CLASSES), len(actual))) % len(CLASSES)
    return np.where(rng.random(len(actual)) < share, other, actual)


def _products(rng: np.random.Generator, tier: Ints) -> tuple[Ints, Floats]:
    """A product of each line's tier and its shelf price; the catalogue is the same for every seed."""
    catalogue = np.random.default_rng(7)
    base = np.exp(catalogue.normal(0.3, 0.6, TYPES))
    per_tier = PRODUCTS_PER_TYPE // TIERS
    kind = rng.integers(0, TYPES, len(tier))
    product = kind * PRODUCTS_PER_TYPE + tier * per_tier + rng.integers(0, per_tier, len(tier))
    noise = np.exp(catalogue.normal(0, 0.06, TYPES * PRODUCTS_PER_TYPE))
    return product, base[kind] * TIER_PRICE[tier] * noise[product]


@functools.cache
def code_names() -> tuple[Names, Names, Names, Names]:
    """Codes of every product at each level: 60 product types in 20 categories in 5 departments; none tells the tier."""
    number = np.random.default_rng(11).permutation(TYPES * PRODUCTS_PER_TYPE)
    kind = np.arange(TYPES * PRODUCTS_PER_TYPE) // PRODUCTS_PER_TYPE

    def named(prefix: str, width: int, values: Ints) -> Names:
        return np.array([f"{prefix}{value + 1:0{width}d}" for value in values.tolist()], dtype=object)

    return named("PRD", 7, number), named("CL", 5, kind), named("DEP", 5, kind // 3), named("G", 5, kind // 12)


def _posterior(shopper: Households, mission: Ints, counts: Ints, regime: Regime) -> Floats:
    """P(label | region, segment, format, mission, tiers of the lines), [baskets, 3].

    Args:
        shopper: Of each basket; the affluence is not looked at.
        mission: Of each basket.
        counts: Lines of each tier, [baskets, tiers].
        regime: As the baskets were drawn.
    """
    affluence = AFFLUENCE_OF_REGION[shopper.region % len(AFFLUENCE_OF_REGION)]
    affluence = affluence * SEGMENT_OF_AFFLUENCE[:, shopper.segment].T * FORMAT_OF_AFFLUENCE[:, shopper.store].T
    log = np.log(affluence @ CLASS_OF_AFFLUENCE) + np.log(MISSION_OF_CLASS[:, mission]).T
    log += counts @ np.log(tier_of_class(regime.separation, regime.trade_down)).T
    odds = np.exp(log - log.max(axis=1, keepdims=True))
    actual = odds / odds.sum(axis=1, keepdims=True)
    noise = regime.label_noise
    return np.asarray((1 - noise) * actual + noise * (1 - actual) / (len(CLASSES) - 1), dtype=np.float64)
