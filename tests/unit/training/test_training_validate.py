"""Data validation: each check passes on good data and fails on data broken for it."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.validate import run_checks, validate
from psm_training.workspace import Workspace


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Synthetic silver."""
    space = Workspace(tmp_path_factory.mktemp("validate"))
    ingest(space, "synthetic")
    return space


@pytest.fixture
def database(space: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of it that a test may break."""
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE silver AS FROM '{space.silver}'")
        yield database


def test_good_data_passes_and_the_verdict_is_written(space: Workspace) -> None:
    """One line for the user, all checks in the file."""
    assert validate(space) == "11 checks passed"
    document = json.loads(space.validation.read_text())
    assert document["verdict"] == "passed"
    assert all(check["passed"] for check in document["checks"])


@pytest.mark.parametrize(
    ("breakage", "check", "message"),
    [
        ("ALTER TABLE silver DROP COLUMN STORE_FORMAT", "columns", "missing: STORE_FORMAT"),
        ("DELETE FROM silver WHERE BASKET_ID % 10 > 0", "volume", "needed are 10000, 2000, 100"),
        ("UPDATE silver SET PROD_CODE = NULL WHERE SHOP_HOUR = 9", "nulls", "PROD_CODE"),
        ("UPDATE silver SET SHOP_WEEKDAY = 0 WHERE SHOP_WEEKDAY = 7", "ranges", "SHOP_WEEKDAY outside 1-7"),
        ("UPDATE silver SET SPEND = -1 WHERE SHOP_HOUR = 9", "ranges", "SPEND outside"),
        ("UPDATE silver SET SHOP_WEEK = 200860 WHERE SHOP_WEEK = 200852", "ranges", "SHOP_WEEK % 100 outside 1-53"),
        ("UPDATE silver SET BASKET_SIZE = 'XXL' WHERE BASKET_SIZE = 'L'", "words", r"BASKET_SIZE has \['XXL'\]"),
        ("UPDATE silver SET CUST_CODE = PROD_CODE", "baskets", "CUST_CODE in"),
        ("UPDATE silver SET PROD_CODE_10 = BASKET_SIZE", "hierarchy", "in more than one PROD_CODE_10"),
        ("INSERT INTO silver FROM silver WHERE SHOP_HOUR < 12", "duplicates", "of lines are copies"),
        ("DELETE FROM silver WHERE SHOP_WEEK = 200810", "weeks", "51 weeks between 200801 and 200852"),
        ("UPDATE silver SET BASKET_PRICE_SENSITIVITY = 'XX' WHERE SHOP_WEEKDAY < 6", "label coverage", "are labelled"),
        ("UPDATE silver SET BASKET_PRICE_SENSITIVITY = 'MM' WHERE BASKET_PRICE_SENSITIVITY = 'UM'", "class balance", "UM 0.0%"),
    ],
    ids=[
        "a column is missing", "too few lines", "a needed value is null", "weekday 0", "negative spend", "week 60",
        "an unknown word", "two customers in a basket", "a product that moves", "copied lines", "a missing week",
        "too few labels", "a class is gone",
    ],
)  # fmt: skip
def test_broken_data_fails_the_check_that_looks_for_it(
    database: duckdb.DuckDBPyConnection, breakage: str, check: str, message: str
) -> None:
    """By name, with what was seen in the message."""
    database.execute(breakage)
    failed = {found.name: found.message for found in run_checks(database) if not found.passed}
    assert check in failed
    assert re.search(message, failed[check])


def test_a_failure_stops_the_pipeline_and_is_written(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The verdict is there for whoever goes on all the same."""
    space = Workspace(tmp_path)
    database.execute(f"COPY (FROM silver WHERE BASKET_ID % 10 = 0) TO '{space.silver}' (FORMAT parquet)")
    with pytest.raises(PipelineError, match="data validation failed: volume"):
        validate(space)
    assert json.loads(space.validation.read_text())["verdict"] == "failed"


def test_a_step_without_its_input_says_what_to_run(tmp_path: Path) -> None:
    """The message is the remedy."""
    with pytest.raises(PipelineError, match="run `psm-train ingest` first"):
        validate(Workspace(tmp_path))
