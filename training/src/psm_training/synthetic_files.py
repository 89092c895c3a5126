"""Synthetic till lines as files, like the vendor's Source Files: any size, week by week, faults and drift on request.

A week is a function of the seed and its number alone, so the same order gives the same bytes whatever else is made.
"""

import io
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from psm_contract.schema import CLASSES, COLUMN_NAMES
from psm_training.errors import PipelineError
from psm_training.sources.synthetic_baskets import SEPARATION, WEEKS_PER_YEAR, lines, truth, week_index, week_number
from psm_training.synthetic import FIRST_BASKET, FIRST_WEEK, Baskets, Households, Regime, draw
from psm_training.synthetic_faults import FAULTS
from psm_training.terms import check_week

LINES_PER_BASKET: Final = 7.04
"""Mean of a calm week: 0.45 x 2.2 + 0.35 x 7 + 0.2 x 18."""

BASKETS_PER_HOUSEHOLD: Final = 20
LEAST_HOUSEHOLDS: Final = 600
"""Fewer, and the parts of the split differ by chance."""

WRITERS: Final = 2
"""Weeks in memory at a time; more do not write faster, as the disk and the generator take turns."""

SEED_OF_FIRST_WEEK: Final = 52 * 100
"""Seeds may not be negative, and there are weeks before FIRST_WEEK."""

CALM: Final = Regime(separation=SEPARATION)
DRIFTS: Final = {
    "price": replace(CALM, price=1.3),
    "mix": replace(CALM, trips=(0.20, 0.30, 0.50)),
    "label": replace(CALM, trade_down=0.8),
}
"""Regimes after a change: everything dearer; larger baskets; every class buys cheaper, so tiers mean something else."""

REGRESSED_NOISE: Final = 0.3
"""Share of labels that are wrong once labelling has regressed."""

NO_WORD: Final = "~"
"""In the place of a quoted empty cell until lines are bytes."""

ANONYMOUS_OF: Final = 5
"""One basket in so many has no card, where empty cells are quoted."""

TRUTH: Final = "truth.parquet"
SUMMARY: Final = "synthetic.json"


