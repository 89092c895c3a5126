"""The one grammar of a cell: what a text of a file or a request means as an integer, a number or a text.

Every reader takes cells by it: `psm-train ingest`, POST /predict, /invocations and /v2, and `psm-predict batch`. JSON has
numbers of its own, which its parser reads; of its texts the same holds as of a file's. Plain Python, so that anyone may
read it.
"""

import re
from typing import Final

BLANKS: Final = " \t"
"""Around a cell they mean nothing."""

MISSING: Final = ("", "NaN", "nan", "NULL", "null")
"""Words for a value that is not there. `NA` is none of them: it is a region's name as well."""

LONGEST: Final = 64
"""Characters of a text, blanks around it included; longer is a mistake, not a code."""

LARGEST: Final = 2**63 - 1
"""Of integers, as a file's columns hold them."""

INTEGER: Final = r"[+-]?[0-9]+(?:\.0*)?"
"""7.0 is 7: table libraries write so where a column misses a value somewhere."""

NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
CONTROL: Final = r"[\x00-\x1f\x7f]"
"""What no text holds: line breaks among them."""

_INTEGER: Final = re.compile(INTEGER)
_NUMBER: Final = re.compile(NUMBER)
_CONTROL: Final = re.compile(CONTROL)


class CellError(ValueError):
    """The cell is not of its column's kind; the message goes on after the column's name."""


def integer(cell: str) -> int | None:
    """Return the integer that a cell spells, None where it is missing.

    Raises:
        CellError: It spells none, or one beyond 64 bits.
    """
    word = cell.strip(BLANKS)
    if word in MISSING:
        return None
    if _INTEGER.fullmatch(word) is None:
        raise CellError("is no integer")
    whole = word.partition(".")[0]
    digits = whole.lstrip("+-0")
    if len(digits) > len(str(LARGEST)) or not -LARGEST - 1 <= int(whole) <= LARGEST:
        raise CellError("is no integer of 64 bits")
    return int(whole)


def number(cell: str) -> float | None:
    """Return the finite number that a cell spells, None where it is missing.

    Raises:
        CellError: It spells none.
    """
    word = cell.strip(BLANKS)
    if word in MISSING:
        return None
    if _NUMBER.fullmatch(word) is None or (value := float(word)) - value != 0.0:
        raise CellError("is not a number")
    return value


def text(cell: str) -> str | None:
    """Return the text of a cell without blanks around it, None where it is missing.

    Raises:
        CellError: It is too long for a code, or holds a control character.
    """
    if len(cell) > LONGEST:
        raise CellError(f"has more than {LONGEST} characters")
    word = cell.strip(BLANKS)
    if word in MISSING:
        return None
    if _CONTROL.search(word) is not None:
        raise CellError("holds a control character")
    return word
