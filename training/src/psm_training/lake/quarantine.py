"""Lines that cannot be used: kept with file, line number and reason; too many of them fail the file.

Every line of a file is in silver's hands, in the quarantine or kept apart; where the three do not add up to the lines that
were counted before anybody read them, the file is refused.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from psm_contract.physical import BLANK, LineTooLongError, pieces
from psm_training.errors import PipelineError
from psm_training.lake import expressions
from psm_training.lake.held import HeldLines
from psm_training.lake.storage import Storage
from psm_training.sources.csv_lines import BLOCK_BYTES, Block, blocks
from psm_training.sources.raw_files import Staged, flat
from psm_training.terms import REFUND, STRICT, Terms

MAX_BAD_SHARE: Final = 0.01
"""Of a file's lines: a till that stumbles now and then, not a flood."""
MAX_COPY_SHARE: Final = 0.02
FEW_LINES: Final = 10
"""So many are taken of a file however short it is: late lines come by the dozen."""
MAX_KEPT: Final = 10_000
"""Bad lines of one file that are written down; all are counted."""
OTHER_WEEK: Final = "SHOP_DATE is outside the seven days of its SHOP_WEEK"
DAYS_OF_A_WEEK: Final = 7

Day = tuple[int, int]
"""SHOP_WEEK and SHOP_DATE."""


@dataclass
class Reading:
    """What one raw file holds.

    Attributes:
        lines: Of the file, without the header.
        bad: Why lines cannot be used, by line number, as an editor counts.
        usable: Those that go into silver.
        apart: Pieces of lines that are kept apart, with their numbers, by kind.
        days: Usable lines by week and day.
    """

    lines: int
    usable: HeldLines
    bad: dict[int, str] = field(default_factory=dict)
    apart: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    days: Counter[Day] = field(default_factory=Counter)

    @property
    def reasons(self) -> dict[str, int]:
        """Lines that cannot be used, by reason."""
        return dict(sorted(Counter(self.bad.values()).items()))

    @property
    def kept_apart(self) -> dict[str, int]:
        """Lines that are kept apart, by kind."""
        return {kind: sum(rows.num_rows for rows in tables) for kind, tables in sorted(self.apart.items())}

    @property
    def accounted(self) -> int:
        """Lines that are somewhere."""
        return sum(self.usable.partitions.values()) + len(self.bad) + sum(self.kept_apart.values())


def read_lines(staged: Staged, folder: Path, terms: Terms = STRICT) -> Reading:
    """Read a raw file.

    Args:
        staged: The file.
        folder: For lines that do not fit into memory; the reading uses it as long as it lives.
        terms: Which lines are kept apart.

    Raises:
        PipelineError: Some line is nowhere.
    """
    reading = _reading(staged, HeldLines(folder / "lines"), terms, frozenset())
    if strays := _strays(reading.days):  # hardly ever: then all is read once more, without them
        reading = _reading(staged, HeldLines(folder / "again"), terms, strays)
    if reading.accounted != reading.lines:
        raise PipelineError(
            f"{staged.name} has {reading.lines:,} lines after its header, and {reading.accounted:,} of them were read: no "
            "line may be lost, so nothing of it is taken; please report this with the file's first lines"
        )
    return reading


@cache
def _statement() -> str:
    return expressions.sql(expressions.bad_lines(expressions.raw()))


def _reading(staged: Staged, usable: HeldLines, terms: Terms, strays: frozenset[Day]) -> Reading:
    reading = Reading(staged.lines, usable)
    with duckdb.connect(config={"threads": 1}) as database:  # blocks are small, and the parsers need the cores
        try:
            for block in blocks(staged):
                reading.bad |= block.faults
                for kind, part in _sorted_out(block, terms):
                    rows, numbers = _judged(database, part, reading.bad, kind)
                    if strays and kind is None:
                        rows, numbers = _without(rows, numbers, strays, reading.bad)
                    if kind is None:
                        usable.add(rows)
                        reading.days.update(_days(rows))
                    elif rows.num_rows:
                        reading.apart[kind].append(rows.append_column("line", pa.array(numbers)))
        except LineTooLongError as err:
            raise PipelineError(f"{staged.name}: {err}; it is no file of lines, deliver it again") from err
    return reading


def _sorted_out(block: Block, terms: Terms) -> Iterator[tuple[str | None, Block]]:
    """The lines by kind; None is those that silver takes."""
    rows = block.rows
    kinds = terms.apart if rows.num_rows else ()
    left = np.ones(rows.num_rows, dtype=np.bool_)
    for kind in kinds:
        chosen = left & _is_of(rows, kind)
        left &= ~chosen
        if chosen.any():
            yield kind, Block(rows.filter(pa.array(chosen)), block.numbers[chosen], {})
    yield None, block if left.all() else Block(rows.filter(pa.array(left)), block.numbers[left], {})


def _is_of(rows: Any, kind: str) -> Any:
    quantity, spend = (pc.fill_null(rows.column(name), 1).to_numpy() for name in ("QUANTITY", "SPEND"))
    return (quantity < 0) | (spend < 0) if kind == REFUND else (spend == 0) & (quantity > 0)