@dataclass(frozen=True)
class Order:
    """What to make.

    Attributes:
        lines: About how many.
        weeks: Over how many weeks they are spread.
        first_week: The first of them, yyyyww.
        households: How many shoppers; None makes BASKETS_PER_HOUSEHOLD baskets for each.
        seed: Of the random numbers.
        drift: One of DRIFTS, or None.
        regress: Whether labels get noisier.
        from_week: Since when, yyyyww; None takes the last quarter.
        fault: One of synthetic_faults.FAULTS, planted at last, or None.
        is_one_file: One file of all weeks instead of one per week.
        is_quoted: Whether empty cells are written in quotes, as in the vendor's files.
    """

    lines: int = 1_000_000
    weeks: int = 52
    first_week: int = FIRST_WEEK
    households: int | None = None
    seed: int = 0
    drift: str | None = None
    regress: bool = False
    from_week: int | None = None
    fault: str | None = None
    is_one_file: bool = False
    is_quoted: bool = False

    @property
    def baskets_per_week(self) -> int:
        """So many, in every week."""
        return max(1, round(self.lines / LINES_PER_BASKET / self.weeks))

    @property
    def shoppers(self) -> int:
        """How many households."""
        return self.households or max(LEAST_HOUSEHOLDS, self.baskets_per_week * self.weeks // BASKETS_PER_HOUSEHOLD)

    @property
    def changes_at(self) -> int:
        """Place of the first week of the new regime; the number of weeks where nothing changes."""
        if self.drift is None and not self.regress:
            return self.weeks
        if self.from_week is None:
            return self.weeks - max(1, self.weeks // 4)
        return week_index(self.from_week) - week_index(self.first_week)

    def regime(self, place: int) -> Regime:
        """How baskets of the week at this place come about."""
        if place < self.changes_at:
            return CALM
        changed = CALM if self.drift is None else DRIFTS[self.drift]
        return replace(changed, label_noise=REGRESSED_NOISE) if self.regress else changed


def synthesize(folder: Path, order: Order) -> dict[str, Any]:
    """Writes transactions*.csv, TRUTH (P(class) of every basket) and SUMMARY.

    Args:
        folder: Where to; made when missing.
        order: What.

    Returns:
        The summary; bayes_accuracy is the expected accuracy of the best possible classifier that sees one basket.

    Raises:
        PipelineError: The folder holds transactions already, or the order makes no sense.
    """
    _check(folder, order)
    shoppers = Households.draw(np.random.default_rng(order.seed), order.shoppers)
    best = np.zeros(order.weeks)
    count = 0
    with ThreadPoolExecutor(WRITERS) as writers, _truth_writer(folder / TRUTH) as known:

        def write(path: Path, places: Sequence[int]) -> list[tuple[int, int, pa.Table]]:
            return list(_write(path, places, order, shoppers))

        for made in writers.map(write, *zip(*_files(folder, order), strict=True)):
            for place, written, posterior in made:
                count += written
                known.write_table(posterior)
                best[place] = np.mean(np.max([posterior[name].to_numpy() for name in CLASSES], axis=0))
    paths = [path for path, _ in _files(folder, order)]
    summary = {
        "files": len(paths),
        "weeks": f"{order.first_week}-{_number(order, order.weeks - 1)}",
        "lines": count,
        "baskets": order.baskets_per_week * order.weeks,
        "households": order.shoppers,
        "bytes": sum(path.stat().st_size for path in paths),
        "bayes_accuracy": round(float(best.mean()), 4),
        **_change(order, best),
    }
    if order.fault is not None:
        summary["fault"] = f"{order.fault}: {FAULTS[order.fault](paths[-1])}"
    (folder / SUMMARY).write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return summary


def _check(folder: Path, order: Order) -> None:
    """Refuses an order that would not give what it says; makes the folder."""
    if order.lines < 1 or order.weeks < 1:
        raise PipelineError(f"{order.lines} lines in {order.weeks} weeks are nothing; ask for at least one of each")
    for option, week in (("--first-week", order.first_week), ("--from-week", order.from_week)):
        if week is not None:
            check_week(option, week)
        if week is not None and week % 100 > WEEKS_PER_YEAR:
            raise PipelineError(f"{option} {week} is no week: synthetic years have {WEEKS_PER_YEAR}")
    if (order.drift or order.regress) and not 0 < order.changes_at < order.weeks:
        raise PipelineError(
            f"nothing can change from week {order.from_week} on: the weeks are {order.first_week} to "
            f"{_number(order, order.weeks - 1)}, and one must come before the change"
        )
    folder.mkdir(parents=True, exist_ok=True)
    there = next(iter(sorted(folder.glob("transactions*"))), None)
    if there is not None:
        raise PipelineError(f"{there} exists; name an empty folder, or files of two orders would be mixed")


def _files(folder: Path, order: Order) -> list[tuple[Path, Sequence[int]]]:
    """Every file and the places of its weeks."""
    if order.is_one_file:
        return [(folder / "transactions.csv", range(order.weeks))]
    return [(folder / f"transactions_{_number(order, place)}.csv", [place]) for place in range(order.weeks)]


def _number(order: Order, place: int) -> int:
    """Week at a place, yyyyww."""
    return week_number(week_index(order.first_week) + place)


def _write(
    path: Path, places: Sequence[int], order: Order, shoppers: Households
) -> Iterator[tuple[int, int, pa.Table]]:
    """Writes one file, whole or not at all; place, number of lines and truth of each of its weeks."""
    part = path.with_suffix(".part")
    with part.open("wb") as sink:
        sink.write((",".join(COLUMN_NAMES) + "\n").encode())
        for place in places:
            drawn = _drawn(order, place, shoppers)
            first = FIRST_BASKET + place * order.baskets_per_week
            weeks = np.full(len(drawn), week_index(order.first_week) + place)
            table = lines(drawn, weeks, first)
            _write_lines(table, sink, is_quoted=order.is_quoted)
            yield place, table.num_rows, truth(drawn, first)
    part.replace(path)


def _write_lines(table: pa.Table, sink: Any, *, is_quoted: bool) -> None:
    """Write lines without their header; quoted, a fifth of them have no card, as in the vendor's files."""
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    if not is_quoted:
        pyarrow.csv.write_csv(table, sink, options)
        return
    anonymous = np.asarray(table.column("BASKET_ID")) % ANONYMOUS_OF == 0
    for name in ("CUST_CODE", "seg_1", "seg_2"):
        words = table.column(name).cast(pa.string())
        filled = pc.if_else(pa.array(anonymous), NO_WORD, pc.fill_null(words, NO_WORD))
        table = table.set_column(table.schema.get_field_index(name), name, filled)
    text = io.BytesIO()
    pyarrow.csv.write_csv(table, text, options)
    sink.write(text.getvalue().replace(NO_WORD.encode(), b'""'))  # Arrow quotes all cells or none


def _drawn(order: Order, place: int, shoppers: Households) -> Baskets:
    rng = np.random.default_rng((order.seed, week_index(order.first_week) + place + SEED_OF_FIRST_WEEK))
    return draw(rng, shoppers, order.baskets_per_week, order.regime(place))


def _change(order: Order, best: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    """What changed and how well one could do before and after; nothing where nothing changed."""
    at = order.changes_at
    if at == order.weeks:
        return {}
    return {
        "changed_from": _number(order, at),
        "bayes_accuracy_before": round(float(best[:at].mean()), 4),
        "bayes_accuracy_after": round(float(best[at:].mean()), 4),
    }


def _truth_writer(path: Path) -> Any:
    fields = [("BASKET_ID", pa.int64()), *((name, pa.float64()) for name in CLASSES)]
    return pyarrow.parquet.ParquetWriter(os.fspath(path), pa.schema(fields))
