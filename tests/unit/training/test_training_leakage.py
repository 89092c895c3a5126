"""Nothing that a model must not know reaches it: neither labels of others' baskets, nor the future, nor the customer."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_contract.features import basket_features
from psm_training.features import features
from psm_training.gold import Gold
from psm_training.ingest import ingest
from psm_training.lake.views import open_lake
from psm_training.models.families import fit_estimator
from psm_training.recipes import (
    V2,
    EstimatorRecipe,
    ForestRecipe,
    HistgbRecipe,
    LogisticRecipe,
    TreeRecipe,
    XgboostRecipe,
)
from psm_training.split import TRAIN, UNUSED, part_sql, split
from psm_training.synthetic import generate
from psm_training.tables import cross_fitted_features, fit_tables
from psm_training.windows import Windows
from psm_training.workspace import Workspace

SMALL: tuple[EstimatorRecipe, ...] = (
    LogisticRecipe(),
    TreeRecipe(),
    ForestRecipe(trees=30),
    XgboostRecipe(rounds=30),
    HistgbRecipe(rounds=30),
)


@pytest.fixture(scope="module")
def shuffled() -> tuple[Gold, Gold]:
    """Training and test baskets of different households whose labels were dealt out anew; two thirds are MM."""
    gold = generate(baskets=8000, households=600).gold
    rng = np.random.default_rng(3)
    label = rng.choice(np.array([0, 1, 2], dtype=np.int8), size=len(gold), p=[0.17, 0.66, 0.17])
    gold = replace(gold, label=label)
    held_out = gold.household % 4 == 0
    return gold.take(~held_out), gold.take(held_out)


@pytest.mark.parametrize("recipe", SMALL, ids=lambda recipe: recipe.family)
def test_labels_that_mean_nothing_teach_nothing(shuffled: tuple[Gold, Gold], recipe: EstimatorRecipe) -> None:
    """The majority class is the best that is left: more would be a leak into the test, less one into training.

    An estimator that was fitted on features which saw the baskets' own labels trusts them and falls below.
    """
    train, test = shuffled
    tables = fit_tables(train, V2.tables)
    matrix = basket_features(test.lines, tables)
    majority = float((test.label == 1).mean())
    noise = np.sqrt(majority * (1 - majority) / len(test))

    honest = fit_estimator(recipe, cross_fitted_features(train, tables, V2.tables), train.label, seed=0)
    assert float((honest.predict(matrix) == test.label).mean()) == pytest.approx(majority, abs=3 * noise)


def test_a_leak_would_be_seen(shuffled: tuple[Gold, Gold]) -> None:
    """The guard itself: tables fitted on the very baskets they describe make nonsense look learnable."""
    train, _ = shuffled
    tables = fit_tables(train, V2.tables)
    leaking = basket_features(train.lines, tables)
    estimator = fit_estimator(ForestRecipe(trees=30), leaking, train.label, seed=0)
    majority = float((train.label == 1).mean())
    assert float((estimator.predict(leaking) == train.label).mean()) > majority + 0.1


@pytest.fixture(scope="module")
def silver(synthetic_gold: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third of the synthetic lines, as a CSV file."""
    path = tmp_path_factory.mktemp("silver") / "transactions.csv"
    with open_lake(synthetic_gold) as database:
        database.execute(f"COPY (FROM silver WHERE BASKET_ID % 3 = 0 ORDER BY ALL) TO '{path}' (HEADER)")
    return path


def _learned(folder: Path, silver: Path, later: str) -> tuple[bytes, bytes]:
    """Tables and training matrix after the columns of every line after training were replaced."""
    (folder / "files").mkdir(parents=True)
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT * REPLACE ({later}) FROM read_csv('{silver}', all_varchar = true)) "  # noqa: S608  # our own
            f"TO '{folder}/files/transactions_1.csv' (HEADER)"
        )
    space = Workspace(folder)
    ingest(space, "source-files", str(folder / "files"))
    split(space)
    features(space, V2)
    with np.load(space.of(V2.name).features) as stored:
        return space.of(V2.name).tables.read_bytes(), stored[TRAIN].tobytes()


def test_the_future_never_touches_the_features(tmp_path: Path, silver: Path) -> None:
    """Other prices, products and labels after the last training week: every learned number stays, to the bit.

    One line of the training weeks changed changes them: the comparison is not blind.
    """
    is_later = "CAST(SHOP_WEEK AS INTEGER) > 200836"  # 52 weeks: six validate, ten test
    as_it_is = _learned(tmp_path / "as it is", silver, "SPEND AS SPEND")
    future = (
        f"CASE WHEN {is_later} THEN CAST(round(CAST(SPEND AS DOUBLE) * 3, 2) AS VARCHAR) ELSE SPEND END AS SPEND, "
        f"CASE WHEN {is_later} THEN 'PRD9' || right(PROD_CODE, 6) ELSE PROD_CODE END AS PROD_CODE, "
        f"CASE WHEN {is_later} AND BASKET_PRICE_SENSITIVITY = 'LA' THEN 'UM' ELSE BASKET_PRICE_SENSITIVITY END "
        "AS BASKET_PRICE_SENSITIVITY"
    )
    assert _learned(tmp_path / "another future", silver, future) == as_it_is
    past = f"CASE WHEN NOT {is_later} AND SHOP_HOUR = '10' THEN '999.0' ELSE SPEND END AS SPEND"
    assert _learned(tmp_path / "another past", silver, past)[0] != as_it_is[0]


@given(
    household=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20),
    weeks=st.lists(st.builds(lambda year, week: year * 100 + week, st.integers(2000, 2030), st.integers(1, 53))),
    ends=st.sets(st.integers(200001, 203053), min_size=5, max_size=5),
)
def test_a_customer_is_never_in_two_splits(household: str, weeks: list[int], ends: set[int]) -> None:
    """Whatever the code and the weeks: one side, and the side's weeks only."""
    windows = Windows(*sorted(ends))
    with duckdb.connect() as database:
        part = part_sql("$household", "week", windows)
        rows = database.execute(
            f"SELECT week, {part} FROM (SELECT unnest(CAST($weeks AS INTEGER[])) AS week)",  # noqa: S608  # our own
            {"household": household, "weeks": weeks},
        ).fetchall()
    assert len({part for _, part in rows} - {UNUSED}) <= 1
    assert all(part in (windows.role(week), UNUSED) for week, part in rows)
