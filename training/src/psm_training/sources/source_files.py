"""dunnhumby's Source Files as the user has them: CSV files with the 22 columns and the vendor's own label.

File by file into silver. What a file brought is in the ledger, so a run that was broken off goes on where it stopped, and
a file that comes later, or comes again, makes only its weeks again. The files may not be redistributed.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psm_training.errors import PipelineError
from psm_training.lake.held import HeldLines
from psm_training.lake.manifests import Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.quarantine import Reading, apart_document, put_aside, read_lines, refuse_copies
from psm_training.lake.silver import Lines, read_file, write_lines
from psm_training.sources.raw_files import RawFile, Staged, discover, flat, stage, told
from psm_training.terms import Terms

MAX_SHARED_BASKETS: Final = 0.01
"""Of a file's baskets in the weeks that other files brought too: beyond it the week was delivered twice."""


@dataclass(frozen=True)
class Entry:
    """What the ledger knows of a raw file that is in silver.

    Attributes:
        name: Of the file: its whole place below the source.
        stamp: Of the file as it was read.
        sha256: Of its plain CSV.
        lines: Physical ones, without the header: those below and those in silver add up to it.
        duplicates: Copies that were left out.
        quarantined: Lines that were, by reason.
        weeks: Lines in silver by week.
        apart: Lines that are kept apart, by kind.
        terms: By which rules it was read; those of before have none.
    """

    name: str
    stamp: str
    sha256: str
    lines: int
    duplicates: int
    quarantined: Mapping[str, int]
    weeks: Mapping[str, int]
    apart: Mapping[str, int] = field(default_factory=dict)
    terms: str = ""

    @property
    def kept(self) -> int:
        """Lines in silver."""
        return sum(self.weeks.values())

    @property
    def content(self) -> str:
        """What decides its lines in silver."""
        return f"{self.sha256} {self.terms}"

    def __str__(self) -> str:
        return accounts([self])


def accounts(entries: Collection[Entry]) -> str:
    """Return where the lines of files went, in one line."""
    reasons: Counter[str] = Counter()
    apart: Counter[str] = Counter()
    for entry in entries:
        reasons.update(entry.quarantined)
        apart.update(entry.apart)
    copies = sum(entry.duplicates for entry in entries)
    why = f" ({', '.join(f'{reason}: {count:,}' for reason, count in reasons.most_common())})" if reasons else ""
    parts = [
        f"{sum(entry.lines for entry in entries):,} lines read",
        f"{sum(entry.kept for entry in entries):,} kept",
        f"{reasons.total():,} quarantined{why}",
        *([f"{copies:,} copies left out"] if copies else []),
        *(f"{count:,} kept apart as {kind}" for kind, count in sorted(apart.items())),
    ]
    return ", ".join(parts)


@dataclass(frozen=True)
class Delivery:
    """A raw file that is being taken.

    Attributes:
        file: As it lies in the source.
        staged: On this machine.
        folder: For what does not fit into memory.
        terms: What of it is taken as it is.
    """

    file: RawFile
    staged: Staged
    folder: Path
    terms: Terms


@dataclass(frozen=True)
class Taken:
    """What an ingest did.

    Attributes:
        read: Files that were read; the others were in silver before.
        all: Every file that is in silver.
    """

    read: list[Entry]
    all: list[Entry]


def ingest_files(lake: Lake, data: str | Path, terms: Terms, say: Callable[[str], None]) -> Taken:
    """Bring silver up to date with the raw files.

    Args:
        lake: Where to.
        data: A folder, a file or an s3:// address.
        terms: What is taken as it is.
        say: Takes one line for every file that is read, and for what is passed over.

    Raises:
        PipelineError: A file cannot be taken; those before it are in silver, of it nothing is.
    """
    found = discover(data)
    if found.passed_over:
        say(f"passed over, for they are no transactions*.csv, .csv.gz or .zip: {told(found.passed_over)}")
    ledger = _ledger(lake)
    read = []
    for file in found.files:
        known = ledger.get(file.name)
        if known is not None and known.terms != terms.stamp:
            known = None
        if known is not None and known.stamp == file.stamp:
            continue
        with tempfile.TemporaryDirectory(prefix="psm-raw-") as folder:
            staged = stage(file, Path(folder), terms)
            moved = _moved(file, staged, ledger, found.files)
            if moved is not None and moved.terms == terms.stamp:
                del ledger[moved.name]
                lake.ledger.delete(_entry_name(moved.name))
                known = moved
            if known is not None and known.sha256 == staged.sha256:
                entry = replace(known, name=file.name, stamp=file.stamp)
            else:
                entry = _take(lake, Delivery(file, staged, Path(folder), terms), ledger, found.files)
                read.append(entry)
                say(f"{file.name}: {entry}")
        ledger[file.name] = entry
        lake.ledger.write(_entry_name(file.name), (json.dumps(asdict(entry), indent=1, sort_keys=True) + "\n").encode())
    return Taken(read, list(ledger.values()))


