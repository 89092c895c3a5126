"""dunnhumby's Source Files as the user has them: CSV files with the 22 columns and the vendor's own label.

File by file into silver. What a file brought is in the ledger, so a run that was broken off goes on where it stopped, and
a file that comes later, or comes again, makes only its weeks again. The files may not be redistributed.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.lake.manifests import Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.quarantine import Reading, read_lines
from psm_training.lake.schema import SILVER_ORDER, SILVER_TYPES
from psm_training.lake.views import MEMORY_LIMIT, view_of
from psm_training.lake.writing import partitions_of, write_weeks
from psm_training.sources.raw_files import RawFile, Staged, discover, stage

MAX_SHARED_BASKETS: Final = 0.01
"""Of a file's baskets in the weeks that other files brought too: beyond it the week was delivered twice."""


@dataclass(frozen=True)
class Entry:
    """What the ledger knows of a raw file that is in silver.

    Attributes:
        name: Of the file.
        stamp: Of the file as it was read.
        sha256: Of its plain CSV.
        lines: Without the header.
        duplicates: Copies that were left out.
        quarantined: Lines that were, by reason.
        weeks: Lines in silver by week.
    """

    name: str
    stamp: str
    sha256: str
    lines: int
    duplicates: int
    quarantined: Mapping[str, int]
    weeks: Mapping[str, int]


def ingest_files(lake: Lake, data: str | Path) -> list[str]:
    """Brings silver up to date with the raw files.

    Args:
        lake: Where to.
        data: A folder, a file or an s3:// address.

    Returns:
        Names of the files that were read; the others were in silver before.

    Raises:
        PipelineError: A file cannot be taken; those before it are in silver, of it nothing is.
    """
    files = discover(data)
    ledger = _ledger(lake)
    done = []
    for file in files:
        known = ledger.get(file.name)
        if known is not None and known.stamp == file.stamp:
            continue
        with tempfile.TemporaryDirectory(prefix="psm-raw-") as folder:
            staged = stage(file, Path(folder))
            if known is not None and known.sha256 == staged.sha256:
                entry = Entry(**{**asdict(known), "stamp": file.stamp})
            else:
                entry = _take(lake, file, staged, ledger, files)
                done.append(file.name)
        ledger[file.name] = entry
        lake.ledger.write(_entry_name(file.name), (json.dumps(asdict(entry), indent=1, sort_keys=True) + "\n").encode())
    return done


def _ledger(lake: Lake) -> dict[str, Entry]:
    entries = [Entry(**json.loads(lake.ledger.read(lake.ledger.name_of(info)))) for info in lake.ledger.list("")]
    return {entry.name: entry for entry in entries}


def _entry_name(name: str) -> str:
    return f"{name.replace('/', '~')}.json"


