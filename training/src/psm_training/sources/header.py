"""The first line of a raw file: names of columns, or what the file is instead."""

import csv
from typing import Final

from psm_contract.schema import ALIASES, COLUMN_NAMES
from psm_training.errors import PipelineError
from psm_training.terms import Terms

MOST_BYTES: Final = 1 << 16
_SHOWN: Final = 60
_OTHER_DELIMITERS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
_MAGIC: Final = {
    b"\x1f\x8b": "gzip; name it .csv.gz",
    b"PK\x03\x04": "a zip or a spreadsheet; name a zip .zip, save a spreadsheet as CSV UTF-8",
    b"PAR1": "Parquet; deliver CSV",
    b"\xff\xfe": "UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "UTF-16; save it as CSV UTF-8",
}


def header_of(name: str, start: bytes, terms: Terms) -> tuple[str, ...]:
    """Return the schema's names of the columns, in the file's order; columns beyond the schema keep theirs.

    Args:
        name: Of the file, for messages.
        start: Its first bytes, MOST_BYTES if it has as many.
        terms: Names and columns that are allowed besides.

    Raises:
        PipelineError: It is another kind of file, or has other columns.
    """
    line = _first_line(name, start)
    names = [cell.strip() for cell in next(csv.reader([line]), [])]
    known = {**ALIASES, **dict(terms.rename)}
    header = [
        name if name in COLUMN_NAMES and name not in dict(terms.rename) else known.get(name, name) for name in names
    ]
    missing = [column for column in COLUMN_NAMES if column not in header]
    unknown = [column for column in header if column not in COLUMN_NAMES]
    if len(missing) == len(COLUMN_NAMES):
        raise PipelineError(f"{name}: {_no_header(line)}")
    twice = sorted({column for column in header if column in COLUMN_NAMES and header.count(column) > 1})
    refused = [] if terms.extra_columns else unknown
    differences = [
        f"{what} {', '.join(columns)}"
        for what, columns in (("missing", missing), ("unknown", refused), ("twice", twice))
        if columns
    ]
    if differences:
        ways = [
            *(["--rename OLD=NEW tells the name of a column"] if missing and unknown else []),
            *(["--allow-extra-columns leaves unknown columns out"] if refused else []),
        ]
        raise PipelineError(
            f"{name} does not have the {len(COLUMN_NAMES)} columns of the schema: {'; '.join(differences)}"
            + "".join(f"; {way}" for way in ways)
        )
    return tuple(
        column if column in COLUMN_NAMES else f"{place} {column}"  # so that no two are alike
        for place, column in enumerate(header)
    )


def _first_line(name: str, start: bytes) -> str:
    for magic, says in _MAGIC.items():
        if start.startswith(magic):
            raise PipelineError(f"{name} is {says}")
    if b"\0" in start[:MOST_BYTES]:
        raise PipelineError(f"{name} is UTF-16 or no text; save it as CSV UTF-8")
    if not start.strip():
        raise PipelineError(f"{name} is empty; deliver it again")
    first = start.replace(b"\r", b"\n").partition(b"\n")[0]
    try:
        line = first.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise PipelineError(f"{name}: line 1 is not UTF-8; save it as CSV UTF-8") from None
    if not line:
        raise PipelineError(f"{name}: line 1 is blank; deliver it with its header in line 1")
    return line


def _no_header(line: str) -> str:
    """Say what stands where the names should."""
    for delimiter, word in _OTHER_DELIMITERS.items():
        if any(column in (cell.strip('" ') for cell in line.split(delimiter)) for column in COLUMN_NAMES):
            return f"its columns are apart by {word}, not by commas; deliver it with commas"
    shown = line[:_SHOWN] + ("…" if len(line) > _SHOWN else "")
    return f"line 1 names none of the {len(COLUMN_NAMES)} columns: {shown!r}; deliver it with its header in line 1"
