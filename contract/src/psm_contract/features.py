"""Till lines -> the model's input matrix: the one feature transformation of the product.

Training calls `basket_features` on all baskets at once, the predictor on the baskets of one request; both get the
same float32 numbers, because sums run line by line in order. numpy only: import time is cold-start time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from psm_contract.manifest import Feature
from psm_contract.schema import Line
from psm_contract.tables import LEVELS, ZONE_EDGES, ZONE_LEVELS, CodeColumn, Tables
from psm_contract.tiers import class_chances

Array = NDArray[np.float64]

PRICE_INDEX_LIMIT: Final = 2.0
"""Price indices are clipped to two standard deviations: beyond are data errors and weighed goods."""

PRICE_INDEX_TIER: Final = 0.4
"""A line is low (high) tier when its price index is below -0.4 (above 0.4): about a third of lines each."""

SMALLEST_PRICE: Final = 0.01
"""One cent: keeps the logarithm finite."""


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature before its vocabulary and default are learned; `source` is the till column of a context feature."""

    name: str
    kind: Literal["number", "category"]
    description: str
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    source: str | None = None


def _price_specs() -> tuple[FeatureSpec, ...]:
    """Four price indices against each of product type, category and department."""
    levels = {"type": "product type", "category": "category", "department": "department"}
    z, share = PRICE_INDEX_LIMIT, 1.0
    return tuple(
        FeatureSpec(f"price_index_{short}_{name}", "number", f"{text} {level}", low, high)
        for short, level in levels.items()
        for name, text, low, high in (
            ("mean", "mean standardised log unit price within the", -z, z),
            ("weighted", "spend-weighted standardised log unit price within the", -z, z),
            ("low", "share of lines cheap for their", 0.0, share),
            ("high", "share of lines dear for their", 0.0, share),
        )
    )


def _encoding_specs() -> tuple[FeatureSpec, ...]:
    """How much more often than average the products were bought in LA and UM baskets."""
    words = {"la": "LA", "um": "UM"}
    return tuple(
        FeatureSpec(f"product_{short}_{name}", "number", f"{text} learned {label} share of the products", -1.0, 1.0)
        for short, label in words.items()
        for name, text in (
            ("mean", "mean"),
            ("weighted", "spend-weighted"),
            ("min", "smallest"),
            ("max", "largest"),
        )
    )


def _affinity_specs() -> tuple[FeatureSpec, ...]:
    """What the products and their price zones, weighed against one another, say about the basket."""
    words = {"la": "LA", "um": "UM"}
    return tuple(
        FeatureSpec(f"affinity_{short}_{name}", "number", f"{text} {label}", -10.0, 10.0)
        for short, label in words.items()
        for name, text in (
            ("mean", "mean pull of the lines towards"),
            ("weighted", "spend-weighted pull of the lines towards"),
            ("product", "mean pull of the products alone towards"),
            ("price", "mean pull of the price zones alone towards"),
        )
    )


_TIER_SPECS: Final = (
    FeatureSpec("tier_mean", "number", "expected mean tier of the lines, LA -1, MM 0, UM +1", -1.0, 1.0),
    FeatureSpec("tier_la", "number", "chance by the tiers of the lines that the basket is LA", 0.0, 1.0),
    FeatureSpec("tier_um", "number", "chance by the tiers of the lines that the basket is UM", 0.0, 1.0),
    FeatureSpec("tier_known", "number", "share of lines whose product's tier is known for sure", 0.0, 1.0),
)
"""What the learned tiers of the products say, by counting lines and not money (`psm_contract.tiers`); 0 if none were learned."""

