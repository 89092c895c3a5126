"""Writes pieces of a table, one file per week and region, by several threads; what the caller makes next overlaps with it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from psm_training.lake.coded import Coded, starts_of
from psm_training.lake.manifests import DataFile, Table
from psm_training.lake.schema import PARTITION

WRITERS: Final = 2
"""Files encoded at once."""


@dataclass(frozen=True)
class Piece:
    """A file to be.

    Attributes:
        week: yyyyww.
        region: Of the stores.
        rows: Makes its pyarrow.Table, without the two columns that the path holds; called by a writer.
    """

    week: int
    region: str
    rows: Callable[[], Any]


def cuts(rows: Coded) -> Iterator[tuple[int, str, int, int]]:
    """Week, region, start and end of each partition of rows that are sorted by them."""
    week, region = (rows.numbers[name] for name in PARTITION)
    starts = starts_of([week, region]).tolist()
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield int(week[start]), str(rows.words[PARTITION[1]][int(region[start])]), start, end


def written(table: Table, batches: Iterable[Sequence[Piece]]) -> Iterator[list[tuple[int, DataFile]]]:
    """Writes batch after batch; weeks and files of one are given while the next is made.

    Args:
        table: Where to; nobody sees the files before their weeks are committed.
        batches: Each is asked for while the one before is written, so two are in memory.
    """
    pool = ThreadPoolExecutor(WRITERS)
    try:
        before: list[tuple[int, Future[DataFile]]] = []
        for pieces in batches:
            after = [
                (piece.week, pool.submit(lambda it: table.write(it.week, it.region, it.rows()), piece))
                for piece in pieces
            ]
            yield [(week, file.result()) for week, file in before]
            before = after
        yield [(week, file.result()) for week, file in before]
    finally:
        pool.shutdown(cancel_futures=True)
