"""Writes the answers and the refused rows. Both files appear complete at the end, or not at all."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from psm_predictor.batch.chunk import Refused
from psm_predictor.batch.errors import InputError
from psm_predictor.batch.files import PARQUET_SUFFIXES
from psm_predictor.model import Matrix

LABEL: Final = "label"
PROBABILITY: Final = "probability_"
_ROW_GROUP: Final = 16_384
"""Rows held back until they are written together; four times as many cost 20 MB more."""


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None:
        """Writes the rows."""

    def close(self) -> None:
        """Ends the file."""


class NewFile:
    """A file that gets its name only when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".incomplete")
        self.stream: IO[bytes] = os.fdopen(number, "wb")
        self._incoming = Path(name)

    def commit(self) -> None:
        """Gives it its name, replacing what had it."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        self._incoming.chmod(0o666 & ~_umask())
        os.replace(self._incoming, self._path)  # noqa: PTH105  # Path.replace does the same; this one says atomic

    def discard(self) -> None:
        """Removes it."""
        self.stream.close()
        self._incoming.unlink(missing_ok=True)


class Output:
    """The answers, and beside them the refused rows; use as a context manager, and `commit` at the end."""

    def __init__(
        self, path: Path, refused_path: Path, keys: pa.Schema, classes: Sequence[str], about: dict[str, str]
    ) -> None:
        self._refused_path = refused_path
        self._classes = classes
        answer = [pa.field(LABEL, pa.string()), *(pa.field(PROBABILITY + name, pa.float32()) for name in classes)]
        taken = sorted({field.name for field in answer} & set(keys.names))
        repeated = sorted({name for name in keys.names if keys.names.count(name) > 1})
        if clash := [*taken, *repeated]:
            raise InputError(
                f"the input's columns {', '.join(clash)} have the names of answers; rename them, or choose with --keep"
            )
        self._schema = pa.schema([*keys, *answer])
        self._file = NewFile(path)
        self._refused: NewFile | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        try:
            self._writer = _writer(path, self._file.stream, self._schema.with_metadata(about))
        except BaseException:
            self._file.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            if self._refused is not None:
                stack.callback(self._refused.discard)
            stack.callback(self._file.discard)
            if kind is not None:
                stack.enter_context(suppress(OSError, pa.ArrowException))  # a file that is thrown away may be broken
                self._writer.close()

    def answered(self, keys: pa.RecordBatch, probabilities: Matrix, labels: Any) -> None:
        """Answers of one chunk.

        Args:
            keys: Which baskets, [n].
            probabilities: [n, classes].
            labels: Number of the class of each, [n].
        """
        words = pa.array(self._classes).take(pa.array(labels))
        columns = [pa.array(np.ascontiguousarray(column, dtype=np.float32)) for column in probabilities.T]
        self._waiting.append(pa.RecordBatch.from_arrays([*keys.columns, words, *columns], schema=self._schema))
        self._waiting_rows += len(keys)
        if self._waiting_rows >= _ROW_GROUP:
            self._write_waiting()

    def refused(self, rows: Sequence[Refused]) -> None:
        """Rows without an answer, one JSON object per line."""
        if rows and self._refused is None:
            self._refused = NewFile(self._refused_path)
        for row in rows:
            if self._refused is not None:
                self._refused.stream.write(_as_json(row))

    def commit(self) -> None:
        """Both files, complete; the refused rows first, so that whoever sees the answers can see them too."""
        self._write_waiting()
        self._writer.close()
        if self._refused is None:
            self._refused_path.unlink(missing_ok=True)  # of an earlier run
        else:
            self._refused.commit()
        self._file.commit()

    def _write_waiting(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting, self._waiting_rows = [], 0


def check_places(source: Path, output: Path, refused: Path) -> None:
    """Refuses places that could not be written to at the end of a long run.

    Raises:
        InputError: One file named twice, a suffix that is not known, or no such folder.
    """
    if len({path.resolve() for path in (source, output, refused)}) < 3:  # noqa: PLR2004  # three names, three files
        raise InputError(f"{source}, {output} and {refused} must be three different files")
    if not output.name.lower().endswith((*PARQUET_SUFFIXES, ".csv")):
        raise InputError(f"{output} must end with .parquet, .pq or .csv, which says how it is written")
    for path in (output, refused):
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(f"{path} cannot be written: {path.parent} is no folder, or the path is one")


def _writer(path: Path, stream: IO[bytes], schema: pa.Schema) -> _Writer:
    writer: _Writer
    if path.name.lower().endswith(PARQUET_SUFFIXES):
        writer = pq.ParquetWriter(stream, schema, compression="zstd")
    else:
        writer = pa_csv.CSVWriter(stream, schema)
    return writer


def _as_json(row: Refused) -> bytes:
    basket = {} if row.basket is None else {"basket": row.basket}
    return msgspec.json.encode({"row": row.row, **basket, "reasons": row.reasons}, enc_hook=str) + b"\n"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
