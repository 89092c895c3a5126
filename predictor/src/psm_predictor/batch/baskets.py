"""Pieces of a file of till lines -> whole baskets. Knows order and gaps, nothing of prices or products.

Called by `lines`. Memory: one piece and the lines of one basket, of which no more are kept than a basket may have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psm_contract import cells
from psm_contract.schema import RANGES
from psm_predictor.batch.chunk import Piece, Refused, RowNumbers
from psm_predictor.batch.columns import Mask
from psm_predictor.batch.errors import InputError
from psm_predictor.findings import finding

BASKET_ID: Final = "BASKET_ID"
_DIGITS: Final = "^[0-9]{1,18}$"


@dataclass(frozen=True, slots=True)
class Baskets:
    """Whole baskets, one after the other.

    Attributes:
        batch: Their lines.
        rows: Numbers of the lines in the file.
        ids: BASKET_ID of each basket.
        starts: First line of each basket in `batch`.
        lengths: Lines of each basket in `batch`.
        incomplete: Baskets next to a line that could not be read.
        dropped: Lines of the first basket that were not kept, because it has more than a basket may have.
        most_lines: That limit.
        refused: Lines that belong to no basket.
        rows_read: Rows of the file read since the last ones.
    """

    batch: pa.RecordBatch
    rows: RowNumbers
    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    incomplete: Mask
    dropped: int
    most_lines: int
    refused: list[Refused]
    rows_read: int

    def bad_if(self, bad_line: Mask) -> Mask:
        """Which baskets are refused, given which lines are bad."""
        bad = self.incomplete | (self.lengths > self.most_lines)
        if len(self.starts):
            bad |= np.logical_or.reduceat(bad_line, self.starts)
        return bad

    def lines_of(self, chosen: Mask) -> Mask:
        """Which lines belong to the chosen baskets."""
        mask: Mask = np.repeat(chosen, self.lengths)
        return mask

    def too_many(self, basket: int) -> int:
        """How many lines the basket has if these are too many, else 0."""
        lines = int(self.lengths[basket]) + (self.dropped if basket == 0 else 0)
        return lines if lines > self.most_lines else 0


@dataclass(frozen=True, slots=True)
class _Open:
    """Lines whose basket the next piece may continue."""

    batch: pa.RecordBatch
    rows: RowNumbers
    ids: NDArray[np.int64]
    beside_gap: Mask


class Grouping:
    """Cuts pieces at the ends of baskets."""

    def __init__(self, most_lines: int, *, is_sorted: bool) -> None:
        self._most_lines = most_lines
        self._is_sorted = is_sorted
        self._open: _Open | None = None
        self._dropped = 0
        self._last_row = -1
        self._seen = -1

    def baskets(self, pieces: Iterator[Piece]) -> Iterator[Baskets]:
        """The baskets of all pieces, in order.

        Raises:
            InputError: BASKET_ID is not sorted, though it should be.
        """
        empty: pa.RecordBatch | None = None
        for piece in pieces:
            refused = list(piece.malformed)
            lines = self._readable(piece, refused)
            empty = lines.batch.slice(0, 0)
            yield self._close(self._joined(lines), refused, len(piece.batch) + len(piece.malformed))
        if self._open is not None and empty is not None:
            self._mark_open(self._seen != self._last_row)
            last = _Open(empty, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))
            yield self._close(self._joined(last), [], 0, is_last=True)

    def _readable(self, piece: Piece, refused: list[Refused]) -> _Open:
        """The lines that name a basket, and which of them lie beside one that does not."""
        ids, bad = _basket_ids(piece.batch.column(BASKET_ID))
        for index in np.flatnonzero(bad):
            message = f"must be a whole number up to {RANGES[BASKET_ID][1]} that names the basket of the line"
            value = piece.batch.column(BASKET_ID)[int(index)].as_py()
            refused.append(Refused(int(piece.rows[index]), [finding("no_basket", (BASKET_ID,), message, value)]))
        batch, rows = piece.batch, piece.rows
        if bad.any():
            batch, rows, ids = batch.filter(pa.array(~bad)), rows[~bad], ids[~bad]
        self._seen = max([self._seen, *piece.rows[-1:].tolist(), *(line.row for line in piece.malformed)])
        gap_before = np.diff(rows, prepend=self._last_row) != 1
        beside_gap = gap_before.copy()
        beside_gap[:-1] |= gap_before[1:]
        if len(rows):
            self._mark_open(gap_before[0])
            self._last_row = int(rows[-1])
        return _Open(batch, rows, ids, beside_gap)

    def _mark_open(self, is_beside_gap: bool) -> None:  # noqa: FBT001  # one value, named by the method
        if self._open is not None:
            self._open.beside_gap[-1] |= is_beside_gap

    def _joined(self, lines: _Open) -> _Open:
        """The open basket's lines and the new ones."""
        held = self._open
        if held is None:
            return lines
        return _Open(
            batch=pa.Table.from_batches([held.batch, lines.batch]).combine_chunks().to_batches()[0],
            rows=np.concatenate([held.rows, lines.rows]),
            ids=np.concatenate([held.ids, lines.ids]),
            beside_gap=np.concatenate([held.beside_gap, lines.beside_gap]),
        )

    def _close(self, lines: _Open, refused: list[Refused], rows_read: int, *, is_last: bool = False) -> Baskets:
        """The whole baskets among the lines; the rest stays open."""
        count = len(lines.ids)
        self._check_order(lines)
        starts = np.concatenate([np.zeros(min(count, 1), np.int64), np.flatnonzero(np.diff(lines.ids)) + 1])
        end = count if is_last or not count else int(starts[-1])
        dropped = self._dropped
        if end or is_last:
            self._dropped = 0
        self._keep_open(lines, end)
        whole = starts[starts < end]
        return Baskets(
            batch=lines.batch.slice(0, end),
            rows=lines.rows[:end],
            ids=lines.ids[whole],
            starts=whole,
            lengths=np.diff(whole, append=end),
            incomplete=np.logical_or.reduceat(lines.beside_gap[:end], whole) if end else np.empty(0, np.bool_),
            dropped=dropped,
            most_lines=self._most_lines,
            refused=refused,
            rows_read=rows_read,
        )

    def _keep_open(self, lines: _Open, end: int) -> None:
        """Keeps the last basket's lines, one more than a basket may have at most: enough to refuse it."""
        kept = min(len(lines.ids) - end, self._most_lines + 1)
        self._dropped += len(lines.ids) - end - kept
        part = slice(end, end + kept)
        beside_gap = lines.beside_gap[part].copy()
        if kept:
            beside_gap[-1] |= lines.beside_gap[-1]
        # a copy: a slice would keep all of the piece's memory
        batch = lines.batch.take(pa.array(np.arange(part.start, part.stop)))
        self._open = _Open(batch, lines.rows[part].copy(), lines.ids[part].copy(), beside_gap) if kept else None

    def _check_order(self, lines: _Open) -> None:
        falls = np.flatnonzero(np.diff(lines.ids) < 0)
        if self._is_sorted and len(falls):
            at = int(falls[0]) + 1
            raise InputError(
                f"{BASKET_ID} falls from {lines.ids[at - 1]} to {lines.ids[at]} at row {lines.rows[at]}; sort the lines "
                "by it, or say --grouped if the lines of every basket are together"
            )


def _basket_ids(column: pa.Array) -> tuple[NDArray[np.int64], Mask]:
    """The numbers, 0 where there is none, and where there is none."""
    low, high = RANGES[BASKET_ID]
    if pa.types.is_integer(column.type) or _all_digits(column):
        numbers = column.cast(pa.int64(), safe=False)
    else:  # another text or a fraction among them
        numbers = pa.array([_whole(value) for value in column.to_pylist()], pa.int64())
    ids: NDArray[np.int64] = numbers.fill_null(-1).to_numpy(zero_copy_only=False)
    bad: Mask = (ids < low) | (ids > high)
    return np.where(bad, 0, ids), bad


def _all_digits(column: pa.Array) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    return bool(pc.all(pc.match_substring_regex(column, _DIGITS), min_count=0).as_py())


def _whole(value: object) -> int | None:
    """The value as a 64-bit number; None if it is none."""
    try:
        number = cells.integer(value) if isinstance(value, str) else int(value)  # type: ignore[call-overload]  # or nothing
    except (TypeError, ValueError, OverflowError):
        return None
    exact = isinstance(value, str) or number == value
    return number if number is not None and exact and -(2**63) <= number < 2**63 else None
