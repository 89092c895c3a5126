"""No line of a file is lost: whatever bytes a file is spoilt by, each line is kept as it stands or named with a reason."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psm_contract import cells
from psm_contract.physical import BLANK, LineCount
from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_training.errors import PipelineError
from psm_training.lake.quarantine import Reading, read_lines
from psm_training.sources import csv_lines
from psm_training.sources.raw_files import discover, stage

LINES = 30
CELL = r'(?:"((?:[^"]|"")*)"|([^",]*))'
SPOILERS = [b'"', b",", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xff", b"\xc3\xa9", b" ", b"\t", b'""', b",,", b"x", b"0x1",
            b"-", b".5", b"1_0", b"E+14", b"NULL", b'",', b',"', b'"\n', b"\xef\xbb\xbf", b"\x1a"]  # fmt: skip
READ = {"integer": cells.integer, "number": cells.number, "text": cells.text}


def line(number: int) -> str:
    """A till line; each third one has no card, in quotes as the vendor writes it."""
    card = f"CUST{number % 7:010d},LA,YF" if number % 3 else '"","",""'
    return (
        f"200801,200802{25 + number % 5},{1 + number % 7},{8 + number % 12},{1 + number % 4},{1.25 * (1 + number)},"
        f"PRD{number:07d},CL{number % 9:05d},DEP00001,G00001,D00001,{card},{994100100000000 + number // 4},M,MM,Top Up,Mixed,"
        f"STORE{number % 5:05d},LS,E02"
    )


WHOLE = "\n".join([",".join(COLUMN_NAMES), *map(line, range(LINES)), ""]).encode()
FIRST = len(WHOLE.partition(b"\n")[0]) + 1


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """The file with a few places overwritten, cut out or added to; the header stays."""
    body = bytearray(WHOLE)
    if draw(st.booleans()):
        body[FIRST:] = body[FIRST:].replace(b"\n", draw(st.sampled_from([b"\r", b"\r\n", b"\n\n"])))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(FIRST, len(body)))
        cut = draw(st.integers(0, 3))
        body[at : at + cut] = draw(st.sampled_from(SPOILERS) | st.binary(max_size=3))
    return bytes(body)


def physical(raw: bytes) -> list[bytes]:
    """Lines after the header, as an editor counts; Python's own way to split them is the yardstick."""
    return re.split(rb"\r\n|\n|\r", raw)[1:-1]


def cells_of(text: str) -> list[str] | None:
    """Cells of one line by RFC 4180; None where the quotes do not fit."""
    if re.fullmatch(rf"{CELL}(?:,{CELL})*", text, re.DOTALL) is None:
        return None
    found = (
        re.findall(rf"(?:^|,){CELL}", text, re.DOTALL)
        if text[:1] != ","
        else [("", ""), *re.findall(rf",{CELL}", text)]
    )
    return [quoted.replace('""', '"') or plain for quoted, plain in found]


def row_of(raw: bytes) -> dict[str, Any] | None:
    """What a line says by the grammar, cell by cell; None where it cannot be read."""
    try:
        row = cells_of(raw.decode()) if raw else None
        if row is None or len(row) != len(COLUMNS):
            return None
        return {column.name: READ[column.kind](cell) for column, cell in zip(COLUMNS, row, strict=True)}
    except (UnicodeDecodeError, cells.CellError):
        return None


def reading_of(raw: bytes, folder: Path) -> Reading:
    (folder / "transactions.csv").write_bytes(raw)
    (file,) = discover(folder).files
    return read_lines(stage(file, folder), folder)


@given(spoilt(), st.sampled_from([200, 1_000, 8 << 20]))
@settings(deadline=None, max_examples=150)
def test_ingest_accounts_for_every_line(raw: bytes, block: int) -> None:
    """Kept and named lines are the file's, by number; each kept one has the values that stand there."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_lines, "BLOCK_BYTES", block)
        try:
            reading = reading_of(raw, Path(name))
        except PipelineError as err:
            assert "transactions.csv" in str(err)  # noqa: PT017  # refused whole, and named
            return
        lines = physical(raw)
        assert reading.lines == len(lines)
        assert all(2 <= number < 2 + len(lines) for number in reading.bad)
        kept = [row for number, row in enumerate(map(row_of, lines), start=2) if number not in reading.bad]
        found = [row for rows in reading.usable.pieces() for row in rows.to_pylist()]
        assert found == kept
        for number, reason in reading.bad.items():
            assert (reason == BLANK) == (lines[number - 2] == b"")


@given(st.lists(st.binary(max_size=4) | st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=12))
def test_lines_are_counted_alike_in_whatever_pieces_they_come(chunks: list[bytes]) -> None:
    """A CR and its LF may come apart."""
    count = LineCount()
    for chunk in chunks:
        count.add(chunk)
    whole = b"".join(chunks)
    split = re.split(rb"\r\n|\n|\r", whole)
    assert count.lines == len(split) - (split[-1] == b"")
