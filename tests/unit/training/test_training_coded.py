"""Lines as numbers, and the shortcuts of raw -> silver -> gold: each gives what the plain way gives."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_contract import cells
from psm_contract.physical import BLANK, QUOTES
from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.lake import expressions
from psm_training.lake.batches import Batch, batches
from psm_training.lake.coded import coded, keys, sorted_rows
from psm_training.lake.held import SCHEMA, HeldLines
from psm_training.lake.place import lake_of, raw_weeks
from psm_training.lake.schema import GOLD_COLUMNS, GOLD_ORDER
from psm_training.lake.views import open_lake
from psm_training.sources import csv_lines
from psm_training.sources.raw_files import Staged
from psm_training.split import split
from psm_training.synthetic_files import Order, synthesize
from psm_training.windows import Windows
from psm_training.workspace import Workspace

words = st.one_of(st.none(), st.text("abÄ€", max_size=3))
numbers = st.one_of(st.none(), st.integers(-(2**63) + 1, 2**63 - 1), st.integers(0, 3))
prices = st.floats(0.001, 1e6)


@given(st.lists(st.tuples(words, numbers, prices), min_size=1, max_size=40))
def test_numbers_sort_as_what_they_stand_for(rows: list[tuple[str | None, int | None, float]]) -> None:
    """Null first, texts by their bytes, and back again they are what they were."""
    text, number, price = (list(column) for column in zip(*rows, strict=True))
    half = len(rows) // 2
    table = pa.concat_tables(
        pa.table(
            {
                "text": pa.array(text[part], pa.string()).dictionary_encode(),
                "number": pa.array(number[part], pa.int64()),
                "price": pa.array(price[part], pa.float64()),
            }
        )
        for part in (slice(0, half), slice(half, None))
    )
    found = coded(table)
    order, same = sorted_rows(found, ["text", "number", "price"])
    wanted = sorted(rows, key=_nulls_first)
    taken = found.take(order)
    columns = [taken.column(name, 0, len(rows)).to_pylist() for name in ("text", "number", "price")]
    assert list(zip(*columns, strict=True)) == wanted
    assert same.tolist() == [False, *(one == other for one, other in pairwise(wanted))]


def _nulls_first(row: tuple[str | None, int | None, float]) -> tuple[Any, ...]:
    text, number, price = row
    return (text is not None, (text or "").encode(), number is not None, number or 0, price)


@given(st.lists(st.tuples(*[st.integers(-(2**62), 2**62)] * 3, st.integers(0, 5)), min_size=1, max_size=30))
def test_packed_keys_compare_as_the_columns_in_turn(rows: list[tuple[int, ...]]) -> None:
    """However wide the columns are."""
    packed = keys([np.array(column) for column in zip(*rows, strict=True)])
    together = list(zip(*(key.tolist() for key in packed), strict=True))
    places = range(len(rows))
    assert sorted(places, key=lambda at: rows[at]) == sorted(places, key=lambda at: together[at])


def line(**change: Any) -> str:
    """A line of a CSV file."""
    values = {column.name: {"integer": "7", "number": "1.5", "text": "A"}[column.kind] for column in COLUMNS} | change
    return ",".join(str(values[name]) for name in COLUMN_NAMES)


def staged(folder: Path, *lines: str, end: str = "\n") -> Staged:
    path = folder / "raw.csv"
    path.write_bytes(end.join([",".join(COLUMN_NAMES), *lines, ""]).encode(errors="surrogateescape"))
    return Staged("raw.csv", path, "", tuple(COLUMN_NAMES), len(lines))


NUMBERS = ["5", " 5", "5 ", "+5", "-5", "007", "-0", "0x10", "1e3", "5.0", "5.", ".5", "1_000", "nan", "inf", "", "x",
           "9223372036854775807", "9223372036854775808", "1e400", "0.1", "1E-7", '"1,5"', "NaN", "NULL", "null", " nan ",
           "\uff19", "0X1", "--1", "1 2", "-9223372036854775808", "1.50", "7.000"]  # fmt: skip
TEXTS = ['"A"', '"A,B"', '""', '"A""B"', "NA", "null", " A ", "Ä", "A\tB", "\tA", "x" * 64, "x" * 65, "\x7f", "Top  Up"]
READ = {"QUANTITY": cells.integer, "SPEND": cells.number, "PROD_CODE": cells.text}


@pytest.mark.parametrize("column", READ)
@pytest.mark.parametrize("value", [*NUMBERS, *TEXTS])
@pytest.mark.parametrize("other", ["7.0", "7"], ids=["beside a word for a number", "beside numbers"])
def test_a_cell_is_what_the_grammar_says(tmp_path: Path, column: str, value: str, other: str) -> None:
    """Whether Arrow read the column, or each word was looked at, which one odd cell of a block brings about."""
    source = staged(tmp_path, line(), line(**{column: value}), line(SHOP_HOUR=other))
    plain = value[1:-1].replace('""', '"') if value.startswith('"') else value
    (block,) = csv_lines.blocks(source)
    read = block.rows.column(column).to_pylist()
    if block.faults:
        with pytest.raises(cells.CellError) as caught:
            READ[column](plain)
        assert block.faults == {3: f"{column} {caught.value}"}
        assert len(read) == 2
    else:
        assert repr(read[1]) == repr(READ[column](plain))


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ([line(), "", line()], {3: "is blank"}),
        ([line(), "a,b"], {3: "has 2 cells, the header names 22"}),
        ([line() + ",1", line()], {2: "has 23 cells, the header names 22"}),
        ([line(), line(PROD_CODE='"A\nB"')], {3: QUOTES, 4: QUOTES}),
        ([line(PROD_CODE='"A'), line(), line()], {2: QUOTES}),
        ([line(PROD_CODE='A"'), line(PROD_CODE='B"')], {2: QUOTES, 3: QUOTES}),
        ([line(), line() + "\r"], {4: "is blank"}),
        ([line(), line(PROD_CODE="\udcff")], {3: "is not UTF-8"}),
    ],
    ids=["a blank line", "too few columns", "too many", "a line break in quotes", "a stray quote", "two of them",
         "a line end more", "another encoding"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_that_is_none_is_named_by_its_number(
    tmp_path: Path, lines: list[str], faults: dict[int, str], end: str
) -> None:
    """As an editor counts, whatever ends the lines; the others are read."""
    text = end.join([*lines, ""]).replace("\r\n", "\n").replace("\r", "\n")
    if "" not in text.split("\n")[:-1]:
        faults = {number: reason for number, reason in faults.items() if reason != BLANK}
    found = list(csv_lines.blocks(staged(tmp_path, *lines, end=end)))
    named = {number: reason for block in found for number, reason in block.faults.items()}
    assert named == faults
    read = [number for block in found for number in block.numbers.tolist()]
    assert sorted([*named, *read]) == list(range(2, 2 + text.count("\n")))


def test_blocks_meet_between_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is lost, twice or torn, whatever the size of a block."""
    source = staged(tmp_path, *[line(BASKET_ID=number) for number in range(500)])
    for size in (150, 151, 999, 1 << 20):
        monkeypatch.setattr("psm_training.sources.csv_lines.BLOCK_BYTES", size)
        found = list(csv_lines.blocks(source))
        assert [basket for block in found for basket in block.rows.column("BASKET_ID").to_pylist()] == list(range(500))
        assert [number for block in found for number in block.numbers.tolist()] == list(range(2, 502))