FEATURES: Final = (
    FeatureSpec("spend", "number", "money spent in the basket", 0.0, 1_000_000.0, required=True),
    FeatureSpec("items", "number", "items in the basket", 1.0, 1_000_000.0, required=True),
    FeatureSpec("line_count", "number", "product lines in the basket", 1.0, 10_000.0, required=True),
    FeatureSpec("unit_price", "number", "spend per item", 0.0, 1_000_000.0),
    FeatureSpec("unit_price_mean", "number", "mean unit price of the lines", 0.0, 1_000_000.0),
    FeatureSpec("unit_price_min", "number", "smallest unit price", 0.0, 1_000_000.0),
    FeatureSpec("unit_price_max", "number", "largest unit price", 0.0, 1_000_000.0),
    *_price_specs(),
    *_encoding_specs(),
    *_affinity_specs(),
    *_TIER_SPECS,
    FeatureSpec("shop_weekday", "number", "day of the week, 1 = Sunday", 1.0, 7.0, source="SHOP_WEEKDAY"),
    FeatureSpec("shop_hour", "number", "hour of the purchase", 0.0, 23.0, source="SHOP_HOUR"),
    FeatureSpec("basket_size", "category", "S, M or L by number of items", source="BASKET_SIZE"),
    FeatureSpec("basket_type", "category", "kind of shopping trip", source="BASKET_TYPE"),
    FeatureSpec("basket_mission", "category", "dominant mission of the trip", source="BASKET_DOMINANT_MISSION"),
    FeatureSpec("store_format", "category", "size class of the store", source="STORE_FORMAT"),
    FeatureSpec("store_region", "category", "region of the store", source="STORE_REGION"),
    FeatureSpec("seg_1", "category", "first customer segment", source="seg_1"),
    FeatureSpec("seg_2", "category", "second customer segment", source="seg_2"),
)
CONTEXT: Final = tuple(spec for spec in FEATURES if spec.source is not None)
CONTEXT_COLUMNS: Final = tuple(spec.source for spec in FEATURES if spec.source is not None)
CATEGORIES: Final = tuple(spec for spec in FEATURES if spec.kind == "category")
_FIRST_CONTEXT: Final = len(FEATURES) - len(CONTEXT)


def feature_schema(tables: Tables) -> tuple[Feature, ...]:
    """The manifest's features: the fixed list with the learned vocabularies and defaults.

    Raises:
        ValueError: The tables were learned for another list of features.
    """
    if len(tables.defaults) != len(FEATURES) or len(tables.vocabularies) != len(CATEGORIES):
        raise ValueError(
            f"the tables hold {len(tables.defaults)} defaults and {len(tables.vocabularies)} vocabularies, "
            f"this release has {len(FEATURES)} features, {len(CATEGORIES)} of them categories"
        )
    vocabularies = dict(zip((spec.name for spec in CATEGORIES), tables.vocabularies, strict=True))
    return tuple(
        Feature(
            name=spec.name,
            kind=spec.kind,
            vocabulary=vocabularies.get(spec.name, ()),
            default=None if spec.required else _default(vocabularies.get(spec.name), float(default)),
            minimum=spec.minimum,
            maximum=spec.maximum,
            description=spec.description,
        )
        for spec, default in zip(FEATURES, tables.defaults.tolist(), strict=True)
    )


def _default(vocabulary: tuple[str, ...] | None, encoded: float) -> float | str:
    return encoded if vocabulary is None else vocabulary[int(encoded)]


@dataclass(frozen=True, slots=True)
class Lines:
    """Baskets as columns: the lines of basket i are rows starts[i] up to starts[i + 1].

    Attributes:
        starts: First row of every basket, ascending from 0, no basket empty, [baskets].
        quantity: Items, [lines].
        spend: Money, positive, [lines].
        codes: Product codes at each of tables.LEVELS; None where not given, 4 x [lines].
        context: Values of the basket's first line per till column of CONTEXT, [baskets]; an absent column is missing.
    """

    starts: NDArray[np.int64]
    quantity: Array
    spend: Array
    codes: tuple[CodeColumn, CodeColumn, CodeColumn, CodeColumn]
    context: Mapping[str, Sequence[Any] | NDArray[Any]]

    @classmethod
    def from_baskets(cls, baskets: Sequence[Sequence[Line]]) -> Self:
        """Columns of the given baskets; none may be empty."""
        lengths = np.fromiter(map(len, baskets), dtype=np.int64, count=len(baskets))
        if not lengths.all():
            raise ValueError(f"basket {int(np.argmin(lengths))} has no lines; a basket holds at least one")
        starts = np.cumsum(lengths) - lengths
        lines = list(chain.from_iterable(baskets))
        columns: Sequence[Mapping[str, Any]] = lines
        product, kind, category, department = ([line.get(level) for line in columns] for level in LEVELS)
        return cls(
            starts=starts,
            quantity=np.fromiter((line["QUANTITY"] for line in lines), dtype=np.float64, count=len(lines)),
            spend=np.fromiter((line["SPEND"] for line in lines), dtype=np.float64, count=len(lines)),
            codes=(product, kind, category, department),
            context={source: [columns[start].get(source) for start in starts.tolist()] for source in CONTEXT_COLUMNS},
        )


