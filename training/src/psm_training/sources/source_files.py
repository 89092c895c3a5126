"""dunnhumby's Source Files as the user has them: CSV files with the 22 columns and the vendor's own label.

File by file into silver. What a file brought is in the ledger, so a run that was broken off goes on where it stopped, and
a file that comes later, or comes again, makes only its weeks again. The files may not be redistributed.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psm_training.errors import PipelineError
from psm_training.lake.held import HeldLines
from psm_training.lake.manifests import Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.quarantine import Reading, put_aside, read_lines, refuse_copies
from psm_training.lake.silver import Lines, read_file, write_lines
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


@dataclass(frozen=True)
class Delivery:
    """A raw file that is being taken.

    Attributes:
        file: As it lies in the source.
        staged: On this machine.
        folder: For what does not fit into memory.
    """

    file: RawFile
    staged: Staged
    folder: Path


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
                entry = _take(lake, Delivery(file, staged, Path(folder)), ledger, files)
                done.append(file.name)
        ledger[file.name] = entry
        lake.ledger.write(_entry_name(file.name), (json.dumps(asdict(entry), indent=1, sort_keys=True) + "\n").encode())
    return done


def _ledger(lake: Lake) -> dict[str, Entry]:
    entries = [Entry(**json.loads(lake.ledger.read(lake.ledger.name_of(info)))) for info in lake.ledger.list("")]
    return {entry.name: entry for entry in entries}


def _entry_name(name: str) -> str:
    return f"{name.replace('/', '~')}.json"


def _take(lake: Lake, delivery: Delivery, ledger: Mapping[str, Entry], files: Sequence[RawFile]) -> Entry:
    """Makes the weeks that a file brings, or brought before."""
    file, staged, folder = delivery.file, delivery.staged, delivery.folder
    for entry in ledger.values():
        if entry.sha256 == staged.sha256 and entry.name != file.name:
            raise PipelineError(f"{file.name} holds the same lines as {entry.name}; remove one of them")
    reading = read_lines(staged, folder)
    put_aside(staged.name, staged.path, reading, lake.quarantine)
    before = ledger.get(file.name)
    weeks = reading.usable.weeks | {int(week) for week in (before.weeks if before is not None else ())}
    others = [other for other in ledger.values() if other.name != file.name and weeks & set(map(int, other.weeks))]
    held = HeldLines(folder / "held")
    if others and before is None:
        _add_silver(held, lake, weeks, staged.sha256)
    elif others:
        _add_files(held, others, files, weeks, folder)
    _refuse_twice(file.name, reading.usable, held, others)
    return _write(lake, _entry(file, staged, reading), others, Lines(reading.usable, held), weeks)


def _entry(file: RawFile, staged: Staged, reading: Reading) -> Entry:
    """What is known before the copies are left out."""
    rows: Counter[int] = Counter()
    for (week, _), count in reading.usable.partitions.items():
        rows[week] += count
    return Entry(
        name=file.name,
        stamp=file.stamp,
        sha256=staged.sha256,
        lines=reading.lines,
        duplicates=0,
        quarantined=reading.reasons,
        weeks={str(week): count for week, count in sorted(rows.items())},
    )


def _add_silver(held: HeldLines, lake: Lake, weeks: Collection[int], sha256: str) -> None:
    """Late lines: what the weeks hold already; not the weeks that a broken run made with them."""
    for week in lake.silver.weeks(weeks).values():
        if sha256 not in [file["sha256"] for file in week.raw["files"]]:
            for file in week.files:
                held.add(read_file(lake.silver, week.week, file))


def _add_files(
    held: HeldLines, others: Sequence[Entry], files: Sequence[RawFile], weeks: Collection[int], folder: Path
) -> None:
    """A file that came again: its old lines are nowhere told apart, so the other files of its weeks are read again."""
    there = {file.name: file for file in files}
    for number, other in enumerate(others):
        if other.name not in there:
            raise PipelineError(
                f"weeks of a file that changed also hold lines of {other.name}; put that file back first"
            )
        own = folder / str(number)
        own.mkdir()
        usable = read_lines(stage(there[other.name], own), own).usable
        for rows in usable.pieces():
            held.add(rows.filter(pc.is_in(rows.column("SHOP_WEEK"), pa.array(sorted(weeks), pa.int64()))))


def _refuse_twice(name: str, new: HeldLines, held: HeldLines, others: Sequence[Entry]) -> None:
    if not held.weeks:
        return
    before = np.unique(np.concatenate([rows.column("BASKET_ID").to_numpy() for rows in held.pieces()]))
    common = np.array(sorted(held.weeks))
    brought = [
        rows.column("BASKET_ID").to_numpy()[np.isin(rows.column("SHOP_WEEK").to_numpy(), common)]
        for rows in new.pieces()
    ]
    baskets = np.unique(np.concatenate(brought)) if brought else before[:0]
    shared = int(np.isin(baskets, before).sum())
    if shared > MAX_SHARED_BASKETS * len(baskets):
        raise PipelineError(
            f"{name} brings {shared:,} of {len(baskets):,} baskets that {', '.join(other.name for other in others)} "
            "brought before: the week was delivered twice; remove one of the files"
        )


def _write(lake: Lake, entry: Entry, others: Sequence[Entry], lines: Lines, weeks: Collection[int]) -> Entry:
    """Writes the weeks that have lines now, takes out those that have none any more; the entry with its copies."""
    there = lines.new.weeks | (lines.held.weeks if lines.held is not None else set())
    made = lake.silver.weeks(there)
    inputs = {week: _inputs(week, [entry, *others]) for week in sorted(there)}
    wanted = {week for week in there if week not in made or made[week].inputs != inputs[week]}
    files = write_lines(lake.silver, lines, wanted)
    copies = lines.copies
    try:
        refuse_copies(entry.name, entry.lines, copies.total())
    except PipelineError:
        for week, written in files.items():
            lake.silver.forget(week, written)
        raise
    rows = {week: count - copies[int(week)] for week, count in entry.weeks.items()}
    entry = replace(entry, duplicates=copies.total(), weeks=rows)
    for week, written in sorted(files.items()):
        lake.silver.commit(Week(week, inputs[week], written, _raw(week, [entry, *others])))
    lake.silver.drop(set(weeks) - there)
    return entry


def _of_week(week: int, entries: Sequence[Entry]) -> list[Entry]:
    return sorted((entry for entry in entries if str(week) in entry.weeks), key=lambda entry: entry.name)


def _inputs(week: int, entries: Sequence[Entry]) -> str:
    return digest_of(entry.sha256 for entry in _of_week(week, entries))


def _raw(week: int, entries: Sequence[Entry]) -> dict[str, Any]:
    """What the raw files of a week looked like, for its manifest."""
    chosen = _of_week(week, entries)
    quarantined: Counter[str] = Counter()
    for entry in chosen:
        quarantined.update(entry.quarantined)
    return {
        "files": [{"name": entry.name, "sha256": entry.sha256, "lines": entry.lines} for entry in chosen],
        "lines": sum(entry.lines for entry in chosen),
        "quarantined": dict(quarantined),
        "duplicates": sum(entry.duplicates for entry in chosen),
    }