def lines_of(*rows: tuple[int, str, int]) -> pa.Table:
    """Lines by week, region and basket."""
    filled: dict[str, list[Any]] = {"integer": [7] * len(rows), "number": [1.5] * len(rows), "text": ["A"] * len(rows)}
    columns: dict[str, list[Any]] = {column.name: filled[column.kind] for column in COLUMNS}
    week, region, basket = (list(column) for column in zip(*rows, strict=True))
    columns |= {"SHOP_WEEK": week, "STORE_REGION": region, "BASKET_ID": basket}
    return pa.table(
        {
            field.name: pa.array(columns[field.name], pa.string()).dictionary_encode()
            if pa.types.is_dictionary(field.type)
            else pa.array(columns[field.name], field.type)
            for field in SCHEMA
        }
    )


@pytest.mark.parametrize("limit", [0, 2**30], ids=["on the disk", "in memory"])
def test_lines_wait_on_the_disk_as_in_memory(tmp_path: Path, limit: int) -> None:
    """Each piece with words of its own; a batch gets its weeks and regions and no others."""
    held = HeldLines(tmp_path / "held", limit)
    held.add(lines_of((200801, "E", 1), (200802, "N", 2)))
    held.add(lines_of((200802, "E", 3), (200801, "E", 4), (200803, "S", 5)))
    held.add(lines_of((200801, "E", 6)).slice(0, 0))
    assert held.partitions == {(200801, "E"): 2, (200802, "N"): 1, (200802, "E"): 1, (200803, "S"): 1}
    assert len(list((tmp_path / "held").glob("*"))) == (2 if limit == 0 else 0)

    def baskets(batch: Batch) -> list[int]:
        return [int(basket) for basket in held.of(batch).column("BASKET_ID").to_pylist()]

    assert baskets(Batch(200801, 200802)) == [1, 2, 3, 4]
    assert baskets(Batch(200802, 200802, ("E",))) == [3]
    assert baskets(Batch(200804, 200809)) == []


