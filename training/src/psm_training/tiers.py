"""Learns the tier of every product from the classes of the baskets that it lay in.

A basket's class says how many of its lines are of which tier, and the same product lies in many baskets: belief
propagation between the two. From basket to line goes the chance of the basket's class for each tier of the line, with all
combinations of the other lines weighed (`psm_contract.tiers`); from product to basket what the product's other baskets
and its kin in the hierarchy say. Baskets of one line tell a tier at once, each known tier makes another basket small
enough to be weighed exactly, and after a few sweeps nearly all are known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from psm_contract.schema import CLASSES
from psm_contract.tables import LEVELS, Tables
from psm_contract.tiers import (
    CHUNK,
    COUNTS,
    SURE,
    TIERS,
    VALUE,
    Thresholds,
    class_of,
    grid_of,
    start_of,
    stepped,
    unsure_groups,
)
from psm_training.gold import UNLABELLED, Gold

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SWEEPS: Final = (1, 2, 3, 5, *(8,) * 8)
"""Lines that are not sure, up to which a basket takes part in each sweep: the small ones say most, and say it first."""

MOST_WEIGHED: Final = SWEEPS[-1]
"""Up to so many, all combinations are weighed; of more, sum and count are taken for normal, in the sweeps that come to that."""

DAMPING: Final = 0.3
"""Share of a message that stays from the sweep before: without, a loop of products may swing for ever."""

FIRST_TIERS: Final = np.array([0.24, 0.48, 0.24, 0.04])
"""Chances of TIERS before anything is known."""
FIRST_THRESHOLDS: Final = Thresholds(-0.23, 0.185)
FIRST_NOISE: Final = 0.01
LEAST_NOISE: Final = 1e-4
"""Share of baskets whose class is another than their tiers say: before it is counted, and at least."""

KIN_WEIGHT: Final = 2.0
"""Products that the level above counts for in a node's own shares of tiers."""

SEARCHED: Final = ((-0.6, -0.02), (0.02, 0.6))
"""Between which means the thresholds are looked for."""

NOTHING_COUNTS: Final = len(CLASSES)
"""Number that the class XX gets here: of a basket none of whose lines counts."""

LEAST_BASKETS: Final = 200
"""Baskets of which every tier is known before thresholds and noise are counted on them."""


@dataclass(frozen=True)
class Tiers:
    """What was learned.

    Attributes:
        tier: Chance of each of TIERS at every node of the tables, [nodes, 4].
        thresholds: From the mean to the class.
        noise: Share of baskets of another class than their tiers say.
    """

    tier: Array
    thresholds: Thresholds
    noise: float


def fit_tiers(gold: Gold, tables: Tables, nodes: Ints) -> Tiers:
    """Learns the tiers.

    Args:
        gold: Labelled training baskets.
        tables: With the hierarchy of every product that was sold.
        nodes: Of every line at the finest level, [lines].
    """
    return _Propagation(gold, tables, nodes).run()


