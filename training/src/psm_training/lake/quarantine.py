"""Lines that cannot be used: kept with file, line number and reason; too many of them fail the file."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from psm_training.errors import PipelineError
from psm_training.lake import expressions
from psm_training.lake.held import HeldLines
from psm_training.lake.storage import Storage
from psm_training.sources.csv_lines import NotPlainError, any_blocks, plain_blocks
from psm_training.sources.raw_files import Staged

MAX_BAD_SHARE: Final = 0.01
"""Of a file's lines: a till that stumbles now and then, not a flood."""
MAX_COPY_SHARE: Final = 0.02
FEW_LINES: Final = 10
"""So many are taken of a file however short it is: late lines come by the dozen."""
MAX_KEPT: Final = 10_000
"""Bad lines of one file that are written down; all are counted."""


@dataclass(frozen=True)
class Reading:
    """What one raw file holds.

    Attributes:
        lines: Of the file, without the header.
        bad: Why lines cannot be used, by line number, as an editor counts.
        usable: The others.
    """

    lines: int
    bad: Mapping[int, str]
    usable: HeldLines

    @property
    def reasons(self) -> dict[str, int]:
        """Lines that cannot be used, by reason."""
        return dict(sorted(Counter(self.bad.values()).items()))


def read_lines(staged: Staged, folder: Path) -> Reading:
    """Reads a raw file.

    Args:
        staged: The file.
        folder: For lines that do not fit into memory; the reading uses it as long as it lives.
    """
    try:
        return _reading(plain_blocks(staged), {}, HeldLines(folder / "plain"))
    except NotPlainError:
        with any_blocks(staged) as (rejected, blocks):
            return _reading(blocks, rejected, HeldLines(folder / "any"))


@cache
def _statement() -> str:
    return expressions.sql(expressions.bad_lines(expressions.raw()))


def _reading(blocks: Iterator[Any], rejected: dict[int, str], usable: HeldLines) -> Reading:
    found: list[tuple[int, str]] = []
    rows = 0
    statement = _statement()
    with duckdb.connect(config={"threads": 1}) as database:  # blocks are small, and the parsers need the cores
        for block in blocks:
            places = pa.array(np.arange(block.num_rows))
            database.register("raw", block.append_column("rowid", places))
            bad = database.execute(statement).fetchall()
            if bad:
                kept = np.ones(block.num_rows, dtype=bool)
                kept[[place for place, _ in bad]] = False
                found += [(rows + place, reason) for place, reason in bad]
                usable.add(block.filter(pa.array(kept)))
            else:
                usable.add(block)
            rows += block.num_rows
    return Reading(rows + len(rejected), {**rejected, **_places(rejected, found)}, usable)


def put_aside(name: str, path: Path, reading: Reading, quarantine: Storage) -> None:
    """Writes down the lines that cannot be used, in one Parquet file: file, line, reason, raw.

    Args:
        name: Of the raw file.
        path: Its plain CSV.
        reading: What it holds.
        quarantine: Where to.

    Raises:
        PipelineError: More than MAX_BAD_SHARE of the lines cannot be used.
    """
    file = f"{name.replace('/', '~')}.parquet"
    if reading.bad:
        quarantine.write(file, _document(name, path, reading.bad))
    else:
        quarantine.delete(file)
    bad = len(reading.bad)
    if bad > max(FEW_LINES, MAX_BAD_SHARE * reading.lines):
        reasons = ", ".join(
            f"{reason} ({count:,})" for reason, count in sorted(reading.reasons.items(), key=lambda item: -item[1])[:3]
        )
        raise PipelineError(
            f"{name}: {bad:,} of {reading.lines:,} lines cannot be used, allowed is {MAX_BAD_SHARE:.0%}: {reasons}; "
            f"they are in {quarantine.where(file)}; deliver the file again"
        )


def refuse_copies(name: str, lines: int, copies: int) -> None:
    """Judges how many lines of a file are equal to another one.

    Raises:
        PipelineError: More than MAX_COPY_SHARE.
    """
    if copies > max(FEW_LINES, MAX_COPY_SHARE * lines):
        raise PipelineError(
            f"{name}: {copies:,} of {lines:,} lines are copies of others, allowed is "
            f"{MAX_COPY_SHARE:.0%}; deliver the file again without them"
        )


def _places(rejected: dict[int, str], found: list[tuple[int, str]]) -> dict[int, str]:
    """Line numbers of rows that were read: the header and every line refused before stand in front of them."""
    refused = sorted(rejected)
    reasons: dict[int, str] = {}
    before = 0
    for row, reason in sorted(found):
        while before < len(refused) and refused[before] <= row + 2 + before:
            before += 1
        reasons[row + 2 + before] = reason
    return reasons


def _document(name: str, path: Path, bad: Mapping[int, str]) -> bytes:
    """The Parquet file of bad lines, with each as it stands in the raw file."""
    chosen = dict(sorted(bad.items())[:MAX_KEPT])
    last = max(chosen)
    raw: list[str] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number in chosen:
                raw.append(line.decode("utf-8", errors="replace").rstrip("\r\n"))
            if number >= last:
                break
    table = pa.table(
        {
            "file": [name] * len(chosen),
            "line": pa.array(list(chosen), pa.int64()),
            "reason": list(chosen.values()),
            "raw": raw,
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="snappy", store_schema=False)
    return buffer.getvalue()
