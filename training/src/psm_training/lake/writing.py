"""Writes weeks of a table: sorted rows, one file per week and region, a manifest per week when all its files are there.

Memory depends on BATCH_ROWS and not on how much there is: several small weeks go together, a large week region by region.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np

from psm_training.lake.manifests import DataFile, Table, Week
from psm_training.lake.schema import PARTITION
from psm_training.lake.sql import quoted

BATCH_ROWS: Final = 400_000
"""Lines that are sorted and written at once: about 200 MB."""
WRITERS: Final = 2
"""Files encoded at once; DuckDB rests meanwhile."""

Partitions = Mapping[tuple[int, str], int]
"""Rows of each week and region."""


@dataclass(frozen=True)
class Batch:
    """Whole weeks from first to last, or some regions of one."""

    first: int
    last: int
    regions: tuple[str, ...] | None = None

    @property
    def condition(self) -> str:
        """As SQL."""
        weeks = f"SHOP_WEEK BETWEEN {self.first} AND {self.last}"
        if self.regions is None:
            return weeks
        return f"{weeks} AND STORE_REGION IN ({', '.join(map(quoted, self.regions))})"


def partitions_of(database: duckdb.DuckDBPyConnection, relation: str) -> dict[tuple[int, str], int]:
    """Rows of each week and region of a table or view."""
    found = database.execute(
        f"SELECT SHOP_WEEK, STORE_REGION, count(*) FROM {relation} GROUP BY ALL ORDER BY ALL"  # noqa: S608  # a name of ours
    ).fetchall()
    return {(int(week), str(region)): int(rows) for week, region, rows in found}


def batches(partitions: Partitions, limit: int = BATCH_ROWS) -> Iterator[Batch]:
    """Cuts partitions into batches of about `limit` rows, in order."""
    by_week: dict[int, dict[str, int]] = defaultdict(dict)
    for (week, region), rows in sorted(partitions.items()):
        by_week[week][region] = rows
    first, before, held = 0, 0, 0
    for week, regions in by_week.items():
        rows = sum(regions.values())
        if held and held + rows > limit:
            yield Batch(first, before)
            held = 0
        if rows > limit:
            yield from (Batch(week, week, chosen) for chosen in _regions(regions, limit))
            continue
        first, before, held = (first if held else week), week, held + rows
    if held:
        yield Batch(first, before)


def _regions(regions: Mapping[str, int], limit: int) -> Iterator[tuple[str, ...]]:
    chosen: list[str] = []
    held = 0
    for region, rows in regions.items():
        if chosen and held + rows > limit:
            yield tuple(chosen)
            chosen, held = [], 0
        chosen.append(region)
        held += rows
    yield tuple(chosen)


def write_weeks(
    database: duckdb.DuckDBPyConnection,
    table: Table,
    query: str,
    *,
    order: Sequence[str],
    partitions: Partitions,
    weeks: Sequence[Week],
) -> None:
    """Writes and commits weeks.

    Args:
        database: That knows what the query reads.
        table: Where to.
        query: Gives the rows of all weeks; conditions on SHOP_WEEK and STORE_REGION are put around it.
        order: Columns to sort by, the partition's first; equal rows must not differ in anything else.
        partitions: Weeks and regions that there are, with about how many rows.
        weeks: Manifests still without files.
    """
    wanted = {week.week: week for week in weeks}
    chosen = {key: rows for key, rows in partitions.items() if key[0] in wanted}
    expected: dict[int, int] = defaultdict(int)
    for week, _ in chosen:
        expected[week] += 1
    files: dict[int, list[DataFile]] = defaultdict(list)
    with ThreadPoolExecutor(WRITERS) as pool:
        for batch in batches(chosen):
            names = f"({', '.join(str(week) for week in wanted if batch.first <= week <= batch.last)})"
            rows = database.sql(
                f"SELECT * FROM ({query}) WHERE {batch.condition} AND SHOP_WEEK IN {names} ORDER BY {', '.join(order)}"  # noqa: S608  # our own
            ).to_arrow_table()
            pieces = list(_pieces(rows))
            for (week, _, _), file in zip(pieces, pool.map(lambda piece: table.write(*piece), pieces), strict=True):
                files[week].append(file)
            for week in [week for week in files if len(files[week]) == expected[week]]:
                made = tuple(sorted(files.pop(week), key=lambda file: file.name))
                table.commit(wanted[week].of(made))


def _pieces(rows: Any) -> Iterator[tuple[int, str, Any]]:
    """Week, region and rows of each partition of a sorted pyarrow.Table."""
    week_name, region_name = PARTITION
    week = rows.column(week_name).to_numpy()
    names = rows.column(region_name).combine_chunks().dictionary_encode()
    region = names.indices.to_numpy()
    moved = (np.diff(week, prepend=-1) != 0) | (np.diff(region, prepend=-1) != 0)
    starts = np.flatnonzero(moved).tolist()
    content = rows.drop_columns(list(PARTITION))
    for start, end in zip(starts, [*starts[1:], len(week)], strict=True):
        yield int(week[start]), str(names.dictionary[int(region[start])]), content.slice(start, end - start)