class _Propagation:
    """Messages of every line, and what they come to."""

    def __init__(self, gold: Gold, tables: Tables, nodes: Ints) -> None:
        starts = gold.lines.starts
        lengths = np.diff(starts, append=len(gold.lines.spend))
        self._label = np.where(gold.label == UNLABELLED, NOTHING_COUNTS, gold.label.astype(np.int64))
        self._basket = np.repeat(np.arange(len(lengths)), lengths)
        self._lengths = lengths
        self._node = nodes
        self._tables = tables
        self._message = np.zeros((len(nodes), len(TIERS)))  # logarithms
        self._sold = np.bincount(nodes, minlength=len(tables.parent)) > 0
        self._tier = np.tile(FIRST_TIERS, (len(tables.parent), 1))
        self._prior = self._tier
        self._thresholds, self._noise = FIRST_THRESHOLDS, FIRST_NOISE

    def run(self) -> Tiers:
        """All sweeps."""
        for most in SWEEPS:
            self._sweep(most)
            self._prior = _kin(self._tier, self._sold, self._tables)[1]
            self._count()
        return Tiers(self._tier, self._thresholds, self._noise)

    def _sweep(self, most: int) -> None:
        """One exchange of messages with the baskets that have at most so many lines that are not sure."""
        belief = np.log(self._prior) + self._gathered()
        tier = self._tier[self._node]
        is_sure = tier.max(axis=1) >= SURE
        likeliest = tier.argmax(axis=1)
        total = self._sum(np.where(is_sure, VALUE[likeliest], 0.0))
        count = self._sum(np.where(is_sure, COUNTS[likeliest], 0.0))
        for group in unsure_groups(is_sure, self._basket, len(self._label)):
            width = group.lines.shape[1]
            if width > most < MOST_WEIGHED:
                continue
            told_by = self._told if width <= MOST_WEIGHED else self._told_nearly
            size = max(1, CHUNK // (len(grid_of(min(width, MOST_WEIGHED))[0]) * (width + 1)))
            for start in range(0, len(group.baskets), size):
                baskets, lines = group.baskets[start : start + size], group.lines[start : start + size]
                cavity = _normalised(belief[self._node[lines]] - self._message[lines])
                told = told_by(cavity, total[baskets], count[baskets], self._label[baskets])
                fresh = np.log(np.maximum(told, 1e-12))
                fresh -= fresh.max(axis=2, keepdims=True)
                self._message[lines] = DAMPING * self._message[lines] + (1 - DAMPING) * fresh
        learned = _normalised(np.log(self._prior) + self._gathered())
        self._tier = np.where(self._sold[:, None], learned, _kin(learned, self._sold, self._tables)[0])

    def _sum(self, values: Array) -> Array:
        """Return the sum over the lines of each basket."""
        return np.bincount(self._basket, values, len(self._label)).astype(np.float64, copy=False)

    def _gathered(self) -> Array:
        size = len(self._tables.parent)
        return np.stack([np.bincount(self._node, column, size) for column in self._message.T], axis=1)

    def _told(self, cavity: Array, total: Array, count: Array, label: Ints) -> Array:
        """Chance of the baskets' classes for each tier of each line, [baskets, lines, 4]."""
        lines = cavity.shape[1]
        sums, counts, steps = grid_of(lines)
        is_right = self._class(total[:, None] + sums, count[:, None] + counts) == label[:, None]
        ahead = [np.where(is_right, 1 - self._noise, self._noise / len(CLASSES))]
        for line in reversed(range(1, lines)):
            ahead.append(_stepped_back(ahead[-1], cavity[:, line], steps))
        chance = np.zeros((len(cavity), len(sums)))
        chance[:, start_of(lines)] = 1.0
        told = np.empty_like(cavity)
        for line in range(lines):
            after = ahead[lines - 1 - line]
            for number in range(len(TIERS)):
                only = np.zeros((1, len(TIERS)))
                only[0, number] = 1.0
                told[:, line, number] = (chance * _stepped_back(after, only, steps)).sum(axis=1)
            chance = stepped(chance, cavity[:, line], steps)
        return told

    def _told_nearly(self, cavity: Array, total: Array, count: Array, label: Ints) -> Array:
        """The same of baskets with many lines that are not sure: sum minus threshold times count is nearly normal."""

        def below(threshold: float) -> Array:
            weight = VALUE - threshold * COUNTS
            mean = cavity @ weight
            spread = cavity @ weight**2 - mean**2
            others = (mean.sum(axis=1) + total - threshold * count)[:, None] - mean
            left = np.sqrt(np.maximum(spread.sum(axis=1)[:, None] - spread, 1e-9))
            return np.asarray(ndtr(-(others[:, :, None] + weight) / left[:, :, None]))

        la, um = below(self._thresholds.la_until), 1.0 - below(self._thresholds.um_from)
        of = label[:, None, None]
        right = np.select([of == 0, of == len(CLASSES) - 1, of == NOTHING_COUNTS], [la, um, 0.0], 1.0 - la - um)
        return np.asarray(np.clip(right, 0.0, 1.0) * (1 - self._noise) + self._noise / len(CLASSES))

    def _class(self, total: Array, count: Array) -> Ints:
        """Number of the class that sums and counts make."""
        la, um = class_of(total, count, self._thresholds)
        return np.select([count == 0, la, um], [NOTHING_COUNTS, 0, len(CLASSES) - 1], 1)

    def _count(self) -> None:
        """Thresholds and noise of the baskets of which every tier is known by now."""
        tier = self._tier[self._node]
        is_sure = tier.max(axis=1) >= SURE
        known = np.bincount(self._basket, ~is_sure, len(self._label)) == 0
        likeliest = tier.argmax(axis=1)
        total = self._sum(VALUE[likeliest])
        count = self._sum(COUNTS[likeliest])
        known &= (count > 0) & (self._lengths > 1)
        if known.sum() < LEAST_BASKETS:
            return
        mean, label = total[known] / count[known], self._label[known]
        la_until = _best_cut(mean, label == 0, SEARCHED[0], self._thresholds.la_until)
        um_from = -_best_cut(-mean, label == len(CLASSES) - 1, SEARCHED[0], -self._thresholds.um_from)
        self._thresholds = Thresholds(la_until, um_from)
        wrong = self._class(total[known], count[known]) != label
        self._noise = float(np.clip((wrong.sum() + 1) / (len(label) + 2), LEAST_NOISE, 0.5))


def _stepped_back(chance: Array, tier: Array, steps: tuple[int, int, int, int]) -> Array:
    """What a cell is worth before one more line, from what the cells are worth after it: `stepped` the other way."""
    before = chance * tier[:, 3:]
    down, same, up = steps[:3]
    before[:, -down:] += chance[:, :down] * tier[:, 0:1]
    before[:, :-same] += chance[:, same:] * tier[:, 1:2]
    before[:, :-up] += chance[:, up:] * tier[:, 2:3]
    return before


def _normalised(logarithms: Array) -> Array:
    chances = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=-1, keepdims=True))