def _take(lake: Lake, file: RawFile, staged: Staged, ledger: Mapping[str, Entry], files: Sequence[RawFile]) -> Entry:
    """Makes the weeks that a file brings, or brought before."""
    for entry in ledger.values():
        if entry.sha256 == staged.sha256 and entry.name != file.name:
            raise PipelineError(f"{file.name} holds the same lines as {entry.name}; remove one of them")
    with _database() as database:
        reading = read_lines(database, staged, lake.quarantine)
        entry = _entry(file, staged, reading)
        before = ledger.get(file.name)
        weeks = {str(week) for week in reading.weeks} | set(before.weeks if before is not None else ())
        others = [other for other in ledger.values() if other.name != file.name and weeks & set(other.weeks)]
        if others and before is None:
            _join_silver(database, lake, weeks, staged.sha256)
        elif others:
            _join_files(database, others, files, weeks)
        else:
            database.execute("CREATE VIEW joined AS FROM incoming")
        if others:
            _refuse_twice(database, file.name, others)
        _write(database, lake, [entry, *others], weeks)
    return entry


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose database `work` keeps lines compressed: a third of the memory."""
    with (
        tempfile.TemporaryDirectory(prefix="psm-duckdb-") as folder,
        duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": folder}) as database,
    ):
        database.execute("ATTACH ':memory:' AS work (COMPRESS)")
        yield database


def _entry(file: RawFile, staged: Staged, reading: Reading) -> Entry:
    return Entry(
        name=file.name,
        stamp=file.stamp,
        sha256=staged.sha256,
        lines=reading.lines,
        duplicates=reading.copies,
        quarantined=reading.bad,
        weeks={str(week): rows for week, rows in reading.weeks.items()},
    )


def _join_silver(database: duckdb.DuckDBPyConnection, lake: Lake, weeks: set[str], sha256: str) -> None:
    """Late lines: what the weeks hold already, and the new; not the weeks that a broken run made with them."""
    held = {
        week.week: week
        for week in lake.silver.weeks().values()
        if str(week.week) in weeks and sha256 not in [file["sha256"] for file in week.raw["files"]]
    }
    view_of(database, "base", lake.silver, SILVER_TYPES, held)
    database.execute("CREATE VIEW joined AS FROM incoming UNION FROM base")


def _join_files(
    database: duckdb.DuckDBPyConnection, others: Sequence[Entry], files: Sequence[RawFile], weeks: set[str]
) -> None:
    """A file that came again: its old lines are nowhere told apart, so the other files of its weeks are read again."""
    there = {file.name: file for file in files}
    database.execute("CREATE TABLE work.base AS FROM incoming WHERE false")
    for other in others:
        if other.name not in there:
            raise PipelineError(
                f"weeks of a file that changed also hold lines of {other.name}; put that file back first"
            )
        with tempfile.TemporaryDirectory(prefix="psm-raw-") as folder, _database() as own:
            staged = stage(there[other.name], Path(folder))
            read_lines(own, staged, None)
            rows = own.sql(f"FROM incoming WHERE SHOP_WEEK IN ({', '.join(sorted(weeks))})").to_arrow_table()
        database.register("again", rows)
        database.execute("INSERT INTO work.base FROM again")
        database.unregister("again")
    database.execute("CREATE VIEW base AS FROM work.base")
    database.execute("CREATE VIEW joined AS FROM incoming UNION FROM base")


def _refuse_twice(database: duckdb.DuckDBPyConnection, name: str, others: Sequence[Entry]) -> None:
    row = database.execute(
        "SELECT count(*), count(*) FILTER (BASKET_ID IN (SELECT BASKET_ID FROM base)) "
        "FROM (SELECT DISTINCT BASKET_ID FROM incoming WHERE SHOP_WEEK IN (SELECT SHOP_WEEK FROM base))"
    ).fetchone()
    baskets, shared = row if row is not None else (0, 0)
    if shared > MAX_SHARED_BASKETS * baskets:
        raise PipelineError(
            f"{name} brings {shared:,} of {baskets:,} baskets that {', '.join(other.name for other in others)} brought "
            "before: the week was delivered twice; remove one of the files"
        )


def _write(database: duckdb.DuckDBPyConnection, lake: Lake, entries: Sequence[Entry], weeks: set[str]) -> None:
    """Writes the weeks that have lines now, takes out those that have none any more."""
    partitions = partitions_of(database, "joined")
    there = {week for week, _ in partitions}
    made = lake.silver.weeks()
    manifests = [_manifest(week, entries) for week in sorted(there)]
    fresh = [week for week in manifests if week.week not in made or made[week.week].inputs != week.inputs]
    write_weeks(database, lake.silver, "FROM joined", order=SILVER_ORDER, partitions=partitions, weeks=fresh)
    lake.silver.drop({int(week) for week in weeks} - there)


def _manifest(week: int, entries: Sequence[Entry]) -> Week:
    chosen = sorted((entry for entry in entries if str(week) in entry.weeks), key=lambda entry: entry.name)
    quarantined: dict[str, int] = {}
    for entry in chosen:
        for reason, count in entry.quarantined.items():
            quarantined[reason] = quarantined.get(reason, 0) + count
    raw: dict[str, Any] = {
        "files": [{"name": entry.name, "sha256": entry.sha256, "lines": entry.lines} for entry in chosen],
        "lines": sum(entry.lines for entry in chosen),
        "quarantined": quarantined,
        "duplicates": sum(entry.duplicates for entry in chosen),
    }
    return Week(week, digest_of(entry.sha256 for entry in chosen), raw=raw)
