"""The split: by household and week, and it proves itself."""

from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psm_training.errors import PipelineError
from psm_training.features import labelled_parts
from psm_training.ingest import ingest
from psm_training.load import load_gold
from psm_training.recipes import TableRecipe
from psm_training.split import TEST, TRAIN, UNUSED, VALID, _prove_apart, part_sql, split
from psm_training.tables import fit_tables
from psm_training.workspace import Workspace

HOUSEHOLDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Synthetic silver, split."""
    space = Workspace(tmp_path_factory.mktemp("split"))
    ingest(space, "synthetic")
    split(space)
    return space


def _part(household: str, week: int) -> str:
    query = f"SELECT {part_sql('$household', '$week')}"
    with duckdb.connect() as database:
        row = database.execute(query, {"household": household, "week": week}).fetchone()
    assert row is not None
    return str(row[0])


@given(HOUSEHOLDS, st.integers(1, 53), st.integers(1, 53))
@settings(max_examples=100, deadline=None)
def test_a_household_never_changes_sides(household: str, one: int, other: int) -> None:
    """Whatever the weeks, a household trains or is tested, never both."""
    parts = {_part(household, 201700 + one), _part(household, 201700 + other)} - {UNUSED}
    assert len(parts) <= 1


@given(HOUSEHOLDS, st.integers(1, 53))
@settings(max_examples=100, deadline=None)
def test_training_is_before_testing(household: str, week: int) -> None:
    """Training ends in week 38, testing starts in week 42, whatever the year."""
    part = _part(household, 201700 + week)
    assert part == _part(household, 200600 + week)
    if part == TRAIN:
        assert week <= 38
    if part in {VALID, TEST}:
        assert week >= 42


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
        database.execute("CREATE TABLE basket (household VARCHAR, week INTEGER, part VARCHAR)")
        database.executemany("INSERT INTO basket VALUES (?, ?, ?)", rows)
        with pytest.raises(PipelineError, match=message):
            _prove_apart(database)


def test_data_without_later_weeks_is_refused(tmp_path: Path, space: Workspace) -> None:
    """Nothing to test on: the message says which weeks are needed."""
    early = Workspace(tmp_path)
    with duckdb.connect() as database:
        database.execute(
            f"COPY (FROM '{space.silver}' WHERE SHOP_WEEK % 100 < 40) TO '{early.silver}' (FORMAT parquet)"
        )
    with pytest.raises(PipelineError, match="no labelled basket is in valid; training needs weeks 1-38"):
        split(early)
