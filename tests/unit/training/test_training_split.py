"""The split: by household and week, and it proves itself."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_spaces import copied

from psm_training.errors import PipelineError
from psm_training.features import labelled_parts
from psm_training.lake.place import lake_of
from psm_training.load import load_gold
from psm_training.recipes import TableRecipe
from psm_training.split import TEST, TRAIN, UNUSED, VALID, _prove_apart, part_sql, split
from psm_training.tables import fit_tables
from psm_training.windows import SplitOptions, Windows
from psm_training.workspace import Workspace


@pytest.fixture(scope="module")
def space(synthetic_gold: Workspace) -> Workspace:
    """Synthetic silver, split."""
    return synthetic_gold


TWO_YEARS = Windows(201735, 201736, 201741, 201742, 201753)


@pytest.fixture(scope="module")
def placed() -> Iterator[duckdb.DuckDBPyConnection]:
    """Table `placed`: the part of 2,000 households in every week of two years."""
    with duckdb.connect() as database:
        part = part_sql("household", "week", TWO_YEARS)
        database.execute(
            f"CREATE TABLE placed AS SELECT *, {part} AS part FROM "  # noqa: S608  # our own expression
            "(SELECT 'CUST' || range AS household FROM range(2000)) CROSS JOIN "
            "(SELECT year * 100 + range AS week FROM range(1, 54), (VALUES (2016), (2017)) t(year))"
        )
        yield database


def test_a_household_never_changes_sides(placed: duckdb.DuckDBPyConnection) -> None:
    """Whatever the week and the year, a household trains or is tested, never both."""
    query = "SELECT household FROM placed WHERE part <> $unused GROUP BY household HAVING count(DISTINCT part) > 1"
    assert placed.execute(query, {"unused": UNUSED}).fetchall() == []


def test_training_is_before_testing(placed: duckdb.DuckDBPyConnection) -> None:
    """Training, validation and test follow one another in time, whatever the year."""
    query = "SELECT part, min(week), max(week) FROM placed WHERE part <> $unused GROUP BY part"
    weeks = {part: (first, last) for part, first, last in placed.execute(query, {"unused": UNUSED}).fetchall()}
    assert weeks == {TRAIN: (201601, 201735), VALID: (201736, 201741), TEST: (201742, 201753)}


def test_the_sides_have_the_shares_they_say(placed: duckdb.DuckDBPyConnection) -> None:
    """68 % of households train, 8 % validate, 24 % test, within what chance allows for 2,000."""
    query = "SELECT part, count(DISTINCT household) / 2000 FROM placed WHERE part <> $unused GROUP BY part"
    shares = dict(placed.execute(query, {"unused": UNUSED}).fetchall())
    assert shares == pytest.approx({TRAIN: 0.68, VALID: 0.08, TEST: 0.24}, abs=0.04)


def test_no_household_and_no_week_is_on_both_sides(space: Workspace) -> None:
    """Of the real files, not of the expression."""
    parts = labelled_parts(space)
    assert not set(parts[TRAIN].household) & (set(parts[VALID].household) | set(parts[TEST].household))
    assert parts[TRAIN].week.max() < parts[VALID].week.min() <= parts[VALID].week.max() < parts[TEST].week.min()


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
        (
            [("a", 201745, "train"), ("b", 201744, "test")],
            "training reaches week 201745, testing starts in week 201744",
        ),
        (
            [("a", 200801, "train"), ("b", 200752, "test")],
            "training reaches week 200801, testing starts in week 200752",
        ),
        (
            [("a", 200701, "train"), ("b", 200652, "valid")],
            "training reaches week 200701, validation starts in week 200652",
        ),
        (
            [("a", 200701, "valid"), ("b", 200652, "test")],
            "validation reaches week 200701, testing starts in week 200652",
        ),
    ],
    ids=[
        "a household on both sides",
        "training in the future",
        "training in the next year",
        "validation in the past",
        "validation after the test",
    ],
)
def test_a_leak_is_refused(rows: list[tuple[str, int, str]], message: str) -> None:
    """The guard itself, on a split made wrong on purpose."""
    with duckdb.connect() as database:
        database.execute("CREATE TABLE gold (household VARCHAR, SHOP_WEEK INTEGER, part VARCHAR)")
        database.executemany("INSERT INTO gold VALUES (?, ?, ?)", rows)
        with pytest.raises(PipelineError, match=message):
            _prove_apart(database)


def test_data_without_later_weeks_is_refused(tmp_path: Path, space: Workspace) -> None:
    """Nothing to test on: the message says what is there and what to do."""
    early = copied(space, tmp_path)
    silver = lake_of(early).silver
    silver.drop([week for week in silver.weeks() if week % 100 > 2])
    with pytest.raises(PipelineError, match=r"holds 200801-200802, 2 weeks; .* leave none to train on"):
        split(early)


@given(
    weeks=st.sets(
        st.builds(lambda year, week: year * 100 + week, st.integers(2000, 2030), st.integers(1, 53)), max_size=130
    ),
    options=st.builds(
        SplitOptions,
        st.none() | st.integers(1, 30),
        st.none() | st.integers(1, 30),
        st.none() | st.integers(200001, 203053),
    ),
)
def test_windows_never_overlap_and_the_last_weeks_are_the_test(weeks: set[int], options: SplitOptions) -> None:
    """Whatever weeks there are and whatever was asked: windows in the order of time, or a refusal."""
    try:
        windows = Windows.of(weeks, options)
    except PipelineError:
        return
    by_role: dict[str, list[int]] = {name: [] for name in (TRAIN, VALID, TEST, UNUSED)}
    for week in sorted(weeks):
        by_role[windows.role(week)].append(week)
    assert by_role[TRAIN][-1] < by_role[VALID][0] <= by_role[VALID][-1] < by_role[TEST][0]
    assert by_role[TEST][-1] == max(weeks)
    for name, asked in ((TEST, options.test_weeks), (VALID, options.valid_weeks)):
        assert asked is None or len(by_role[name]) == asked
    assert by_role[TRAIN][-1] <= windows.train_until
    assert options.train_until is None or windows.train_until == options.train_until


def test_two_years_are_not_one(space: Workspace) -> None:
    """The vendor's 117 weeks: the default tests on the last twelve weeks of 2008 and trains on everything before."""
    del space
    weeks = [year * 100 + week for year in (2006, 2007, 2008) for week in range(1, 53)][6:-12]
    assert Windows.of(weeks) == Windows(200822, 200823, 200828, 200829, 200840)


def test_a_split_by_other_weeks_than_those_fitted_is_refused(tmp_path: Path, space: Workspace) -> None:
    """Silver of this source knows which baskets are the test; the same options again are no others."""
    late = copied(space, tmp_path)
    with pytest.raises(PipelineError, match="run `psm-train ingest` with the same --test-weeks"):
        split(late, SplitOptions(test_weeks=4))
    assert split(late, SplitOptions()) == split(space)
