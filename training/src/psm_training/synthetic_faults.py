"""Bad data on request: each fault spoils one file of synthetic till lines, as deliveries are spoilt in life."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from psm_contract.schema import COLUMN_NAMES

TRUNCATED_AT: Final = 2 / 3
NAN_EVERY: Final = 2
BAD_EVERY: Final = 200
"""One bad line in so many: few enough that a pipeline puts them aside and goes on."""

BAD_VALUES: Final = (
    ("QUANTITY", "two"),
    ("SPEND", "-1.25"),
    ("SHOP_HOUR", "31"),
    ("PROD_CODE", ""),
    ("BASKET_ID", ""),
)
"""What stands in bad lines, in turn; after the last comes a line that ends too early."""

AGAIN: Final = "_again"


def _truncated(path: Path) -> str:
    """The upload was cut: the file ends in the middle of a line."""
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.seek(int(size * TRUNCATED_AT))
        file.readline()
        end = file.tell() + len(file.readline()) // 2
        file.truncate(end)
    return f"{path.name} ends after {end:,} of {size:,} bytes, within a line"


def _schema(path: Path) -> str:
    """Somebody renamed a column."""
    _rewrite(path, lambda number, line: line.replace("SPEND", "AMOUNT") if number == 0 else line)
    return f"{path.name} calls SPEND AMOUNT"


def _duplicate_week(path: Path) -> str:
    """A week was delivered twice."""
    again = path.with_stem(path.stem + AGAIN)
    shutil.copyfile(path, again)
    return f"{again.name} repeats {path.name}"


def _nan_flood(path: Path) -> str:
    """A join went wrong upstream: every second line has no price."""
    place = COLUMN_NAMES.index("SPEND")
    _rewrite(path, lambda number, line: _with(line, place, "NaN") if number and number % NAN_EVERY == 0 else line)
    return f"SPEND is NaN in every {NAN_EVERY}nd line of {path.name}"


def _bad_rows(path: Path) -> str:
    """A few lines are wrong, each in its own way."""
    bad = 0

    def spoil(number: int, line: str) -> str:
        nonlocal bad
        if not number or number % BAD_EVERY:
            return line
        kind = bad % (len(BAD_VALUES) + 1)
        bad += 1
        if kind == len(BAD_VALUES):
            return ",".join(line.split(",")[:3]) + "\n"
        name, value = BAD_VALUES[kind]
        return _with(line, COLUMN_NAMES.index(name), value)

    _rewrite(path, spoil)
    return f"{bad} lines of {path.name} are bad in {min(bad, len(BAD_VALUES) + 1)} ways"


FAULTS: Final[dict[str, Callable[[Path], str]]] = {
    "truncated": _truncated,
    "schema": _schema,
    "duplicate-week": _duplicate_week,
    "nan-flood": _nan_flood,
    "bad-rows": _bad_rows,
}
"""Each takes a file of synthetic lines and says in one line what it did to it."""


def _with(line: str, place: int, value: str) -> str:
    """The line with another value; synthetic lines hold no quotes and no commas but those between values."""
    values = line.rstrip("\n").split(",")
    values[place] = value
    return ",".join(values) + "\n"


def _rewrite(path: Path, change: Callable[[int, str], str]) -> None:
    """The file with every line changed; the header is line 0."""

    def changed(lines: Iterator[str]) -> Iterator[str]:
        for number, line in enumerate(lines):
            yield change(number, line)

    part = path.with_suffix(".part")
    with path.open(encoding="utf-8") as old, part.open("w", encoding="utf-8") as new:
        new.writelines(changed(iter(old)))
    part.replace(path)
