"""Lines of a CSV file, block by block, texts as dictionaries.

Arrow reads what is plain CSV: no quotes, every line with all columns, every number a number. Where something else stands,
DuckDB reads the whole file once more, slower, and says of each line that does not parse what is wrong with it. What Arrow
takes, DuckDB takes too and reads the same; a test holds that.
"""

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa
import pyarrow.csv as pc

from psm_contract.schema import COLUMN_NAMES
from psm_training.lake.held import SCHEMA, dictionaries
from psm_training.lake.schema import SILVER_TYPES
from psm_training.lake.views import MEMORY_LIMIT
from psm_training.sources.raw_files import Staged

BLOCK_BYTES: Final = 8 << 20
ARROWS_BYTES: Final = 1 << 20
"""Parsed at once: its columns stay in the processor's cache."""
PARSERS: Final = 2
AHEAD: Final = 2 * PARSERS
"""Blocks in memory that nobody asked for yet."""
FETCHED_ROWS: Final = 100_000


class NotPlainError(Exception):
    """The file needs the reader that looks at every line."""


def plain_blocks(staged: Staged) -> Iterator[Any]:
    """The lines as pyarrow.Tables of held.SCHEMA, in order.

    Raises:
        NotPlainError: Some line is not plain; blocks before it were given.
    """
    with staged.path.open("rb") as stream, ThreadPoolExecutor(PARSERS) as parsers:
        stream.readline()
        waiting: deque[Future[Any]] = deque()
        for block, end in _blocks(stream):
            waiting.append(parsers.submit(_parsed, block, end, staged.header))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _blocks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Pieces of the file, and where the last whole line of each ends: the rest is read again with the next."""
    while block := stream.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if not end:
            raise NotPlainError
        stream.seek(end - len(block), os.SEEK_CUR)
        yield block, end


def _parsed(block: bytes, end: int, header: tuple[str, ...]) -> Any:
    ends = block.count(b"\n", 0, end)
    returns = block.count(b"\r", 0, end)
    if block.find(b'"', 0, end) >= 0 or (returns and not returns == ends == block.count(b"\r\n", 0, end)):
        raise NotPlainError
    try:
        rows = pc.read_csv(
            pa.BufferReader(pa.py_buffer(block).slice(0, end)),
            read_options=pc.ReadOptions(column_names=header, use_threads=False, block_size=ARROWS_BYTES),
            parse_options=pc.ParseOptions(quote_char=False),
            convert_options=pc.ConvertOptions(
                column_types=SCHEMA, include_columns=COLUMN_NAMES, null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as err:
        raise NotPlainError from err
    if rows.num_rows != ends:  # Arrow leaves blank lines out, and lines would have other numbers than in an editor
        raise NotPlainError
    return rows


@contextmanager
def any_blocks(staged: Staged) -> Iterator[tuple[dict[int, str], Iterator[Any]]]:
    """The lines that parse, as `plain_blocks` gives them, and the reason of each line that does not, by line number."""
    with (
        tempfile.TemporaryDirectory(prefix="psm-duckdb-") as folder,
        duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": folder}) as database,
    ):
        database.execute("ATTACH ':memory:' AS work (COMPRESS)")  # a third of the memory
        rejected = _read(database, staged)
        reader = database.sql("FROM work.raw ORDER BY rowid").to_arrow_reader(FETCHED_ROWS)
        yield rejected, (dictionaries(pa.Table.from_batches([batch])) for batch in reader)


def _read(database: duckdb.DuckDBPyConnection, staged: Staged) -> dict[int, str]:
    """Fills `work.raw`; the reason of each line that does not even parse."""
    names = ", ".join(COLUMN_NAMES)
    database.execute(
        f"CREATE TABLE work.raw AS SELECT {names} FROM read_csv($file, header = true, auto_detect = false, "  # noqa: S608  # our own names
        "delim = ',', quote = '\"', escape = '\"', columns = $columns, store_rejects = true)",
        {"file": str(staged.path), "columns": {name: SILVER_TYPES[name] for name in staged.header}},
    )
    rows = database.execute(
        "SELECT line, error_type, column_name, error_message FROM reject_errors ORDER BY line, column_idx"
    ).fetchall()
    reasons: dict[int, str] = {}
    for line, kind, column, message in rows:
        reasons.setdefault(int(line), f"{column} is not a number" if kind == "CAST" else _told(kind, message))
    return reasons


def _told(kind: str, message: str) -> str:
    if kind in ("MISSING COLUMNS", "TOO MANY COLUMNS"):
        return str(message).splitlines()[0]
    return str(kind).lower()
