"""What the tiers of a basket's products say about the basket: the exact chance of each class, by counting lines.

Every product is of one tier: LA, MM, UM, or none, and then its lines do not count. A basket's score is the mean over the
lines that count of LA = -1, MM = 0 and UM = +1; two thresholds make it a class. Where the tiers of some lines are known
with a chance only, all their combinations are weighed at once: the chance of every sum and count is carried from line to
line. Called by `psm_contract.features`; numpy only.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

TIERS: Final = ("LA", "MM", "UM", "none")
VALUE: Final = np.array([-1.0, 0.0, 1.0, 0.0])
"""What a line of each tier adds to the sum."""
COUNTS: Final = np.array([1.0, 1.0, 1.0, 0.0])
"""What it adds to the number of lines that count."""

SURE: Final = 0.999
"""A line of this chance counts as of its tier: it is as good as known, and costs no time."""

MOST_EXACT: Final = 12
"""Lines that are not sure, up to which every combination is weighed; of more, sum and count are nearly normal."""

CHUNK: Final = 2_000_000
"""Chances that are held at once, 16 MB."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Mean tier up to which a basket is LA, and from which it is UM."""

    la_until: float
    um_from: float


@dataclass(frozen=True, slots=True)
class Unsure:
    """Baskets with equally many lines that are not sure.

    Attributes:
        baskets: Their numbers, [n].
        lines: Numbers of their lines that are not sure, [n, lines].
    """

    baskets: Ints
    lines: Ints


def grid_of(lines: int) -> tuple[Array, Array, tuple[int, int, int, int]]:
    """Sums and counts that so many lines can come to, and how far each tier moves in that list.

    Returns:
        Sum [cells], count [cells], and the step of each of TIERS. The cell of nothing counted is `start_of`.
    """
    width = lines + 1
    total = np.repeat(np.arange(-lines, lines + 1, dtype=np.float64), width)
    count = np.tile(np.arange(width, dtype=np.float64), 2 * lines + 1)
    return total, count, (1 - width, 1, width + 1, 0)


def start_of(lines: int) -> int:
    """The cell of `grid_of` where nothing was counted yet."""
    return lines * (lines + 1)


def stepped(chance: Array, tier: Array, steps: tuple[int, int, int, int]) -> Array:
    """Chances of the cells after one more line.

    Args:
        chance: Of the cells before it, [n, cells].
        tier: Of the line in each basket, [n, 4].
        steps: Of `grid_of`.
    """
    after = chance * tier[:, 3:]
    down, same, up = steps[:3]
    after[:, :down] += chance[:, -down:] * tier[:, 0:1]
    after[:, same:] += chance[:, :-same] * tier[:, 1:2]
    after[:, up:] += chance[:, :-up] * tier[:, 2:3]
    return after


def class_of(total: Array, count: Array, thresholds: Thresholds) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether sums and counts make a basket LA, and UM; one in which nothing counts is neither."""
    mean = total / np.maximum(count, 1.0)
    return mean <= thresholds.la_until, mean >= thresholds.um_from


def unsure_groups(is_sure: NDArray[np.bool_], basket: Ints, baskets: int) -> list[Unsure]:
    """The baskets with lines that are not sure, those with equally many together.

    Args:
        is_sure: Of each line, [lines].
        basket: Number of each line's basket, ascending, [lines].
        baskets: How many there are.
    """
    lines = np.flatnonzero(~is_sure)
    if not len(lines):
        return []
    counts = np.bincount(basket[lines], minlength=baskets)
    of_line = counts[basket[lines]]
    return [
        Unsure(np.flatnonzero(counts == count), lines[of_line == count].reshape(-1, count))
        for count in np.unique(of_line).tolist()
    ]


def class_chances(tier: Array, basket: Ints, baskets: int, thresholds: Thresholds) -> tuple[Array, Array, Array, Array]:
    """What is known of the baskets by their lines' tiers.

    Args:
        tier: Chance of each of TIERS for each line, [lines, 4].
        basket: Number of each line's basket, ascending, [lines].
        baskets: How many there are.
        thresholds: From the mean to the class.

    Returns:
        Expected mean tier, chance of LA, chance of UM and share of lines whose tier is sure, all [baskets].
    """
    is_sure = tier.max(axis=1) >= SURE
    likeliest = tier.argmax(axis=1)

    def added(values: Array) -> Array:
        # line by line in order, so that one basket alone gives the same bits
        return np.bincount(basket, values, baskets).astype(np.float64, copy=False)

    total = added(np.where(is_sure, VALUE[likeliest], 0.0))
    count = added(np.where(is_sure, COUNTS[likeliest], 0.0))
    la, um = (decided.astype(np.float64) for decided in class_of(total, count, thresholds))
    for group in unsure_groups(is_sure, basket, baskets):
        weighed = _exact if group.lines.shape[1] <= MOST_EXACT else _normal
        size = max(1, CHUNK // len(grid_of(min(MOST_EXACT, group.lines.shape[1]))[0]))
        for start in range(0, len(group.baskets), size):
            chosen = group.baskets[start : start + size]
            unsure = tier[group.lines[start : start + size]]
            la[chosen], um[chosen] = weighed(unsure, total[chosen], count[chosen], thresholds)
    mean = added(tier[:, 2] - tier[:, 0]) / np.maximum(added(1.0 - tier[:, 3]), SMALLEST_COUNT)
    return mean, la, um, added(is_sure.astype(np.float64)) / added(np.ones(len(tier)))


SMALLEST_COUNT: Final = 1e-9
"""Keeps the mean of a basket in which nothing counts at 0."""


def _exact(tier: Array, total: Array, count: Array, thresholds: Thresholds) -> tuple[Array, Array]:
    """Chances of LA and UM of baskets with [n, lines, 4] lines that are not sure beside a known sum and count."""
    lines = tier.shape[1]
    sums, counts, steps = grid_of(lines)
    chance = np.zeros((len(tier), len(sums)))
    chance[:, start_of(lines)] = 1.0
    for line in range(lines):
        chance = stepped(chance, tier[:, line], steps)
    la, um = class_of(total[:, None] + sums, count[:, None] + counts, thresholds)
    return (chance * la).sum(axis=1), (chance * um).sum(axis=1)


def _normal(tier: Array, total: Array, count: Array, thresholds: Thresholds) -> tuple[Array, Array]:
    """The same of baskets with many such lines: sum minus threshold times count is nearly normal."""

    def below(threshold: float) -> Array:
        weight = VALUE - threshold * COUNTS
        mean = tier @ weight
        spread = np.sqrt(np.maximum((tier @ weight**2 - mean**2).sum(axis=1), 1e-12))
        score = -(total - threshold * count + mean.sum(axis=1)) / spread
        return np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in score.tolist()])

    return below(thresholds.la_until), 1.0 - below(thresholds.um_from)
