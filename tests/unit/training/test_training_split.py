"""The split: by household and week, and it proves itself."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from training_spaces import copied

from psm_training.errors import PipelineError
from psm_training.features import labelled_parts
from psm_training.lake.place import lake_of
from psm_training.load import load_gold
from psm_training.recipes import TableRecipe
from psm_training.split import TEST, TRAIN, UNUSED, VALID, _prove_apart, part_sql, split
from psm_training.tables import fit_tables
from psm_training.workspace import Workspace


@pytest.fixture(scope="module")
def space(synthetic_gold: Workspace) -> Workspace:
    """Synthetic silver, split."""
    return synthetic_gold


@pytest.fixture(scope="module")
def placed() -> Iterator[duckdb.DuckDBPyConnection]:
    """Table `placed`: the part of 2,000 households in every week of two years."""
    with duckdb.connect() as database:
        part = part_sql("household", "week")
        database.execute(
            f"CREATE TABLE placed AS SELECT *, {part} AS part FROM "  # noqa: S608  # our own expression
            "(SELECT 'CUST' || range AS household FROM range(2000)) CROSS JOIN "
            "(SELECT year * 100 + range AS week FROM range(1, 54), (VALUES (2006), (2017)) t(year))"
        )
        yield database


def test_a_household_never_changes_sides(placed: duckdb.DuckDBPyConnection) -> None:
    """Whatever the week and the year, a household trains or is tested, never both."""
    query = "SELECT household FROM placed WHERE part <> $unused GROUP BY household HAVING count(DISTINCT part) > 1"
    assert placed.execute(query, {"unused": UNUSED}).fetchall() == []


def test_training_is_before_testing(placed: duckdb.DuckDBPyConnection) -> None:
    """Training ends in week 38, testing starts in week 42, in every year."""
    query = "SELECT part, min(week % 100), max(week % 100) FROM placed WHERE part <> $unused GROUP BY part"
    weeks = {part: (first, last) for part, first, last in placed.execute(query, {"unused": UNUSED}).fetchall()}
    assert weeks == {TRAIN: (1, 38), VALID: (42, 53), TEST: (42, 53)}


def test_the_sides_have_the_shares_they_say(placed: duckdb.DuckDBPyConnection) -> None:
    """68 % of households train, 8 % validate, 24 % test, within what chance allows for 2,000."""
    query = "SELECT part, count(DISTINCT household) / 2000 FROM placed WHERE part <> $unused GROUP BY part"
    shares = dict(placed.execute(query, {"unused": UNUSED}).fetchall())
    assert shares == pytest.approx({TRAIN: 0.68, VALID: 0.08, TEST: 0.24}, abs=0.04)


def test_no_household_and_no_week_is_on_both_sides(space: Workspace) -> None:
    """Of the real files, not of the expression."""
    parts = labelled_parts(space)
    assert not set(parts[TRAIN].household) & (set(parts[VALID].household) | set(parts[TEST].household))
    assert parts[TRAIN].week.max() < min(parts[VALID].week.min(), parts[TEST].week.min())


def test_the_tables_know_nothing_of_future_weeks(space: Workspace) -> None:
    """Tables learned after every later or foreign basket is erased are the same tables."""
    gold, part = load_gold(space)
    labelled = gold.label >= 0
    train = labelled_parts(space)[TRAIN]
    erased = gold.take(labelled & (part == TRAIN))
    one, other = fit_tables(train, TableRecipe()), fit_tables(erased, TableRecipe())
    assert one.to_npz() == other.to_npz()
    assert set(np.unique(train.week)) == set(np.unique(gold.week[part == TRAIN]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", 201701, "train"), ("a", 201745, "test")], "household a is in two parts"),
        ([("a", 201745, "train"), ("b", 201744, "test")], "training reaches week 45, testing starts in week 44"),
    ],
    ids=["a household on both sides", "training in the future"],
)
def test_a_leak_is_refused(rows: list[tuple[str, int, str]], message: str) -> None:
    """The guard itself, on a split made wrong on purpose."""
    with duckdb.connect() as database:
        database.execute("CREATE TABLE gold (household VARCHAR, SHOP_WEEK INTEGER, part VARCHAR)")
        database.executemany("INSERT INTO gold VALUES (?, ?, ?)", rows)
        with pytest.raises(PipelineError, match=message):
            _prove_apart(database)


def test_data_without_later_weeks_is_refused(tmp_path: Path, space: Workspace) -> None:
    """Nothing to test on: the message says which weeks are needed."""
    early = copied(space, tmp_path)
    silver = lake_of(early).silver
    silver.drop([week for week in silver.weeks() if week % 100 >= 40])
    with pytest.raises(PipelineError, match="no labelled basket is in valid; training needs weeks 1-38"):
        split(early)