def _ledger(lake: Lake) -> dict[str, Entry]:
    """What is in silver, by name of the file."""
    ledger: dict[str, Entry] = {}
    for info in lake.ledger.list(""):
        place = lake.ledger.name_of(info)
        try:
            entry = Entry(**json.loads(lake.ledger.read(place)))
        except (ValueError, TypeError) as err:
            raise PipelineError(
                f"{lake.ledger.where(place)} is damaged ({err}); remove the lake and ingest again"
            ) from err
        if place != _entry_name(entry.name):  # of a release that named files otherwise
            lake.ledger.write(_entry_name(entry.name), lake.ledger.read(place))
            lake.ledger.delete(place)
        ledger[entry.name] = entry
    return ledger


def _entry_name(name: str) -> str:
    return f"{flat(name)}.json"


def _moved(file: RawFile, staged: Staged, ledger: Mapping[str, Entry], files: Sequence[RawFile]) -> Entry | None:
    """The entry of a file with the same lines that is not where it was, so that this is it."""
    there = {other.name for other in files}
    if file.name in ledger:
        return None
    return next((entry for entry in ledger.values() if entry.sha256 == staged.sha256 and entry.name not in there), None)


def _take(lake: Lake, delivery: Delivery, ledger: Mapping[str, Entry], files: Sequence[RawFile]) -> Entry:
    """Make the weeks that a file brings, or brought before."""
    file, staged, folder = delivery.file, delivery.staged, delivery.folder
    for entry in ledger.values():
        if entry.sha256 == staged.sha256 and entry.name != file.name:
            raise PipelineError(f"{file.name} holds the same lines as {entry.name}; remove one of them")
    reading = read_lines(staged, folder, delivery.terms)
    put_aside(staged.name, staged.path, reading, lake.quarantine)
    before = ledger.get(file.name)
    weeks = reading.usable.weeks | {int(week) for week in (before.weeks if before is not None else ())}
    others = [other for other in ledger.values() if other.name != file.name and weeks & set(map(int, other.weeks))]
    held = HeldLines(folder / "held")
    if others and before is None:
        _add_silver(held, lake, weeks, staged.sha256)
    elif others:
        _add_files(held, others, files, weeks, delivery)
    _refuse_twice(file.name, reading.usable, held, others)
    entry = _write(lake, _entry(delivery, reading), others, Lines(reading.usable, held), weeks)
    _keep_apart(lake, staged.name, reading)
    return entry


def _keep_apart(lake: Lake, name: str, reading: Reading) -> None:
    document = apart_document(reading)
    place = f"{flat(name)}.parquet"
    if document is None:
        lake.apart.delete(place)
    else:
        lake.apart.write(place, document)


def _entry(delivery: Delivery, reading: Reading) -> Entry:
    """What is known before the copies are left out."""
    rows: Counter[int] = Counter()
    for (week, _), count in reading.usable.partitions.items():
        rows[week] += count
    return Entry(
        name=delivery.file.name,
        stamp=delivery.file.stamp,
        sha256=delivery.staged.sha256,
        lines=reading.lines,
        duplicates=0,
        quarantined=reading.reasons,
        weeks={str(week): count for week, count in sorted(rows.items())},
        apart=reading.kept_apart,
        terms=delivery.terms.stamp,
    )


def _add_silver(held: HeldLines, lake: Lake, weeks: Collection[int], sha256: str) -> None:
    """Late lines: what the weeks hold already; not the weeks that a broken run made with them."""
    for week in lake.silver.weeks(weeks).values():
        if sha256 not in [file["sha256"] for file in week.raw["files"]]:
            for file in week.files:
                held.add(read_file(lake.silver, week.week, file))


def _add_files(
    held: HeldLines, others: Sequence[Entry], files: Sequence[RawFile], weeks: Collection[int], delivery: Delivery
) -> None:
    """A file that came again: its old lines are nowhere told apart, so the other files of its weeks are read again."""
    there = {file.name: file for file in files}
    for number, other in enumerate(others):
        if other.name not in there:
            raise PipelineError(
                f"weeks of a file that changed also hold lines of {other.name}; put that file back first"
            )
        own = delivery.folder / str(number)
        own.mkdir()
        usable = read_lines(stage(there[other.name], own, delivery.terms), own, delivery.terms).usable
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
    return digest_of(entry.content for entry in _of_week(week, entries))


def _raw(week: int, entries: Sequence[Entry]) -> dict[str, Any]:
    """What the raw files of a week looked like, for its manifest."""
    chosen = _of_week(week, entries)
    quarantined: Counter[str] = Counter()
    apart: Counter[str] = Counter()
    for entry in chosen:
        quarantined.update(entry.quarantined)
        apart.update(entry.apart)
    return {
        "files": [{"name": entry.name, "sha256": entry.sha256, "lines": entry.lines} for entry in chosen],
        "lines": sum(entry.lines for entry in chosen),
        "quarantined": dict(quarantined),
        "duplicates": sum(entry.duplicates for entry in chosen),
        "apart": dict(apart),
    }