def _judged(database: duckdb.DuckDBPyConnection, part: Block, bad: dict[int, str], kind: str | None) -> tuple[Any, Any]:
    """The rows that can be used, and their numbers; what is kept apart is judged as if it had been paid for."""
    rows = part.rows
    if kind is not None:
        ones = pa.array(np.ones(rows.num_rows))
        for name, values in (
            ("QUANTITY", pc.abs(rows.column("QUANTITY"))),
            ("SPEND", pc.abs(rows.column("SPEND")) if kind == REFUND else ones),
        ):
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        if kind == REFUND:  # goods that came back for nothing
            spend = rows.column("SPEND")
            rows = rows.set_column(
                rows.schema.get_field_index("SPEND"), "SPEND", pc.if_else(pc.equal(spend, 0), 1.0, spend)
            )
    database.register("raw", rows.append_column("rowid", pa.array(np.arange(rows.num_rows))))
    found = database.execute(_statement()).fetchall()
    if not found:
        return part.rows, part.numbers
    kept = np.ones(rows.num_rows, dtype=np.bool_)
    kept[[place for place, _ in found]] = False
    bad |= {int(part.numbers[place]): reason for place, reason in found}
    return part.rows.filter(pa.array(kept)), part.numbers[kept]


def _days(rows: Any) -> Counter[Day]:
    """Lines of each week and day; without those of no day."""
    counted = (
        rows.select(["SHOP_WEEK", "SHOP_DATE"])
        .group_by(["SHOP_WEEK", "SHOP_DATE"], use_threads=False)
        .aggregate([([], "count_all")])
        .to_pydict()
    )
    pairs = zip(counted["SHOP_WEEK"], counted["SHOP_DATE"], strict=True)
    found = {pair: count for pair, count in zip(pairs, counted["count_all"], strict=True) if pair[1] is not None}
    return Counter(found)


def _strays(days: Mapping[Day, int]) -> frozenset[Day]:
    """Days that lie outside the seven in a row that hold most lines of their week."""
    of_week: dict[int, dict[date, int]] = defaultdict(dict)
    for (week, day), count in days.items():
        of_week[week][date(day // 10_000, day // 100 % 100, day % 100)] = count
    strays: set[Day] = set()
    for week, counts in of_week.items():
        if max(counts) - min(counts) < timedelta(days=DAYS_OF_A_WEEK):
            continue
        windows = {
            first: sum(count for day, count in counts.items() if 0 <= (day - first).days < DAYS_OF_A_WEEK)
            for first in sorted(counts)
        }
        start = max(windows, key=windows.__getitem__)
        strays |= {
            (week, 10_000 * day.year + 100 * day.month + day.day)
            for day in counts
            if not 0 <= (day - start).days < DAYS_OF_A_WEEK
        }
    return frozenset(strays)


def _without(rows: Any, numbers: Any, strays: Iterable[Day], bad: dict[int, str]) -> tuple[Any, Any]:
    week, day = (pc.fill_null(rows.column(name), 0).to_numpy() for name in ("SHOP_WEEK", "SHOP_DATE"))
    kept = ~np.isin(week * 100_000_000 + day, [w * 100_000_000 + d for w, d in strays])
    if kept.all():
        return rows, numbers
    bad |= dict.fromkeys(numbers[~kept].tolist(), OTHER_WEEK)
    return rows.filter(pa.array(kept)), numbers[kept]


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
    file = f"{flat(name)}.parquet"
    if reading.bad:
        quarantine.write(file, _document(name, path, reading.bad))
    else:
        quarantine.delete(file)
    bad = sum(reason != BLANK for reason in reading.bad.values())  # a blank line holds nothing that could be lost
    if bad > max(FEW_LINES, MAX_BAD_SHARE * reading.lines):
        reasons = ", ".join(
            f"{reason} ({count:,})" for reason, count in sorted(reading.reasons.items(), key=lambda item: -item[1])[:3]
        )
        raise PipelineError(
            f"{name}: {bad:,} of {reading.lines:,} lines cannot be used, allowed is {MAX_BAD_SHARE:.0%}: {reasons}; "
            f"they are in {quarantine.where(file)}; deliver the file again{_way_out(reading)}"
        )


def _way_out(reading: Reading) -> str:
    """What could be allowed."""
    if not any(reason.startswith(("QUANTITY is outside", "SPEND is outside")) for reason in reading.reasons):
        return ""
    return ", or say --refunds or --zero-prices to keep such lines apart"


def apart_document(reading: Reading) -> bytes | None:
    """Return the lines that are kept apart as one Parquet file: kind, line and the 22 columns; None if there are none."""
    tables = [
        rows.append_column("kind", pa.array([kind] * rows.num_rows, pa.string()))
        for kind, parts in sorted(reading.apart.items())
        for rows in parts
    ]
    if not tables:
        return None
    buffer = io.BytesIO()
    whole = pa.concat_tables([rows.unify_dictionaries() for rows in tables])
    pq.write_table(whole, buffer, compression="snappy", store_schema=False)
    return buffer.getvalue()


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


def _document(name: str, path: Path, bad: Mapping[int, str]) -> bytes:
    """The Parquet file of bad lines, with each as it stands in the raw file."""
    chosen = dict(sorted(bad.items())[:MAX_KEPT])
    last = max(chosen)
    raw: list[str] = []
    with path.open("rb") as stream:
        for piece, first in pieces(stream, BLOCK_BYTES):
            lines = piece.split(b"\n")
            inside = [number for number in chosen if first <= number < first + len(lines) - 1]
            raw += [lines[number - first].decode("utf-8", errors="replace") for number in inside]
            if first + len(lines) > last:
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
