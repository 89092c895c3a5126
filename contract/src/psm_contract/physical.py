"""Physical lines of CSV: pieces of a file as plain lines, each with its number in the file, none lost.

No cell of the schema holds a line break, so a line of the file is a line of the table, and a quote that does not close on
its line spoils that line alone. Readers parse what is given here; how many lines there are is counted apart from them, by
`LineCount`. Used by `psm-train ingest` and `psm-predict batch`. numpy only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

BLANK: Final = "is blank"
QUOTES: Final = "has a quote that does not open or close a cell"
NOT_UTF8: Final = "is not UTF-8"

_QUOTE, _LF, _COMMA = b'"\n,'
LONGEST_LINE: Final = 16 << 20
"""Bytes: more is no line of a table, and would have to be held in memory."""


class LineTooLongError(ValueError):
    """A file of lines has none, or is no text."""


class Stream(Protocol):
    """Bytes to be read once."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


class LineCount:
    """Counts the lines of a file whose bytes are handed over piece by piece; a line ends with LF, CR LF or CR."""

    def __init__(self) -> None:
        self._ends = 0
        self._last = b""

    def add(self, chunk: bytes) -> None:
        """Count the line ends of the next bytes."""
        if not chunk:
            return
        self._ends += chunk.count(b"\n")
        if returns := chunk.count(b"\r"):
            self._ends += returns - chunk.count(b"\r\n")
        if self._last == b"\r" and chunk[:1] == b"\n":
            self._ends -= 1
        self._last = chunk[-1:]

    @property
    def lines(self) -> int:
        """Lines so far; one without an end counts."""
        return self._ends + (self._last not in (b"\n", b"\r", b""))


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of a file.

    Attributes:
        text: The lines that can be parsed: UTF-8, each ending with LF, quoted as RFC 4180 says if `is_quoted`.
        numbers: Of those lines in the file, from 1, ascending, [lines].
        faults: What is wrong with the others, by number.
        is_quoted: Whether there is a quote in `text`.
    """

    text: bytes
    numbers: NDArray[np.int64]
    faults: dict[int, str]
    is_quoted: bool


def pieces(stream: Stream, size: int, first: int = 1) -> Iterator[tuple[bytes, int]]:
    """Cut a stream into pieces of whole lines.

    Args:
        stream: At the start of a line.
        size: Bytes of a piece; one that holds a longer line is longer.
        first: Number of its first line.

    Yields:
        Lines, every end of them a LF, and the number of the first.

    Raises:
        LineTooLongError: A line does not end.
    """
    left = b""
    ended = False
    while not ended:
        chunk = stream.read(size)
        ended = not chunk
        block = left + chunk
        end = len(block) if ended else _last_end(block)
        lines, left = block[:end], block[end:]
        if len(left) > LONGEST_LINE:
            number = first + lines.count(b"\n")
            raise LineTooLongError(f"line {number} is longer than {LONGEST_LINE >> 20} MiB")
        if b"\r" in lines:
            lines = lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if ended and lines and not lines.endswith(b"\n"):
            lines += b"\n"
        if lines:
            yield lines, first
            first += lines.count(b"\n")


def _last_end(block: bytes) -> int:
    """Return where the last whole line ends; a CR that comes last may have its LF in the next bytes."""
    end = block.rfind(b"\n") + 1
    return end or block.rfind(b"\r", 0, max(0, len(block) - 1)) + 1


def checked(lines: bytes, first: int) -> Piece:
    """Take the lines out that cannot be parsed.

    Args:
        lines: From `pieces`.
        first: Number of the first.
    """
    is_quoted = b'"' in lines
    has_blank = lines.startswith(b"\n") or b"\n\n" in lines
    has_more = not lines.isascii()
    if not (is_quoted or has_blank or has_more):
        return Piece(lines, np.arange(first, first + lines.count(b"\n")), {}, is_quoted=False)
    raw = np.frombuffer(lines, dtype=np.uint8)
    ends = np.flatnonzero(raw == _LF)
    found: list[tuple[NDArray[np.int64], str]] = []
    if is_quoted:
        found.append((_ill_quoted(raw, ends), QUOTES))
    if has_more:
        found.append((_not_utf8(lines), NOT_UTF8))
    if has_blank:
        found.append((np.flatnonzero(np.diff(ends, prepend=-1) == 1), BLANK))
    reasons = {int(place): reason for places, reason in found for place in places}
    numbers = np.arange(first, first + len(ends))
    if not reasons:
        return Piece(lines, numbers, {}, is_quoted=is_quoted)
    bad = np.zeros(len(ends), dtype=np.bool_)
    bad[list(reasons)] = True
    kept = raw[~np.repeat(bad, np.diff(ends, prepend=-1))].tobytes()
    faults = {first + place: reason for place, reason in sorted(reasons.items())}
    return Piece(kept, numbers[~bad], faults, is_quoted=b'"' in kept)


def _ill_quoted(raw: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return lines whose quotes are not those of RFC 4180: each cell is quoted whole or not at all.

    The quotes of a line pair off: one opens at the start of a cell, or right after the one before, which makes them one
    quote within the cell; the other closes at the end of a cell, or right before the next.
    """
    quotes = np.flatnonzero(raw == _QUOTE)
    line = np.searchsorted(ends, quotes)
    count = np.bincount(line, minlength=len(ends))
    odd = count % 2 == 1
    even = ~odd[line]
    quotes, line = quotes[even], line[even]
    opening, closing = quotes[0::2], quotes[1::2]
    before = raw[opening - 1]  # of the first byte the last one, which is a LF
    after = raw[closing + 1]
    opens = (before == _COMMA) | (before == _LF)
    closes = (after == _COMMA) | (after == _LF)
    opens[1:] |= opening[1:] == closing[:-1] + 1
    closes[:-1] |= opening[1:] == closing[:-1] + 1
    odd[line[0::2][~(opens & closes)]] = True
    return np.flatnonzero(odd)


def _not_utf8(lines: bytes) -> NDArray[np.int64]:
    try:
        lines.decode()
    except UnicodeDecodeError:
        return np.array([place for place, line in enumerate(lines.split(b"\n")) if not _is_utf8(line)], dtype=np.int64)
    return np.empty(0, dtype=np.int64)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
