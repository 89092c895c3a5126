"""Rows as numbers: every text is the place of its word in a sorted dictionary, so sorting and comparing touch numbers only.

A number compares as its text does, byte by byte; what is null compares as the least.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NULL: Final = np.iinfo(np.int64).min
"""In a column of integers."""
NO_WORD: Final = -1
ROOM: Final = 2**62
"""Of one key, with a bit to spare."""


@dataclass(frozen=True)
class Coded:
    """Columns of equal length.

    Attributes:
        numbers: int32 places in `words`, int64, or float64; all [rows].
        words: Of the columns of text: sorted, each once.
    """

    numbers: Mapping[str, NDArray[Any]]
    words: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.numbers.values())))

    def take(self, rows: NDArray[np.intp]) -> "Coded":
        """The rows in this order."""
        if len(rows) == len(self) and bool((rows[1:] > rows[:-1]).all()):
            return self
        return Coded({name: values[rows] for name, values in self.numbers.items()}, self.words)

    def column(self, name: str, start: int, end: int) -> Any:
        """Some rows of a column as a pyarrow.Array, with only the words that they use."""
        values = self.numbers[name][start:end]
        if name not in self.words:
            return _numbers(values)
        seen = np.zeros(len(self.words[name]) + 1, dtype=bool)
        seen[values] = True  # NO_WORD marks the last one
        has_null, seen[-1] = bool(seen[-1]), False
        places = (np.cumsum(seen, dtype=np.int32) - 1).take(values)
        used = self.words[name].take(pa.array(np.flatnonzero(seen)))
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=values < 0 if has_null else None), used)


def _numbers(values: NDArray[Any]) -> Any:
    if values.dtype != np.int64:
        return pa.array(values)
    empty = values == NULL
    return pa.array(values, mask=empty if empty.any() else None)


def coded(rows: Any) -> Coded:
    """A pyarrow.Table of integers, floats without nulls, and texts as dictionaries."""
    whole = rows.unify_dictionaries().combine_chunks()
    numbers: dict[str, NDArray[Any]] = {}
    words: dict[str, Any] = {}
    for field in whole.schema:
        column = whole.column(field.name)
        chunk = column.chunk(0) if column.num_chunks else pa.array([], field.type)
        if pa.types.is_dictionary(field.type):
            numbers[field.name], words[field.name] = _sorted(chunk)
        else:
            filled = chunk.fill_null(NULL) if pa.types.is_integer(field.type) else chunk
            numbers[field.name] = filled.to_numpy(zero_copy_only=False)
    return Coded(numbers, words)


def _sorted(column: Any) -> tuple[NDArray[np.int32], Any]:
    """Places of the words in a dictionary that is sorted."""
    order = pc.sort_indices(column.dictionary).to_numpy()
    ranks = np.empty(len(order) + 1, dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    ranks[-1] = NO_WORD  # where an index that is null points to
    return ranks.take(column.indices.fill_null(-1).to_numpy()), column.dictionary.take(pa.array(order))


def keys(columns: Sequence[NDArray[Any]]) -> list[NDArray[np.int64]]:
    """As few numbers per row as hold the columns in turn, the most significant first.

    Args:
        columns: [rows] each; floats are positive, for then their bits compare as they do.
    """
    packed: list[NDArray[np.int64]] = []
    room = ROOM
    for column in columns:
        values = column.view(np.int64) if column.dtype == np.float64 else column.astype(np.int64, copy=False)
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        span = high - low + 1
        if packed and room * span <= ROOM:
            packed[-1] = packed[-1] * span + (values - low)
            room *= span
        else:
            packed.append(values - low if span <= ROOM else values)
            room = span
    return packed


def sorted_rows(rows: Coded, order: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """How to sort.

    Args:
        rows: To be sorted.
        order: Columns to sort by in turn.

    Returns:
        The order of the rows, equal ones as they came; and of each in that order whether it equals the one before.
    """
    packed = keys([rows.numbers[name] for name in order])
    chosen = np.lexsort(packed[::-1])
    return chosen, repeats([key[chosen] for key in packed])


def repeats(columns: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Whether a row equals the one before, [rows]."""
    same = np.ones(len(columns[0]), dtype=bool)
    same[:1] = False
    for values in columns:
        same[1:] &= values[1:] == values[:-1]
    return same


def starts_of(columns: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Where rows begin that differ from the one before."""
    return np.flatnonzero(~repeats(columns))