def basket_features(lines: Lines, tables: Tables) -> NDArray[np.float32]:
    """The model's input for every basket.

    Args:
        lines: The baskets.
        tables: The learned tables of the same archive as the model.

    Returns:
        [baskets, len(FEATURES)], category features as the number of their word.
    """
    baskets = len(lines.starts)
    matrix = np.empty((baskets, len(FEATURES)), dtype=np.float32)
    if not baskets:
        return matrix
    total = _Totals(lines.starts, len(lines.spend))
    nodes = tables.nodes(lines.codes)
    spend = total.sum(lines.spend)
    items = total.sum(lines.quantity)
    unit_price = np.maximum(lines.spend / lines.quantity, SMALLEST_PRICE)
    columns = [
        spend,
        items,
        total.count,
        spend / items,
        total.mean(unit_price),
        total.min(unit_price),
        total.max(unit_price),
    ]
    log_price = np.log(unit_price)
    weight = lines.spend / spend[total.basket]
    index = (log_price - tables.price_mean[nodes]) / tables.price_spread[nodes]
    for level in index[1:]:
        columns += _price_index(level, weight, total)
    for column in tables.encoding.T:
        encoded = column[nodes[0]]
        columns += [total.mean(encoded), total.sum(encoded * weight), total.min(encoded), total.max(encoded)]
    products, zones = line_effects(nodes, index, tables)
    for product, zone in zip(products.T, zones.T, strict=True):
        pull = product + zone
        columns += [total.mean(pull), total.sum(pull * weight), total.mean(product), total.mean(zone)]
    if tables.has_tiers:
        columns += class_chances(tables.tier[nodes[0]], total.basket, baskets, tables.thresholds)
    else:
        columns += [np.zeros(baskets)] * len(_TIER_SPECS)
    columns += _context(lines, tables)
    return np.stack(columns, axis=1, dtype=np.float32, casting="same_kind")


class _Totals:
    """Sums over the lines of each basket, line by line in order, so that one basket alone gives the same bits."""

    def __init__(self, starts: NDArray[np.int64], lines: int) -> None:
        self._starts = starts
        lengths = np.diff(starts, append=lines)
        self.count = lengths.astype(np.float64)
        self.basket = np.repeat(np.arange(len(starts)), lengths)

    def sum(self, values: Array) -> Array:
        """Sum per basket; bincount adds strictly in order, which reduceat does not promise."""
        return np.bincount(self.basket, values, len(self._starts)).astype(np.float64, copy=False)

    def mean(self, values: Array) -> Array:
        return self.sum(values) / self.count

    def min(self, values: Array) -> Array:
        return np.minimum.reduceat(values, self._starts)

    def max(self, values: Array) -> Array:
        return np.maximum.reduceat(values, self._starts)


def _price_index(index: Array, weight: Array, total: _Totals) -> list[Array]:
    """Standardised log unit price of the lines: mean, weighted mean, share low, share high."""
    clipped = np.clip(index, -PRICE_INDEX_LIMIT, PRICE_INDEX_LIMIT)
    low = (clipped < -PRICE_INDEX_TIER).astype(np.float64)
    high = (clipped > PRICE_INDEX_TIER).astype(np.float64)
    return [total.mean(clipped), total.sum(clipped * weight), total.mean(low), total.mean(high)]


def line_effects(nodes: NDArray[np.int64], index: Array, tables: Tables) -> tuple[Array, Array]:
    """Pull of every line towards LA and UM: by its product, and by its price zones.

    Args:
        nodes: Of every line at every level, [4, lines].
        index: Standardised log unit price against those nodes, [4, lines].
        tables: The learned tables.

    Returns:
        Two arrays [lines, 2].
    """
    zones = np.zeros((nodes.shape[1], 2))
    for level in ZONE_LEVELS:
        own = tables.own(level, nodes[level])
        zones[own] += tables.zone_effect[nodes[level][own] - tables.level_ends[0], price_zone(index[level][own])]
    return tables.effect[nodes[0]], zones


def price_zone(index: Array) -> NDArray[np.int64]:
    """Number of the price zone of each standardised log unit price."""
    return np.searchsorted(ZONE_EDGES, index, side="right")


def _context(lines: Lines, tables: Tables) -> list[Array]:
    """The basket columns: numbers as they are, categories as the number of their word, missing -> default."""
    columns: list[Array] = []
    category = 0
    for spec, default in zip(CONTEXT, tables.defaults[_FIRST_CONTEXT:].tolist(), strict=True):
        given = lines.context.get(spec.source or "")
        if given is None:
            columns.append(np.full(len(lines.starts), default))
        elif spec.kind == "category":
            columns.append(tables.words(category, given, default))
        else:
            numbers = (default if value is None else float(value) for value in given)
            columns.append(np.fromiter(numbers, dtype=np.float64, count=len(given)))
        category += spec.kind == "category"
    return columns
