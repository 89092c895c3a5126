"""Reads the input piece by piece: Parquet or CSV. Knows nothing of baskets.

CSV is read as text, so that a value that is no number costs its own row and not the file; an empty cell is no value.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from psm_predictor.batch.chunk import Piece, Refused
from psm_predictor.batch.errors import InputError
from psm_predictor.findings import finding

PARQUET_SUFFIXES: Final = (".parquet", ".pq")
CSV_SUFFIXES: Final = (".csv", ".csv.gz")

PIECE_ROWS: Final = 8_192
"""Rows of Parquet at a time: 40 features of them are 3 MiB, and one call of the model is worth its overhead."""

_BUFFER_BYTES: Final = 64 * 1024
"""Of each column of Parquet at a time; without it a whole row group is read."""

_BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Of CSV at a time; no line may be longer."""


class Source(Protocol):
    """A file that is read from its first row to its last, once."""

    schema: pa.Schema
    total: int | None
    """Rows, where the file says."""
    is_text: bool
    """Whether every value is text."""

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows, with the named columns."""


def open_source(path: Path) -> Source:
    """The file, by its suffix.

    Raises:
        InputError: It cannot be read, or its columns repeat.
    """
    name = path.name.lower()
    try:
        if name.endswith(PARQUET_SUFFIXES):
            source: Source = _Parquet(path)
        elif name.endswith(CSV_SUFFIXES):
            source = _Csv(path)
        else:
            known = ", ".join([*PARQUET_SUFFIXES, *CSV_SUFFIXES])
            raise InputError(f"{path} ends with none of {known}, so its format is not known")
    except (OSError, pa.ArrowException) as err:
        raise InputError(f"{path} cannot be read: {err}") from err
    repeated = sorted({name for name in source.schema.names if source.schema.names.count(name) > 1})
    if repeated:
        raise InputError(f"{path} has more than one column {', '.join(repeated)}")
    return source


class _Parquet:
    is_text = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        self.schema: pa.Schema = self._file.schema_arrow
        self.total: int | None = self._file.metadata.num_rows

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Source`."""
        first = 0
        # one thread: the model is the larger part, and every thread keeps memory of its own
        batches = self._file.iter_batches(PIECE_ROWS, columns=list(columns), use_threads=False)
        for batch in _readable(self._path, batches):
            yield Piece(batch, np.arange(first, first + len(batch)))
            first += len(batch)


class _Csv:
    is_text = True
    total: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(_BLOCK_BYTES).decode("utf-8-sig", errors="replace")
        names = next(csv.reader([head.partition("\n")[0].rstrip("\r")]), [])
        if not names:
            raise InputError(f"{path} is empty; its first line names the columns")
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self._malformed: deque[Refused] = deque()

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Source`."""
        first = 0
        for batch in _readable(self._path, self._batches(columns)):
            piece = self._numbered(batch, first)
            first += len(batch) + len(piece.malformed)
            yield piece
        if self._malformed:
            empty = pa.RecordBatch.from_pylist([], schema=pa.schema([self.schema.field(name) for name in columns]))
            yield Piece(empty, np.empty(0, np.int64), tuple(self._malformed))

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from pa_csv.open_csv(
            self._path,
            read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=self._note),
            convert_options=pa_csv.ConvertOptions(
                column_types=self.schema,
                include_columns=list(columns),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _note(self, row: Any) -> str:
        """A row with too few or too many cells; called ahead of the pieces, from the reader's thread."""
        message = f"has {row.actual_columns} cells, the first line names {row.expected_columns} columns"
        number = row.number - 2  # the reader counts from 1 and counts the first line; empty lines it does not
        self._malformed.append(Refused(number, [finding("malformed", (), message, row.text)]))
        return "skip"

    def _numbered(self, batch: pa.RecordBatch, first: int) -> Piece:
        """The batch with the numbers of its rows, and the malformed rows before its end."""
        rows = np.arange(first, first + len(batch))
        malformed: list[Refused] = []
        while len(rows) and self._malformed and self._malformed[0].row <= rows[-1]:
            line = self._malformed.popleft()
            rows[rows >= line.row] += 1
            malformed.append(line)
        return Piece(batch, rows, tuple(malformed))


def _readable(path: Path, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; a file that is damaged further on is told in our words."""
    try:
        yield from batches
    except (OSError, pa.ArrowException) as err:
        raise InputError(f"{path} cannot be read: {err}") from err
