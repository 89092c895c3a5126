"""Lines of a CSV file, block by block, texts as dictionaries, every cell by the grammar of `psm_contract.cells`.

`psm_contract.physical` takes the lines out that are no CSV; Arrow parses the others. Where a block has a cell that Arrow
does not take as its column's kind, all cells of that block are read as words, and each word is looked at once.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray
from pyarrow import compute

from psm_contract import cells
from psm_contract.physical import Piece, checked, pieces
from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_training.lake.held import SCHEMA
from psm_training.sources.raw_files import Staged

BLOCK_BYTES: Final = 8 << 20
ARROWS_BYTES: Final = 1 << 20
"""Parsed at once: its columns stay in the processor's cache."""
PARSERS: Final = 2
AHEAD: Final = 2 * PARSERS
"""Blocks in memory that nobody asked for yet."""

_WORDS: Final = pa.dictionary(pa.int32(), pa.string())
_AS_WORDS: Final = pa.schema([(name, _WORDS) for name in COLUMN_NAMES])
_READ: Final[dict[str, Callable[[str], int | float | str | None]]] = {
    "integer": cells.integer,
    "number": cells.number,
    "text": cells.text,
}
_DTYPES: Final = {"integer": np.int64, "number": np.float64}
_LEAST_PLAIN: Final = ord("!")
_DELETE: Final = 0x7F
_X: Final = ord("x")
_ZERO: Final = ord("0")
_TO_LOWER: Final = 0x20

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """Lines of a file, one after the other.

    Attributes:
        rows: Those whose cells can be read, a pyarrow.Table of held.SCHEMA.
        numbers: Of those in the file, [rows].
        faults: Why the others cannot, by number.
    """

    rows: Any
    numbers: NDArray[np.int64]
    faults: dict[int, str]


def blocks(staged: Staged) -> Iterator[Block]:
    """Return the lines after the header, in order.

    Raises:
        psm_contract.physical.LineTooLongError: A line does not end.
    """
    with staged.path.open("rb") as stream, ThreadPoolExecutor(PARSERS) as parsers:
        waiting: deque[Future[Block]] = deque()
        for lines, first in pieces(stream, BLOCK_BYTES):
            body, number = (lines, first) if first > 1 else (lines[lines.find(b"\n") + 1 :], 2)
            waiting.append(parsers.submit(_block, body, number, staged.header))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _block(lines: bytes, first: int, header: tuple[str, ...]) -> Block:
    piece = checked(lines, first)
    faults = dict(piece.faults)
    if not len(piece.numbers):
        return Block(SCHEMA.empty_table(), piece.numbers, faults)
    parsed = _fast(piece, header)
    rows, short = parsed if parsed is not None else _parsed(piece, header, _AS_WORDS)
    numbers = piece.numbers
    if short:
        faults |= {int(numbers[place]): reason for place, reason in short.items()}
        numbers = np.delete(numbers, list(short))
    return _by_grammar(rows.unify_dictionaries().combine_chunks(), numbers, faults)


def _fast(piece: Piece, header: tuple[str, ...]) -> tuple[Any, dict[int, str]] | None:
    """As `_parsed`, with numbers as Arrow reads them; None where it does not, or where it takes more than the grammar."""
    if _may_be_hexadecimal(piece.text):
        return None
    try:
        rows, short = _parsed(piece, header, SCHEMA)
    except pa.ArrowInvalid:
        return None
    is_finite = np.isfinite(compute.sum(rows.column("SPEND")).as_py() or 0.0)  # nan and inf are numbers for Arrow
    return (rows, short) if is_finite else None


def _may_be_hexadecimal(text: bytes) -> bool:
    """Whether there is an x after a 0, which makes an integer for Arrow; a fourth of the time that `in` takes."""
    raw = np.frombuffer(text, dtype=np.uint8)
    at = np.flatnonzero((raw | _TO_LOWER) == _X)
    return bool((raw[at - 1] == _ZERO).any())


def _parsed(piece: Piece, header: tuple[str, ...], types: Any) -> tuple[Any, dict[int, str]]:
    """Rows, and what is wrong with the lines that have too few or too many cells, by their place in the piece."""
    short: dict[int, str] = {}

    def note(row: Any) -> str:
        short[row.number - 1] = f"has {row.actual_columns} cells, the header names {row.expected_columns}"
        return "skip"

    rows = pc.read_csv(
        pa.BufferReader(piece.text),
        read_options=pc.ReadOptions(column_names=header, use_threads=False, block_size=ARROWS_BYTES),
        parse_options=pc.ParseOptions(
            quote_char='"' if piece.is_quoted else False, invalid_row_handler=note, ignore_empty_lines=False
        ),
        convert_options=pc.ConvertOptions(
            column_types=types, include_columns=COLUMN_NAMES, null_values=list(cells.MISSING), strings_can_be_null=True
        ),
    )
    return rows, short


def _by_grammar(rows: Any, numbers: NDArray[np.int64], faults: dict[int, str]) -> Block:
    """Judge words; numbers that Arrow read are what the grammar says."""
    bad = np.zeros(len(numbers), dtype=np.bool_)
    columns = []
    for column in COLUMNS:
        given = rows.column(column.name)
        given = given.chunk(0) if given.num_chunks else pa.array([], given.type)
        if not pa.types.is_dictionary(given.type) or (column.kind == "text" and _is_plain(given.dictionary)):
            columns.append(given)
            continue
        values, at_fault = _read_words(given, column.kind)
        columns.append(values)
        for reason, wrong in at_fault.items():
            for place in np.flatnonzero(wrong & ~bad).tolist():
                faults[int(numbers[place])] = f"{column.name} {reason}"
            bad |= wrong
    table = pa.table(columns, schema=SCHEMA)
    if not bad.any():
        return Block(table, numbers, faults)
    return Block(table.filter(pa.array(~bad)), numbers[~bad], faults)


def _is_plain(words: Any) -> bool:
    """Whether every word is a text as it stands: short, without blanks and control characters; most columns are."""
    if not len(words):
        return True
    _, offsets, raw = words.buffers()
    places = np.frombuffer(offsets, dtype=np.int32)[words.offset : words.offset + len(words) + 1]
    data = np.frombuffer(raw, dtype=np.uint8)[places[0] : places[-1]] if raw is not None else np.empty(0, np.uint8)
    is_short = int(np.diff(places).max()) <= cells.LONGEST
    return is_short and (not len(data) or (int(data.min()) >= _LEAST_PLAIN and not bool((data == _DELETE).any())))


def _read_words(column: Any, kind: str) -> tuple[Any, dict[str, Mask]]:
    """Values of a pyarrow.DictionaryArray, and the rows that have none though they should, by reason."""
    read = _READ[kind]
    values: list[Any] = []
    reasons: dict[str, list[int]] = {}
    for place, word in enumerate(column.dictionary.to_pylist()):
        try:
            values.append(read(word))
        except cells.CellError as err:
            values.append(None)
            reasons.setdefault(str(err), []).append(place)
    places = column.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    at_fault = {reason: np.isin(places, wrong) for reason, wrong in reasons.items()}
    values.append(None)  # where an index that is null points to
    if kind == "text":
        return pa.array(values, pa.string()).take(pa.array(places)).dictionary_encode(), at_fault
    empty = np.array([value is None for value in values])
    filled = np.array([0 if value is None else value for value in values], dtype=_DTYPES[kind])
    return pa.array(filled[places], mask=empty[places]), at_fault
