"""Lines between reading and writing: as many as there are, in memory up to a limit and beyond it on the disk."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from psm_contract.schema import COLUMNS
from psm_training.lake.batches import Batch

HELD_BYTES: Final = 512 * 2**20
"""In memory: five million lines."""

_KINDS: Final = {"integer": pa.int64(), "number": pa.float64(), "text": pa.dictionary(pa.int32(), pa.string())}
SCHEMA: Final = pa.schema([(column.name, _KINDS[column.kind]) for column in COLUMNS])
"""The 22 columns; texts as places in a dictionary."""


@dataclass
class HeldLines:
    """Pieces of lines with the 22 columns.

    Attributes:
        folder: For what does not fit into memory.
        limit: Bytes that do.
        partitions: Lines by week and region.
    """

    folder: Path
    limit: int = field(default_factory=lambda: HELD_BYTES)
    partitions: Counter[tuple[int, str]] = field(default_factory=Counter)
    _pieces: list[Any] = field(default_factory=list)
    _held: int = 0

    @property
    def weeks(self) -> set[int]:
        """Of all lines."""
        return {week for week, _ in self.partitions}

    def add(self, rows: Any) -> None:
        """Takes a pyarrow.Table of SCHEMA."""
        if not rows.num_rows:
            return
        self.partitions.update(_partitions(rows))
        self._held += rows.nbytes
        if self._held > self.limit:
            rows = self._spilled(rows)
            self._held -= rows.nbytes
        self._pieces.append(rows)

    def pieces(self) -> Iterator[Any]:
        """As they came."""
        return iter(self._pieces)

    def of(self, batch: Batch) -> Any:
        """Lines of some weeks and regions as one pyarrow.Table of SCHEMA."""
        chosen = [_chosen(rows, batch) for rows in self._pieces]
        return pa.concat_tables([rows for rows in chosen if rows.num_rows] or [SCHEMA.empty_table()])

    def _spilled(self, rows: Any) -> Any:
        """The same rows in a file, as a map of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = str(self.folder / f"{len(self._pieces)}.arrow")
        with ipc.new_file(path, SCHEMA) as sink:
            sink.write_table(rows.unify_dictionaries().combine_chunks())
        return ipc.open_file(pa.memory_map(path)).read_all()


def dictionaries(rows: Any) -> Any:
    """A pyarrow.Table with the 22 columns as one of SCHEMA."""
    columns = []
    for wanted in SCHEMA:
        column = rows.column(wanted.name)
        if pa.types.is_dictionary(wanted.type) and not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        columns.append(column.cast(wanted.type))
    return pa.table(columns, schema=SCHEMA)


def _partitions(rows: Any) -> dict[tuple[int, str], int]:
    counted = (
        rows.select(["SHOP_WEEK", "STORE_REGION"])
        .unify_dictionaries()
        .group_by(["SHOP_WEEK", "STORE_REGION"], use_threads=False)
        .aggregate([([], "count_all")])
        .to_pydict()
    )
    return dict(zip(zip(counted["SHOP_WEEK"], counted["STORE_REGION"], strict=True), counted["count_all"], strict=True))


def _chosen(rows: Any, batch: Batch) -> Any:
    weeks = rows.column("SHOP_WEEK").to_numpy()
    if batch.regions is None and weeks.min() >= batch.first and weeks.max() <= batch.last:
        return rows
    kept = (weeks >= batch.first) & (weeks <= batch.last)
    if not kept.any():
        return rows.slice(0, 0)
    if batch.regions is not None:
        names = rows.column("STORE_REGION").cast(pa.string())
        kept &= pc.is_in(names, pa.array(batch.regions)).to_numpy()
    inside = np.flatnonzero(kept)
    if len(inside) and len(inside) == inside[-1] - inside[0] + 1:
        return rows.slice(int(inside[0]), len(inside))
    return rows.filter(pa.array(kept))