def test_a_file_larger_than_memory_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By way of the disk, in blocks and batches of another size."""
    synthesize(tmp_path / "till", Order(lines=8_000, weeks=4, is_one_file=True))
    made = []
    for name in ("memory", "disk"):
        space = Workspace(tmp_path / name)
        ingest(space, "source-files", tmp_path / "till")
        made.append([week.digest for week in lake_of(space).silver.weeks().values()])
        monkeypatch.setattr("psm_training.lake.held.HELD_BYTES", 0)
        monkeypatch.setattr("psm_training.sources.csv_lines.BLOCK_BYTES", 10_000)
        monkeypatch.setattr(batches, "__defaults__", (3_000,))
    assert made[0] == made[1]


def test_copies_are_counted_once_and_too_many_leave_nothing_behind(tmp_path: Path) -> None:
    """Also those that differ from their neighbours in a column that is not sorted by at first."""
    till = tmp_path / "till"
    synthesize(till, Order(lines=2_000, weeks=1))
    (path,) = till.glob("transactions*.csv")
    header, *rows = path.read_text().splitlines(keepends=True)
    rows = list(dict.fromkeys(rows))
    cells = rows[9].split(",")
    at = header.split(",").index("SHOP_HOUR")
    other = ",".join([*cells[:at], str((int(cells[at]) + 1) % 24), *cells[at + 1 :]])
    path.write_text(header + "".join([*rows, rows[5], rows[5], other, rows[9]]))
    space = Workspace(tmp_path / "few")
    ingest(space, "source-files", till)
    (week,) = raw_weeks(space)
    assert week["duplicates"] == 3
    assert week["rows"] == len(rows) + 1
    path.write_text(header + "".join([*rows, *rows[: len(rows) // 10]]))
    with pytest.raises(PipelineError, match=r"lines are copies of others, allowed is 2%"):
        ingest(Workspace(tmp_path / "many"), "source-files", till)
    assert not list((tmp_path / "many").rglob("*.parquet"))


def test_gold_is_what_the_expression_says(tmp_path: Path) -> None:
    """Column by column and list by list, also of lines without card, hour, class or department."""
    till = tmp_path / "till"
    synthesize(till, Order(lines=6_000, weeks=52))
    for path in till.glob("transactions*.csv"):
        header, *rows = path.read_text().splitlines()
        names = header.split(",")
        for number, name in enumerate(("CUST_CODE", "SHOP_HOUR", "BASKET_PRICE_SENSITIVITY", "PROD_CODE_30")):
            at = names.index(name)
            for place in range(number, len(rows), 9):
                cells = rows[place].split(",")
                rows[place] = ",".join([*cells[:at], "", *cells[at + 1 :]])
        path.write_text("\n".join([header, *rows, ""]))
    space = Workspace(tmp_path / "out")
    ingest(space, "source-files", till)
    split(space)
    statement = expressions.sql(expressions.baskets(expressions.silver(), Windows.of(lake_of(space).silver.weeks())))
    order = f"ORDER BY {', '.join(GOLD_ORDER)}"
    with open_lake(space) as database:
        wanted = database.execute(f"FROM ({statement}) {order}").fetchall()
        columns = ", ".join(GOLD_COLUMNS)
        found = database.execute(f"SELECT {columns} FROM gold {order}").fetchall()  # noqa: S608  # our own names
    assert len(found) > 500
    assert found == wanted


def test_a_silver_file_that_was_changed_makes_no_gold(tmp_path: Path) -> None:
    """Its manifest says what it was."""
    space = Workspace(tmp_path / "out")
    ingest(space, "synthetic")
    table = lake_of(space).silver
    file = next(iter(table.weeks().values())).files[0]
    path = Path(table.storage.path(file.name))
    path.write_bytes(path.read_bytes() + b"?")
    with pytest.raises(PipelineError, match=r"its manifest says"):
        split(space)
