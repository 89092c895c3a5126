"""Cutting pieces at the ends of baskets: the same baskets wherever the pieces end."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from psm_predictor.batch.baskets import Grouping
from psm_predictor.batch.chunk import Piece, Refused
from psm_predictor.batch.errors import InputError

LIMIT = 5
MALFORMED = "malformed"
LINES = st.lists(st.sampled_from([0, 0, 0, 1, 1, 1, None, MALFORMED]), max_size=40)
"""Steps of BASKET_ID from line to line; None names no basket, MALFORMED cannot be read."""


def ids_of(steps: list[int | str | None]) -> list[int | str | None]:
    basket = 100
    ids: list[int | str | None] = []
    for step in steps:
        if isinstance(step, int):
            basket += step
        ids.append(basket if isinstance(step, int) else step)
    return ids


def pieces(ids: list[int | str | None], cuts: list[int]) -> Iterator[Piece]:
    """The lines, cut before the given rows."""
    bounds = [0, *sorted({cut for cut in cuts if cut < len(ids)}), len(ids)]
    for start, end in pairwise(bounds):
        rows = [row for row in range(start, end) if ids[row] != MALFORMED]
        batch = pa.record_batch(
            {"BASKET_ID": pa.array([ids[row] for row in rows], pa.int64()), "row": pa.array(rows, pa.int64())}
        )
        malformed = tuple(Refused(row, []) for row in range(start, end) if ids[row] == MALFORMED)
        yield Piece(batch, np.array(rows, dtype=np.int64), malformed)


def told(ids: list[int | str | None]) -> dict[int, tuple[list[int], bool]]:
    """Rows of each basket and whether it lies beside a line of nobody, by plain loops."""
    baskets: dict[int, tuple[list[int], bool]] = {}
    for row, basket in enumerate(ids):
        if isinstance(basket, int):
            beside = any(0 <= other < len(ids) and not isinstance(ids[other], int) for other in (row - 1, row + 1))
            rows, spoiled = baskets.get(basket, ([], False))
            baskets[basket] = ([*rows, row], spoiled or beside)
    return baskets


@given(steps=LINES, cuts=st.lists(st.integers(0, 40), max_size=8))
@example(steps=[0, None, 1, MALFORMED, 1], cuts=[])
@example(steps=[0, None, 1, MALFORMED, 1], cuts=[1, 2, 3, 4])
@example(steps=[0] * 20, cuts=[3, 6, 9])
def test_baskets_do_not_depend_on_where_pieces_end(steps: list[int | str | None], cuts: list[int]) -> None:
    """Each basket once, with all of its lines; refused if too long, or beside a line that is nobody's."""
    ids = ids_of(steps)
    expected = told(ids)
    found: dict[int, tuple[list[int], bool]] = {}
    orphans: list[int] = []
    rows_read = 0
    grouping = Grouping(LIMIT, is_sorted=True)
    for baskets in grouping.baskets(pieces(ids, cuts)):
        assert grouping._open is None or len(grouping._open.ids) <= LIMIT + 1
        orphans += [line.row for line in baskets.refused]
        rows_read += baskets.rows_read
        for number, basket in enumerate(baskets.ids.tolist()):
            assert basket not in found
            start, length = int(baskets.starts[number]), int(baskets.lengths[number])
            rows = baskets.batch.column("row").to_pylist()[start : start + length]
            assert rows == baskets.rows[start : start + length].tolist()
            count = len(expected[basket][0])
            assert baskets.too_many(number) == (count if count > LIMIT else 0)
            assert bool(baskets.bad_if(np.zeros(len(baskets.batch), dtype=np.bool_))[number]) == (
                count > LIMIT or expected[basket][1]
            )
            found[basket] = (rows, bool(baskets.incomplete[number]))

    assert rows_read == len(ids)
    assert sorted(orphans) == [row for row, basket in enumerate(ids) if not isinstance(basket, int)]
    assert found.keys() == expected.keys()
    for basket, (rows, beside) in expected.items():
        assert found[basket][0] == rows[: len(found[basket][0])]
        assert found[basket] == (rows, beside) or len(rows) > LIMIT


def test_a_smaller_basket_number_after_a_greater_is_refused() -> None:
    """The row and both numbers are named."""
    with pytest.raises(InputError, match="BASKET_ID falls from 9 to 8 at row 2"):
        list(Grouping(LIMIT, is_sorted=True).baskets(pieces([9, 9, 8], [1])))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["7", "8", "x", None, "8.5", ""]), [7, 8]),
        (pa.array([7.0, 8.0, float("nan"), None, 8.5]), [7, 8]),
        (pa.array([7, 8, None], pa.int32()), [7, 8]),
        (pa.array([7, 2**63 + 1], pa.uint64()), [7]),
        (pa.array([None, None]), []),
    ],
    ids=["texts", "numbers with fractions", "small numbers", "beyond 64 bits", "none"],
)
def test_basket_numbers_of_any_type_are_read(column: pa.Array, expected: list[int]) -> None:
    """What is no whole number belongs to no basket."""
    piece = Piece(pa.record_batch({"BASKET_ID": column}), np.arange(len(column)))

    closed = list(Grouping(LIMIT, is_sorted=True).baskets(iter([piece])))

    assert [basket for baskets in closed for basket in baskets.ids.tolist()] == expected
    assert sum(len(baskets.refused) for baskets in closed) == len(column) - len(expected)
