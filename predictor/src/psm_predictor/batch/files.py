"""Reads the input piece by piece: Parquet or CSV. Knows nothing of baskets.

CSV is read as text, so that a value that is no number costs its own row and not the file. A row is a line of the file, for
no cell holds a line break: a quote that does not close on its line costs that line and never those after it.
"""

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from psm_contract.physical import BLANK, LineCount, LineTooLongError, Stream, checked, pieces
from psm_contract.physical import Piece as Lines
from psm_predictor.batch.chunk import Piece, Refused, RowNumbers
from psm_predictor.batch.errors import InputError
from psm_predictor.findings import finding

PARQUET_SUFFIXES: Final = (".parquet", ".pq")
CSV_SUFFIXES: Final = (".csv", ".csv.gz")

PIECE_ROWS: Final = 8_192
"""Rows of Parquet at a time: 40 features of them are 3 MiB, and one call of the model is worth its overhead."""

_BUFFER_BYTES: Final = 64 * 1024
"""Of each column of Parquet at a time; without it a whole row group is read."""

_BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Of CSV at a time."""

_HEADER_BYTES: Final = 1024 * 1024


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
        with _opened(path) as stream:
            start = stream.read(_HEADER_BYTES)
        first = start.replace(b"\r", b"\n").partition(b"\n")[0]
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in first:
            raise InputError(f"{path} is not UTF-8: its first line is UTF-16 or no text; save it as CSV UTF-8")
        names = next(csv.reader([first.decode("utf-8-sig", errors="replace").strip()]), [])
        if not names:
            raise InputError(f"{path} is empty; its first line names the columns")
        if len(names) == 1 and (other := next((word for word in ";\t|" if word in names[0]), None)) is not None:
            raise InputError(f"{path} has its columns apart by {other!r}, not by commas")
        self.schema = pa.schema([(name, pa.string()) for name in names])

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Source`."""
        count = LineCount()
        rows = blank = 0
        with _opened(self._path) as stream:
            for lines, first in pieces(_Counted(stream, count), _BLOCK_BYTES):
                body, number = (lines, first) if first > 1 else (lines[lines.find(b"\n") + 1 :], 2)
                piece, empty = self._piece(body, number, rows, columns)
                rows += len(piece.batch) + len(piece.malformed)
                blank += empty
                yield piece
        if rows + blank + 1 != count.lines:
            raise InputError(
                f"{self._path} has {count.lines:,} lines, and {rows + blank + 1:,} of them were read: please report this"
            )

    def _piece(self, body: bytes, first: int, before: int, columns: Sequence[str]) -> tuple[Piece, int]:
        """The rows of some lines, and how many lines are blank: those are no rows.

        Args:
            body: The lines.
            first: Number of the first in the file.
            before: Rows before it.
            columns: What is read of them.
        """
        found = checked(body, first)
        blanks = [number for number, reason in found.faults.items() if reason == BLANK]
        faults = {number: reason for number, reason in found.faults.items() if reason != BLANK}
        batch, numbers = self._batch(found, columns, faults)
        skipped = np.array(blanks, dtype=np.int64)

        def rows_of(chosen: RowNumbers) -> RowNumbers:
            return chosen - first + before - np.searchsorted(skipped, chosen)

        texts = body.split(b"\n") if faults else []
        places = rows_of(np.array(sorted(faults), dtype=np.int64)).tolist()
        malformed = tuple(
            Refused(row, [finding("malformed", (), faults[number], texts[number - first].decode(errors="replace"))])
            for row, number in zip(places, sorted(faults), strict=True)
        )
        return Piece(batch, rows_of(numbers), malformed), len(blanks)

    def _batch(self, found: Lines, columns: Sequence[str], faults: dict[int, str]) -> tuple[pa.RecordBatch, RowNumbers]:
        """The lines that have as many cells as the first one, and their numbers; the others go to the faults."""
        wanted = pa.schema([self.schema.field(name) for name in columns])
        if not len(found.numbers):
            return pa.RecordBatch.from_pylist([], schema=wanted), found.numbers
        short: dict[int, str] = {}

        def note(row: Any) -> str:
            short[row.number - 1] = (
                f"has {row.actual_columns} cells, the first line names {row.expected_columns} columns"
            )
            return "skip"

        table = pa_csv.read_csv(
            pa.BufferReader(found.text),
            read_options=pa_csv.ReadOptions(
                column_names=self.schema.names, block_size=max(_BLOCK_BYTES, len(found.text)), use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(
                quote_char='"' if found.is_quoted else False, invalid_row_handler=note, ignore_empty_lines=False
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=self.schema, include_columns=list(columns), null_values=[""], strings_can_be_null=True
            ),
        )
        faults |= {int(found.numbers[place]): reason for place, reason in short.items()}
        numbers = np.delete(found.numbers, list(short)) if short else found.numbers
        batches = table.combine_chunks().to_batches()
        return (batches[0] if batches else pa.RecordBatch.from_pylist([], schema=wanted)), numbers


@dataclass(frozen=True)
class _Counted:
    """A stream whose lines are counted while it is read, whatever is made of them."""

    stream: Stream
    count: LineCount

    def read(self, size: int, /) -> bytes:
        """See `psm_contract.physical.Stream`."""
        chunk = self.stream.read(size)
        self.count.add(chunk)
        return chunk


@contextmanager
def _opened(path: Path) -> Iterator[Stream]:
    """The plain bytes; what is wrong with the file is told in our words."""
    try:
        with path.open("rb") as raw:
            if path.name.lower().endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield stream
            else:
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as err:
        raise InputError(f"{path} cannot be read: it is cut off or damaged ({err})") from err
    except (OSError, LineTooLongError, pa.ArrowException) as err:
        raise InputError(f"{path} cannot be read: {err}") from err


def _readable(path: Path, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; a file that is damaged further on is told in our words."""
    try:
        yield from batches
    except (OSError, pa.ArrowException) as err:
        raise InputError(f"{path} cannot be read: {err}") from err
