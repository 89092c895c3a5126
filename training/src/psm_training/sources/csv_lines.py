"""Lines of a CSV file, block by block, texts as dictionaries.

Arrow reads what is plain CSV: no quotes, every line with all columns, every number a number. Where something else stands,
DuckDB reads the whole file once more, slower, and says of each line that does not parse what is wrong with it. What Arrow
takes, DuckDB takes too and reads the same; a test holds that.
"""

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
        for block in _blocks(stream):
            waiting.append(parsers.submit(_parsed, block, staged.header))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Whole lines."""
    rest = b""
    while raw := stream.read(BLOCK_BYTES):
        end = raw.rfind(b"\n") + 1
        if end:
            yield rest + raw[:end]
            rest = raw[end:]
        else:
            rest += raw
    if rest:
        yield rest


def _parsed(block: bytes, header: tuple[str, ...]) -> Any:
    if b'"' in block:
        raise NotPlainError
    if b"\r" in block and not block.count(b"\r") == block.count(b"\r\n") == block.count(b"\n"):
        raise NotPlainError
    types = {name: SCHEMA.field(name).type for name in COLUMN_NAMES}
    try:
        return pc.read_csv(
            pa.BufferReader(block),
            read_options=pc.ReadOptions(column_names=header, use_threads=False, block_size=1 << 20),
            parse_options=pc.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pc.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True, include_columns=COLUMN_NAMES
            ),
        )
    except pa.ArrowInvalid as err:
        raise NotPlainError from err


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
