"""Lines that cannot be used: kept with file, line number and reason; too many of them fail the file."""

import io
from collections import Counter
from dataclasses import dataclass
from typing import Final

import duckdb

from psm_contract.schema import COLUMN_NAMES
from psm_training.errors import PipelineError
from psm_training.lake import expressions
from psm_training.lake.schema import SILVER_TYPES
from psm_training.lake.storage import Storage
from psm_training.sources.raw_files import Staged

MAX_BAD_SHARE: Final = 0.01
"""Of a file's lines: a till that stumbles now and then, not a flood."""
MAX_COPY_SHARE: Final = 0.02
FEW_LINES: Final = 10
"""So many are taken of a file however short it is: late lines come by the dozen."""
MAX_KEPT: Final = 10_000
"""Bad lines of one file that are written down; all are counted."""


_ALL: Final = ", ".join(COLUMN_NAMES)
_LEAVE_COPIES_OUT: Final = f"""
WITH twice AS (SELECT hash({_ALL}) AS digest FROM work.raw GROUP BY ALL HAVING count(*) > 1),
suspect AS (SELECT *, rowid AS place FROM work.raw WHERE hash({_ALL}) IN (FROM twice)),
numbered AS (SELECT place, row_number() OVER (PARTITION BY {_ALL} ORDER BY place) AS number FROM suspect)
DELETE FROM work.raw WHERE rowid IN (SELECT place FROM numbered WHERE number > 1)
"""  # noqa: S608  # our own names
"""What `usable(..., distinct=True)` says, for a few copies among many lines: only lines that share a digest are compared."""


@dataclass(frozen=True)
class Reading:
    """What one raw file holds; its lines are in table `work.raw`.

    Attributes:
        lines: Of the file, without the header.
        copies: Lines that are equal to another one.
        bad: Lines that cannot be used, by reason.
        weeks: Usable lines by week.
    """

    lines: int
    copies: int
    bad: dict[str, int]
    weeks: dict[int, int]


def read_lines(database: duckdb.DuckDBPyConnection, staged: Staged, quarantine: Storage | None) -> Reading:
    """Reads a raw file into table `work.raw` and writes down the lines that cannot be used.

    Args:
        database: Fresh, with an attached database `work`.
        staged: The file.
        quarantine: Where bad lines are written, in one Parquet file: file, line, reason, raw. None for a file whose
            bad lines were written down before.

    Raises:
        PipelineError: More than MAX_BAD_SHARE of the lines cannot be used, or more than MAX_COPY_SHARE are copies.
    """
    rejected = _read(database, staged)
    raw = expressions.raw()
    database.execute("CREATE VIEW raw AS SELECT *, rowid FROM work.raw")
    found = database.execute(expressions.sql(expressions.bad_lines(raw))).fetchall()
    bad = {**rejected, **_places(rejected, found)}
    counts = database.execute(
        f"SELECT count(*), count(DISTINCT hash({', '.join(COLUMN_NAMES)})) FROM work.raw"  # noqa: S608  # our own names
    ).fetchone()
    kept, distinct = counts if counts is not None else (0, 0)
    reading = Reading(
        lines=kept + len(rejected),
        copies=kept - distinct,
        bad=dict(sorted(Counter(reason for reason in bad.values()).items())),
        weeks={},
    )
    if quarantine is not None:
        _put_aside(staged, bad, reading, quarantine)
    if reading.copies:
        database.execute(_LEAVE_COPIES_OUT)
    usable = expressions.usable(raw, distinct=False)
    database.execute(f"CREATE VIEW incoming AS {expressions.sql(usable)}")
    rows = database.execute("SELECT SHOP_WEEK, count(*) FROM incoming GROUP BY ALL ORDER BY ALL").fetchall()
    return Reading(reading.lines, reading.copies, reading.bad, {int(week): int(count) for week, count in rows})


def _put_aside(staged: Staged, bad: dict[int, str], reading: Reading, quarantine: Storage) -> None:
    name = f"{staged.name.replace('/', '~')}.parquet"
    if bad:
        quarantine.write(name, _document(staged, bad))
    else:
        quarantine.delete(name)
    _judge(staged.name, reading, len(bad), quarantine.where(name))


def _read(database: duckdb.DuckDBPyConnection, staged: Staged) -> dict[int, str]:
    """Fills `work.raw`; the reason of each line that does not even parse."""
    names = ", ".join(COLUMN_NAMES)
    database.execute(
        f"CREATE TABLE work.raw AS SELECT {names} FROM read_csv($file, header = true, auto_detect = false, "  # noqa: S608  # our own names
        "delim = ',', quote = '\"', escape = '\"', columns = $columns, store_rejects = true)",
        {"file": str(staged.path), "columns": {name: SILVER_TYPES[name] for name in staged.header}},
    )
    rows = database.execute(
        "SELECT line, error_type, column_name, error_message FROM reject_errors ORDER BY line, column_idx"
    ).fetchall()
    reasons: dict[int, str] = {}
    for line, kind, column, message in rows:
        reasons.setdefault(int(line), f"{column} is not a number" if kind == "CAST" else _told(kind, message))
    return reasons


def _told(kind: str, message: str) -> str:
    if kind in ("MISSING COLUMNS", "TOO MANY COLUMNS"):
        return str(message).splitlines()[0]
    return str(kind).lower()


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


def _document(staged: Staged, bad: dict[int, str]) -> bytes:
    """The Parquet file of bad lines, with each as it stands in the raw file."""
    import pyarrow as pa  # noqa: PLC0415  # approve and reject start without Arrow
    import pyarrow.parquet as pq  # noqa: PLC0415  # as above

    chosen = dict(sorted(bad.items())[:MAX_KEPT])
    last = max(chosen)
    raw: list[str] = []
    with staged.path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number in chosen:
                raw.append(line.decode("utf-8", errors="replace").rstrip("\r\n"))
            if number >= last:
                break
    table = pa.table(
        {
            "file": [staged.name] * len(chosen),
            "line": pa.array(list(chosen), pa.int64()),
            "reason": list(chosen.values()),
            "raw": raw,
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="snappy", store_schema=False)
    return buffer.getvalue()


def _judge(name: str, reading: Reading, bad: int, where: str) -> None:
    if bad > max(FEW_LINES, MAX_BAD_SHARE * reading.lines):
        reasons = ", ".join(
            f"{reason} ({count:,})" for reason, count in sorted(reading.bad.items(), key=lambda item: -item[1])[:3]
        )
        raise PipelineError(
            f"{name}: {bad:,} of {reading.lines:,} lines cannot be used, allowed is {MAX_BAD_SHARE:.0%}: {reasons}; "
            f"they are in {where}; deliver the file again"
        )
    if reading.copies > max(FEW_LINES, MAX_COPY_SHARE * reading.lines):
        raise PipelineError(
            f"{name}: {reading.copies:,} of {reading.lines:,} lines are copies of others, allowed is "
            f"{MAX_COPY_SHARE:.0%}; deliver the file again without them"
        )