def _kin(tier: Array, sold: NDArray[np.bool_], tables: Tables) -> tuple[Array, Array]:
    """Shares of tiers among the products below each node, and among the kin of each product: itself left out.

    Args:
        tier: Of the products, [nodes, 4].
        sold: Which nodes are products of training baskets, [nodes].
        tables: The hierarchy.

    Returns:
        For a product of which nothing is known, and for one as its prior; both [nodes, 4].
    """
    own = np.where(sold[:, None], tier, 0.0)
    own[int(tables.level_ends[0]) :] = 0.0  # a coarser node that stands in for a product is no product
    total, number = own.copy(), own.sum(axis=1)
    for level in range(len(LEVELS)):
        start = int(tables.level_ends[level - 1]) if level else 0
        below = np.arange(start, int(tables.level_ends[level]))
        np.add.at(total, tables.parent[below], total[below])
        np.add.at(number, tables.parent[below], number[below])
    shares = np.tile(FIRST_TIERS, (len(tier), 1))
    shares[-1] = (total[-1] + KIN_WEIGHT * FIRST_TIERS) / (number[-1] + KIN_WEIGHT)
    for level in reversed(range(1, len(LEVELS))):
        nodes = np.arange(int(tables.level_ends[level - 1]), int(tables.level_ends[level]))
        above = shares[tables.parent[nodes]]
        shares[nodes] = (total[nodes] + KIN_WEIGHT * above) / (number[nodes] + KIN_WEIGHT)[:, None]
    products = np.arange(int(tables.level_ends[0]))
    kind = tables.parent[products]
    shares[products] = shares[kind]
    prior = shares.copy()
    above = shares[tables.parent[kind]]
    rest, count = total[kind] - own[products], number[kind] - own[products].sum(axis=1)
    prior[products] = (rest + KIN_WEIGHT * above) / (count + KIN_WEIGHT)[:, None]
    return shares, np.maximum(prior, 1e-6)


def _best_cut(score: Array, is_below: NDArray[np.bool_], within: tuple[float, float], default: float) -> float:
    """The threshold that parts those that are below from the others with the fewest errors; halfway between two scores."""
    chosen = (score >= within[0]) & (score <= within[1])
    values, place = np.unique(np.round(score[chosen], 9), return_inverse=True)
    if len(values) < 2:  # noqa: PLR2004  # nothing to choose between
        return default
    below = np.bincount(place, is_below[chosen], len(values))
    others = np.bincount(place, ~is_below[chosen], len(values))
    errors = np.concatenate([[0.0], np.cumsum(others)]) + below.sum() - np.concatenate([[0.0], np.cumsum(below)])
    edges = np.concatenate([[within[0]], (values[1:] + values[:-1]) / 2, [within[1]]])
    best, now = int(np.argmin(errors)), int(np.searchsorted(values, default, side="right"))
    return float(edges[best]) if errors[best] < errors[now] else default
