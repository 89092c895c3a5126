"""Gold: one row per basket, made week by week from silver; only weeks whose silver changed are made again.

`psm_training.lake.expressions.baskets` says what gold is, for every engine. Here the lines of a basket lie together already,
so they become lists by cutting; who trains and who tests is asked of the expression itself, by DuckDB.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psm_contract.features import CONTEXT_COLUMNS
from psm_training.lake import expressions
from psm_training.lake.batches import Batch, batches
from psm_training.lake.coded import Coded, coded, sorted_rows, starts_of
from psm_training.lake.manifests import DataFile, Table, Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.schema import GOLD_COLUMNS, GOLD_ORDER, LINE_COLUMNS, LINE_ORDER, PARTITION
from psm_training.lake.silver import read_file
from psm_training.lake.writing import Piece, cuts, written
from psm_training.windows import Windows

READERS: Final = 2

RULE: Final = "gold 2"
"""Which rule made gold. To be raised when gold of the same silver changes; a test that knows one week's gold says when.

Not the statement: generated SQL says one thing in several ways, even from one process to the next.
"""

_OF_BASKETS: Final = {
    "card": "CUST_CODE",
    "label": "BASKET_PRICE_SENSITIVITY",
    **{name: name for name in CONTEXT_COLUMNS if name not in PARTITION},
}
"""Columns of gold, and of silver: their greatest value among a basket's lines."""

_READ: Final = frozenset((*GOLD_ORDER, *_OF_BASKETS.values(), *LINE_COLUMNS))


def stale(lake: Lake, windows: Windows) -> list[Week]:
    """Weeks of gold that silver or the split has moved away from: to be made, or dropped where silver has them no more."""
    silver, made = lake.silver.weeks(), lake.gold.weeks()
    dropped = [made[week] for week in made if week not in silver]
    return sorted([*_wanted(silver, made, windows), *dropped], key=lambda week: week.week)


def write_gold(lake: Lake, windows: Windows) -> list[int]:
    """Brings gold up to date with silver.

    Args:
        lake: With silver.
        windows: Which weeks are for what.

    Returns:
        Weeks that were made.
    """
    silver, made = lake.silver.weeks(), lake.gold.weeks()
    fresh = {week.week: week for week in _wanted(silver, made, windows)}
    files: dict[int, list[DataFile]] = defaultdict(list)
    chosen = {week: silver[week] for week in fresh}
    for batch in written(lake.gold, _batches(lake.silver, chosen, windows)):
        for week, file in batch:
            files[week].append(file)
        for week in [week for week in files if len(files[week]) == len(silver[week].files)]:
            lake.gold.commit(fresh[week].of(tuple(sorted(files.pop(week), key=lambda file: file.name))))
    lake.gold.drop(set(made) - set(silver))
    return list(fresh)


def _wanted(silver: Mapping[int, Week], made: Mapping[int, Week], windows: Windows) -> list[Week]:
    """Weeks that are not made from what silver holds now, or not by this rule and split; without their files."""
    weeks = [Week(week.week, digest_of([week.digest, RULE, windows.role(week.week)])) for week in silver.values()]
    return [week for week in weeks if week.week not in made or made[week.week].inputs != week.inputs]


def _batches(silver: Table, weeks: Mapping[int, Week], windows: Windows) -> Iterator[list[Piece]]:
    """Gold of the weeks, batch by batch."""
    partitions = {key: rows for week in weeks.values() for key, rows in week.partitions().items()}
    with ThreadPoolExecutor(READERS) as readers, _Rules(windows) as rules:
        for batch in batches(partitions):
            files = _files(weeks, batch)
            lines = pa.concat_tables(readers.map(lambda of: read_file(silver, of[0], of[1], _READ), files))
            yield _pieces(coded(lines), rules)


def _files(weeks: Mapping[int, Week], batch: Batch) -> list[tuple[int, DataFile]]:
    return [(week.week, file) for week in weeks.values() for file in week.files if batch.has(week.week, file.region)]


def _pieces(rows: Coded, rules: "_Rules") -> list[Piece]:
    lines = rows.take(sorted_rows(rows, LINE_ORDER)[0])
    starts = starts_of([lines.numbers[name] for name in GOLD_ORDER])
    ends = np.append(starts, len(lines))
    context = baskets_of(lines, starts)
    baskets = rules.applied(context)
    return [
        Piece(week, region, partial(_table, baskets, lines, ends, start, end))
        for week, region, start, end in cuts(context)
    ]


def baskets_of(lines: Coded, starts: NDArray[np.intp]) -> Coded:
    """One row per basket: of every column the greatest value among its lines; what is null is the least.

    Args:
        lines: The lines of a basket lie together.
        starts: The first line of each basket.
    """
    numbers = {name: lines.numbers[name][starts] for name in GOLD_ORDER}
    words = {name: lines.words[name] for name in GOLD_ORDER if name in lines.words}
    for name, of in _OF_BASKETS.items():
        numbers[name] = np.maximum.reduceat(lines.numbers[of], starts)
        if of in lines.words:
            words[name] = lines.words[of]
    return Coded(numbers, words)


def _table(baskets: Coded, lines: Coded, ends: NDArray[np.intp], start: int, end: int) -> Any:
    first, last = int(ends[start]), int(ends[end])
    offsets = pa.array((ends[start : end + 1] - first).astype(np.int32))
    return pa.table(
        {
            name: pa.ListArray.from_arrays(offsets, lines.column(name, first, last))
            if name in LINE_COLUMNS
            else baskets.column(name, start, end)
            for name in GOLD_COLUMNS
            if name not in PARTITION
        }
    )


class _Rules:
    """Household and part of every basket, as the expressions say."""

    def __init__(self, windows: Windows) -> None:
        placed = expressions.placed(expressions.grouped(), windows)
        self._statement = expressions.sql(placed.select("household", "part"))

    def __enter__(self) -> Self:
        self._database = duckdb.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def applied(self, baskets: Coded) -> Coded:
        """The baskets with `household` and `part`."""
        asked = pa.table({name: baskets.column(name, 0, len(baskets)) for name in expressions.GROUPED})
        self._database.register("grouped", asked)
        found = self._database.sql(self._statement).to_arrow_table()
        told = coded(pa.table({name: found.column(name).dictionary_encode() for name in found.column_names}))
        return Coded({**baskets.numbers, **told.numbers}, {**baskets.words, **told.words})
