"""Chances of the classes from tiers of lines: what counting every combination says."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from psm_contract.tiers import COUNTS, MOST_EXACT, SURE, TIERS, VALUE, Array, Thresholds, class_chances

THRESHOLDS = Thresholds(-0.23, 0.18)

chances = hnp.arrays(np.float64, (4,), elements=st.floats(0.0, 1.0)).filter(lambda row: row.sum() > 0.01)
tiers = st.lists(chances.map(lambda row: row / row.sum()), min_size=1, max_size=5)


def _counted(lines: list[Array]) -> tuple[float, float]:
    """Chance of LA and of UM by all combinations of tiers, one after the other; a sure line is of its tier."""
    lines = [np.eye(len(TIERS))[row.argmax()] if row.max() >= SURE else row for row in lines]
    la = um = 0.0
    for combination in product(range(len(TIERS)), repeat=len(lines)):
        chance = float(np.prod([row[tier] for row, tier in zip(lines, combination, strict=True)]))
        count = COUNTS[list(combination)].sum()
        mean = VALUE[list(combination)].sum() / count if count else 0.0
        la += chance * (mean <= THRESHOLDS.la_until)
        um += chance * (mean >= THRESHOLDS.um_from)
    return la, um


@given(st.lists(tiers, min_size=1, max_size=4))
def test_chances_are_those_of_all_combinations(baskets: list[list[Array]]) -> None:
    """And several baskets at once get the bits that each gets alone."""
    lengths = [len(lines) for lines in baskets]
    basket = np.repeat(np.arange(len(baskets)), lengths)
    found = np.stack(
        class_chances(np.concatenate([np.stack(lines) for lines in baskets]), basket, len(baskets), THRESHOLDS)
    )
    for number, lines in enumerate(baskets):
        alone = np.stack(class_chances(np.stack(lines), np.zeros(len(lines), dtype=np.int64), 1, THRESHOLDS))
        assert alone[:, 0].tobytes() == np.ascontiguousarray(found[:, number]).tobytes()
        assert (alone[1, 0], alone[2, 0]) == pytest.approx(_counted(lines), abs=1e-9)


def test_lines_of_no_tier_do_not_count() -> None:
    """One LA line of five is MM, of four LA: the fifth has no tier."""
    rows = np.eye(4)[[0, 1, 1, 1, 3]]
    mean, la, um, known = class_chances(rows, np.zeros(5, dtype=np.int64), 1, THRESHOLDS)
    assert (mean[0], la[0], um[0], known[0]) == (-0.25, 1.0, 0.0, 1.0)
    rows[4] = np.eye(4)[1]
    assert class_chances(rows, np.zeros(5, dtype=np.int64), 1, THRESHOLDS)[1][0] == 0.0


def test_many_unsure_lines_are_nearly_what_drawing_says() -> None:
    """Beyond the most that are weighed exactly, a normal distribution stands in: right to two hundredths."""
    rng = np.random.default_rng(0)
    lines = 3 * MOST_EXACT
    rows = rng.dirichlet([1.2, 2.0, 1.0, 0.2], size=lines)
    _, la, um, _ = class_chances(rows, np.zeros(lines, dtype=np.int64), 1, THRESHOLDS)
    drawn = np.stack([rng.choice(4, size=20_000, p=row) for row in rows], axis=1)
    mean = VALUE[drawn].sum(axis=1) / np.maximum(COUNTS[drawn].sum(axis=1), 1)
    assert la[0] == pytest.approx((mean <= THRESHOLDS.la_until).mean(), abs=0.02)
    assert um[0] == pytest.approx((mean >= THRESHOLDS.um_from).mean(), abs=0.02)
