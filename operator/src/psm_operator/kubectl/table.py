"""Tables as kubectl prints them: columns of words, three spaces apart, and ages like 5m, 3h20m or 2d."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

MIN_WIDTH = 6
PADDING = 3
NONE = "<none>"

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365
UNITS: Final = {1: "s", MINUTE: "m", HOUR: "h", DAY: "d", YEAR: "y"}
SCALE: Final = (
    (2 * MINUTE, 1, 0),
    (10 * MINUTE, MINUTE, 1),
    (3 * HOUR, MINUTE, 0),
    (8 * HOUR, HOUR, MINUTE),
    (2 * DAY, HOUR, 0),
    (8 * DAY, DAY, HOUR),
    (2 * YEAR, DAY, 0),
    (8 * YEAR, YEAR, DAY),
    (math.inf, YEAR, 0),
)
"""Shorter than this: in which unit, and with what lesser unit beside it."""


class Table:
    """Writes rows one after the other; a column never gets narrower, so that lines that come later still align.

    Args:
        headers: of the columns.
        room: header -> width that later lines may need.
    """

    def __init__(self, headers: Sequence[str], room: Mapping[str, int] = MappingProxyType({})) -> None:
        self._headers = tuple(headers)
        self._widths = [room.get(header, 0) for header in headers]
        self._is_begun = False

    def lines(self, rows: Iterable[Sequence[str]]) -> list[str]:
        """The rows as lines, with the headers the first time."""
        cells = [tuple(row) for row in rows]
        if not self._is_begun:
            cells.insert(0, self._headers)
            self._is_begun = True
        for row in cells:
            self._widths = [max(old, len(cell)) for old, cell in zip(self._widths, row, strict=True)]
        return [self._line(row) for row in cells]

    def _line(self, row: Sequence[str]) -> str:
        padded = (cell.ljust(max(width + PADDING, MIN_WIDTH)) for cell, width in zip(row, self._widths, strict=True))
        return "".join(padded).rstrip()


def lines_of(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A whole table."""
    return Table(headers).lines(rows)


def cell(value: object) -> str:
    """A value in a column: kubectl's word for what is not there."""
    return NONE if value is None or value == "" else str(value)


def age(since: str | datetime | None, now: datetime) -> str:
    """How long ago, as kubectl says it: two units while that tells something."""
    if since is None:
        return NONE
    moment = datetime.fromisoformat(since) if isinstance(since, str) else since
    return duration(int((now - moment).total_seconds()))


def duration(seconds: int) -> str:
    """A length of time in at most two units (apimachinery's HumanDuration)."""
    seconds = max(0, seconds)
    unit, lesser = next((unit, lesser) for limit, unit, lesser in SCALE if seconds < limit)
    text = f"{seconds // unit}{UNITS[unit]}"
    rest = seconds % unit // lesser if lesser else 0
    return text + (f"{rest}{UNITS[lesser]}" if rest else "")
