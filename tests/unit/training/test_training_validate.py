"""Data validation: each suite passes on good data and fails on data broken for it; nothing leaves the workspace."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import duckdb
import pytest
from training_spaces import copied

from psm_training.errors import PipelineError
from psm_training.lake.place import lake_at, lake_of, raw_weeks
from psm_training.lake.silver import write_silver
from psm_training.lake.views import open_lake
from psm_training.split import split
from psm_training.validation.judge import Judge
from psm_training.validation.step import DOCS, Validation, load_raw, run_checks, validate
from psm_training.validation.suite import Table
from psm_training.validation.verdict import Check, failures
from psm_training.workspace import Workspace, write_json

LAYERS = ("raw", "silver", "gold")


@pytest.fixture(scope="module")
def space(synthetic_gold: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Synthetic silver and gold."""
    return copied(synthetic_gold, tmp_path_factory.mktemp("validate"))


@pytest.fixture(scope="module")
def tables(space: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """The layers as tables."""
    with open_lake(space) as database:
        for name in ("silver", "gold"):
            database.execute(
                f"CREATE TABLE copied AS FROM {name}; DROP VIEW {name}; ALTER TABLE copied RENAME TO {name}"
            )
        load_raw(database, raw_weeks(space))
        yield database


@pytest.fixture
def database(tables: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables that a test may break."""
    tables.begin()
    yield tables
    tables.rollback()


def test_good_data_passes_and_verdict_and_docs_are_written(space: Workspace) -> None:
    """One line for the user, all checks in the file, a page per suite."""
    assert re.fullmatch(r"\d+ checks of raw, silver, gold passed", validate(space))
    document = json.loads(space.validation.read_text())
    assert document["verdict"] == "passed"
    assert all(check["passed"] for check in document["checks"])
    assert {check["name"].partition(" ")[0] for check in document["checks"]} == set(LAYERS)
    pages = [path for path in (space.root / DOCS / "validations").rglob("*.html") if "silver weeks" in str(path)]
    assert pages
    assert "no line has QUANTITY outside 1-10000" in pages[0].read_text()
    assert (space.root / DOCS / "index.html").exists()
    assert not [path for path in (space.root / DOCS).rglob("*.html") if "web-assets" in path.read_text()]


@pytest.mark.parametrize(
    ("breakage", "check", "message"),
    [
        ("UPDATE raw SET quarantined = lines // 20 WHERE SHOP_WEEK = 200810", "raw quarantine", r"set aside; seen: 0\.0\d+ in 200810$"),
        ("UPDATE raw SET files = 2", "raw files", "under two names; seen: 1 in 200801, 1 in 200802, 1 in 200803 and 49 more"),
        ("UPDATE raw SET lines = lines - 5 WHERE SHOP_WEEK = 200810", "raw rows", "no more lines.*; seen: 5 in 200810"),
        ("ALTER TABLE silver DROP COLUMN STORE_FORMAT", "silver columns", "missing: STORE_FORMAT"),
        ("ALTER TABLE silver ALTER SPEND TYPE VARCHAR", "silver types", "SPEND is of type number; seen: 'VARCHAR'"),
        ("DELETE FROM silver WHERE BASKET_ID % 10 > 0", "silver volume", "at least 2000 baskets; seen: 1"),
        ("UPDATE silver SET PROD_CODE = NULL WHERE SHOP_HOUR = 9", "silver nulls", r"PROD_CODE; seen: \d+ in 2008\d\d"),
        ("UPDATE silver SET SHOP_WEEKDAY = 0 WHERE SHOP_WEEKDAY = 7", "silver ranges", "SHOP_WEEKDAY outside 1-7; seen"),
        ("UPDATE silver SET SPEND = -1 WHERE SHOP_WEEK = 200807", "silver ranges", r"SPEND outside .*; seen: \d+ in 200807$"),
        ("UPDATE silver SET SPEND = 'NaN' WHERE SHOP_HOUR = 9", "silver ranges", "SPEND outside"),
        ("UPDATE silver SET SHOP_WEEK = 200860 WHERE SHOP_WEEK = 200852", "silver ranges", "in 200860"),
        ("UPDATE silver SET BASKET_SIZE = 'XXL' WHERE BASKET_SIZE = 'L'", "silver words", "S, M, L; seen: 'XXL'"),
        ("UPDATE silver SET CUST_CODE = PROD_CODE", "silver baskets", "disagree about CUST_CODE; seen"),
        ("UPDATE silver SET PROD_CODE_10 = BASKET_SIZE", "silver hierarchy", "more than one PROD_CODE_10; seen"),
        ("INSERT INTO silver FROM silver WHERE SHOP_WEEK = 200810", "silver duplicates", "copies of others; seen: 0.5.* in 200810"),
        ("DELETE FROM silver WHERE SHOP_WEEK = 200810", "silver gaps", "no week is missing.*; seen: 200810"),
        ("DELETE FROM silver WHERE SHOP_WEEK = 200810 AND SHOP_HOUR > 9", "silver weeks", "median week; seen: 0.* in 200810"),
        ("UPDATE gold SET label = 'XX' WHERE BASKET_ID % 10 < 6", "gold label coverage", "50% of baskets are labelled; seen: 0.3"),
        ("UPDATE gold SET label = 'MM' WHERE label = 'UM'", "gold class balance", "are UM; seen: 0$"),
        ("UPDATE gold SET label = 'LA' WHERE SHOP_WEEK = 200820", "gold class balance", "baskets are MM; seen: 0 in 200820"),
        ("UPDATE gold SET part = 'unused' WHERE part = 'valid'", "gold split", "in valid; seen: 0"),
        ("UPDATE gold SET household = 'one'", "gold leak", "two parts of the split; seen: 1"),
        ("UPDATE gold SET part = 'train' WHERE SHOP_WEEK = 200850 AND part = 'unused'", "gold leak", "before the test: weeks; seen: 2"),
        ("UPDATE gold SET part = 'test' WHERE SHOP_WEEK = 200840 AND part = 'valid'", "gold leak", "before the test: weeks; seen: 1"),
        ("UPDATE silver SET SHOP_DATE = 20080301 WHERE SHOP_WEEK = 200852", "gold leak", "before the test: dates; seen: 2"),
        ("INSERT INTO gold FROM gold WHERE SHOP_WEEK = 200810", "gold rows", "no basket is there twice; seen"),
        ("DELETE FROM gold WHERE SHOP_WEEK = 200810", "gold rows", "the baskets of silver; seen"),
        ("UPDATE gold SET SPEND = SPEND[2:] WHERE SHOP_WEEK = 200810", "gold lines", r"every basket has lines.*; seen: \d+ in 200810"),
    ],
    ids=[
        "too much set aside", "a file twice", "lines from nowhere",
        "a column is missing", "a column of another type", "too few baskets", "a needed value is null", "weekday 0",
        "negative spend", "a flood of NaN", "week 60", "an unknown word", "two customers in a basket",
        "a product that moves", "a week that came twice", "a missing week", "half a week", "too few labels",
        "a class is gone", "a class is gone for a week", "a part is empty", "a household on both sides",
        "training after testing", "testing before validation", "dates of testing in the past",
        "a basket twice", "baskets lost", "a torn basket",
    ],
)  # fmt: skip
def test_broken_data_fails_the_check_that_looks_for_it(
    database: duckdb.DuckDBPyConnection, breakage: str, check: str, message: str
) -> None:
    """By name, with the week in the message where one is at fault."""
    database.execute(breakage)
    failed = {
        found.name: found.message for found in run_checks(database, [check.partition(" ")[0]]) if not found.passed
    }
    assert check in failed
    assert re.search(message, failed[check])


def test_what_has_not_changed_is_judged_once(space: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the split only gold is asked; verdict and docs are whole all the same."""
    own = copied(space, tmp_path)
    lake = lake_of(own)
    lake.gold.drop(lake.gold.weeks())
    asked: list[str] = []
    really = Judge.judge

    def seen(judge: Judge, database: duckdb.DuckDBPyConnection, table: Table) -> list[Check]:
        asked.append(table.name.partition(" ")[0])
        return really(judge, database, table)

    monkeypatch.setattr(Judge, "judge", seen)
    validation = Validation(own)
    assert validation.validate().endswith("of raw, silver passed")
    split(own)
    assert validation.validate().endswith("of raw, silver, gold passed")
    assert list(dict.fromkeys(asked)) == [name for name, _ in groupby(asked)] == list(LAYERS)
    checks = json.loads(own.validation.read_text())["checks"]
    assert list(dict.fromkeys(check["name"].partition(" ")[0] for check in checks)) == list(LAYERS)
    pages = "".join(str(path) for path in (own.root / DOCS / "validations").rglob("*.html"))
    assert all(f"{layer} w" in pages for layer in LAYERS)


def test_silver_that_has_changed_is_judged_anew(space: Workspace, tmp_path: Path) -> None:
    """What was found out about other lines is worth nothing."""
    own = copied(space, tmp_path)
    lake = lake_of(own)
    lake.gold.drop(lake.gold.weeks())
    validation = Validation(own)
    validation.validate()
    lake.silver.drop([max(lake.silver.weeks()) - 5])
    with pytest.raises(PipelineError, match=r"silver gaps: no week is missing"):
        validation.validate()


def test_gold_that_silver_has_left_behind_is_not_judged(space: Workspace, tmp_path: Path) -> None:
    """Late data made silver anew: its gold is no news about it until `split` has followed."""
    own = copied(space, tmp_path)
    lake = lake_of(own)
    lake.silver.drop([max(lake.silver.weeks())])
    assert validate(own).endswith("of raw, silver passed")
    assert "gold" not in own.validation.read_text()
    split(own)
    assert validate(own).endswith("of raw, silver, gold passed")


def test_a_failure_stops_the_pipeline_and_is_written(space: Workspace, tmp_path: Path) -> None:
    """The verdict is there for whoever goes on all the same."""
    few = Workspace(tmp_path)
    with duckdb.connect() as database, open_lake(space) as lake:
        database.register("silver", lake.sql("FROM silver WHERE BASKET_ID % 10 = 0").to_arrow_table())
        write_silver(database, lake_at(str(few.lake)), "test", "1")
    write_json(few.source, {"source": "test"})
    with pytest.raises(PipelineError, match="data validation failed: silver volume"):
        validate(few)
    assert json.loads(few.validation.read_text())["verdict"] == "failed"


def test_a_step_without_its_input_says_what_to_run(tmp_path: Path) -> None:
    """The message is the remedy."""
    with pytest.raises(PipelineError, match="run `psm-train ingest` first"):
        validate(Workspace(tmp_path))


def test_a_message_names_a_few_faults_and_counts_the_rest() -> None:
    """Only failed checks are told."""
    checks = [Check("silver weeks", True, "fine"), Check("silver nulls", False, "a"), Check("gold rows", False, "b")]
    assert failures(checks) == "silver nulls: a; gold rows: b"


ALONE = """
import socket, sys
from pathlib import Path

def refuse(*_):
    sys.exit("a connection was asked for")

socket.socket.connect = socket.getaddrinfo = refuse
from psm_training.__main__ import main
sys.exit(main(["validate", "--out", sys.argv[1]]))
"""


def test_nothing_is_sent_and_nothing_is_written_elsewhere(space: Workspace, tmp_path: Path) -> None:
    """Great Expectations would report its use, keep an identity at home and data docs below /tmp."""
    home, temporary, elsewhere = (tmp_path / name for name in ("home", "temporary", "elsewhere"))
    for folder in (home, temporary, elsewhere):
        folder.mkdir()
    found = subprocess.run(
        [sys.executable, "-c", ALONE, str(space.root)],
        env={"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
    assert [path for folder in (home, temporary, elsewhere) for path in folder.rglob("*")] == []
