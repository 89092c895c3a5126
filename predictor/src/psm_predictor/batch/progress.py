"""Tells a person, on standard error, how far a run is."""

from collections.abc import Callable
from typing import Final, TextIO

_TERMINAL_INTERVAL_S: Final = 0.5
_LOG_INTERVAL_S: Final = 10.0  # a job's log should not drown in it


class Progress:
    """Rows read so far; a line that renews itself on a terminal, a line every ten seconds in a log."""

    def __init__(self, stream: TextIO, total: int | None, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._total = total
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._started = self._told = clock()
        self._rows = 0
        self._refused = 0

    def advance(self, rows: int, refused: int) -> None:
        """So many more rows were read, and so many more refused."""
        self._rows += rows
        self._refused += refused
        now = self._clock()
        if now - self._told >= (_TERMINAL_INTERVAL_S if self._is_terminal else _LOG_INTERVAL_S):
            self._told = now
            self._tell(now)

    def clear(self) -> None:
        """Takes the last line off a terminal."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")

    def _tell(self, now: float) -> None:
        share = f" of {self._total:,} ({self._rows / self._total:.0%})" if self._total else ""
        text = (
            f"{self._rows:,} rows{share}, {self._rows / (now - self._started):,.0f} rows/s, {self._refused:,} refused"
        )
        self._stream.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()
