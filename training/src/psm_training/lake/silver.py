"""Silver: lines by week and region, sorted by all their columns, so that equal content is equal bytes."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_training.lake.batches import batches
from psm_training.lake.coded import Coded, coded, keys, repeats, sorted_rows
from psm_training.lake.held import SCHEMA, HeldLines, dictionaries
from psm_training.lake.manifests import DataFile, Table, Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.schema import LINE_ORDER, OTHER_COLUMNS, PARTITION, SILVER_TYPES
from psm_training.lake.writing import Piece, cuts, written

FETCHED_ROWS: Final = 200_000
"""Of a DuckDB query at a time."""

_TEXTS: Final = [column.name for column in COLUMNS if column.kind == "text" and column.name not in PARTITION]
_IN_FILES: Final = [name for name in COLUMN_NAMES if name not in PARTITION]


@dataclass
class Lines:
    """What goes into silver.

    Attributes:
        new: Lines that come.
        held: Lines that their weeks hold already; no line is there twice afterwards. None keeps copies.
        copies: Of new lines among themselves, by week; known once all are written.
    """

    new: HeldLines
    held: HeldLines | None
    copies: Counter[int] = field(default_factory=Counter)

    def batches(self) -> Iterator[Coded]:
        """All lines in order, batch by batch."""
        partitions = self.new.partitions + (self.held.partitions if self.held is not None else Counter())
        for batch in batches(partitions):
            new = self.new.of(batch)
            if self.held is None:
                rows = coded(new)
                yield rows.take(_order(rows)[0])
                continue
            rows = coded(pa.concat_tables([new, self.held.of(batch)]))
            order, copy = _order(rows)
            self._count(rows, order, copy, new.num_rows)
            yield rows.take(order[~copy])

    def _count(self, rows: Coded, order: NDArray[np.intp], copy: NDArray[np.bool_], new: int) -> None:
        """Counts copies: of the equal lines that are new, all but one."""
        if not copy.any():
            return
        group = np.cumsum(~copy) - 1
        together = np.bincount(group, weights=order < new).astype(np.int64)
        for place in np.flatnonzero(together > 1).tolist():
            self.copies[int(rows.numbers["SHOP_WEEK"][order[~copy][place]])] += int(together[place]) - 1


def _order(rows: Coded) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The order of lines, by all their columns, and of each in it whether it is a copy of the one before.

    Lines hardly ever agree in LINE_ORDER, so the other columns are compared only where they do.
    """
    order, same = sorted_rows(rows, LINE_ORDER)
    if not same.any():
        return order, same
    inside = np.flatnonzero(same | np.append(same[1:], False))
    chosen = order[inside]
    packed = keys([np.cumsum(~same)[inside], *(rows.numbers[name][chosen] for name in OTHER_COLUMNS)])
    again = np.lexsort(packed[::-1])
    order[inside] = chosen[again]
    copy = np.zeros(len(rows), dtype=bool)
    copy[inside] = repeats([key[again] for key in packed])
    return order, copy


def write_lines(table: Table, lines: Lines, wanted: Collection[int]) -> dict[int, tuple[DataFile, ...]]:
    """Writes weeks without committing them.

    Args:
        table: Silver.
        lines: Of these and maybe other weeks.
        wanted: Weeks to write.

    Returns:
        The files of each week.
    """
    files: dict[int, list[DataFile]] = defaultdict(list)
    for made in written(table, (_pieces(rows, wanted) for rows in lines.batches())):
        for week, file in made:
            files[week].append(file)
    return {week: tuple(sorted(of, key=lambda file: file.name)) for week, of in files.items()}


def _pieces(rows: Coded, wanted: Collection[int]) -> list[Piece]:
    return [
        Piece(week, region, partial(_table, rows, start, end))
        for week, region, start, end in cuts(rows)
        if week in wanted
    ]


def _table(rows: Coded, start: int, end: int) -> Any:
    return pa.table({name: rows.column(name, start, end) for name in _IN_FILES})


def read_file(table: Table, week: int, file: DataFile, columns: Collection[str] = COLUMN_NAMES) -> Any:
    """Lines of one file of silver as a pyarrow.Table with columns of held.SCHEMA, in its order."""
    import pyarrow.parquet as pq  # noqa: PLC0415  # reads the footer's reader only here

    opened = pq.ParquetFile(pa.BufferReader(table.read(file)), read_dictionary=_TEXTS)
    rows = opened.read([name for name in columns if name not in PARTITION], use_threads=False)
    region = pa.DictionaryArray.from_arrays(pa.array(np.zeros(file.rows, dtype=np.int32)), pa.array([file.region]))
    of_path = {"SHOP_WEEK": pa.array(np.full(file.rows, week)), "STORE_REGION": region}
    names = [name for name in SCHEMA.names if name in columns]
    return pa.table({name: of_path[name] if name in of_path else rows.column(name) for name in names})


def write_silver(database: duckdb.DuckDBPyConnection, lake: Lake, name: str, inputs: str) -> None:
    """Replaces silver by the table `silver`: of the sources that come as one piece.

    Args:
        database: With the table, the 22 columns.
        lake: Where to.
        name: Of the source, as the one raw file of every week.
        inputs: What decides its content.
    """
    columns = ", ".join(f"CAST({column} AS {SILVER_TYPES[column]}) AS {column}" for column in COLUMN_NAMES)
    with tempfile.TemporaryDirectory(prefix="psm-lines-") as folder:
        held = HeldLines(Path(folder))
        for batch in database.sql(f"SELECT {columns} FROM silver").to_arrow_reader(FETCHED_ROWS):  # noqa: S608  # our own names
            held.add(dictionaries(pa.Table.from_batches([batch])))
        files = write_lines(lake.silver, Lines(held, None), held.weeks)
    digest = digest_of([name, inputs])
    for week, made in sorted(files.items()):
        count = sum(file.rows for file in made)
        raw = {
            "files": [{"name": name, "sha256": digest, "lines": count}],
            "lines": count, "quarantined": {}, "duplicates": 0,
        }  # fmt: skip
        lake.silver.commit(Week(week, digest_of([digest, str(week)]), made, raw))
    lake.silver.drop(set(lake.silver.weeks()) - set(files))
