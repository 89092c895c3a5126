"""The lake: weeks are whole or not there, unchanged weeks are left alone, the same input is the same bytes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_training.__main__ import main
from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.lake.batches import batches
from psm_training.lake.gold import RULE, stale, write_gold
from psm_training.lake.place import lake_of
from psm_training.lake.silver import write_silver
from psm_training.lake.views import open_lake
from psm_training.load import load_gold
from psm_training.sources import synthetic_baskets
from psm_training.split import part_sql, split
from psm_training.windows import Windows
from psm_training.workspace import Workspace, write_json


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Synthetic silver and gold; tests that change it take their own."""
    space = Workspace(tmp_path_factory.mktemp("lake"))
    ingest(space, "synthetic")
    split(space)
    return space


LAST = Windows(200850, 200851, 200851, 200852, 200852)
REGIONS = ("E01", "E02", "N01")


@pytest.fixture
def small(tmp_path: Path) -> Workspace:
    """A few weeks of three regions."""
    space = Workspace(tmp_path)
    write_json(space.source, {"source": "synthetic"})
    with duckdb.connect() as database:
        synthetic_baskets.load_silver(database)
        database.execute(f"DELETE FROM silver WHERE SHOP_WEEK < 200849 OR STORE_REGION NOT IN {REGIONS}")  # noqa: S608  # ours
        write_silver(database, lake_of(space), "synthetic", "a few")
    return space


def rewritten(space: Workspace, change: str) -> None:
    """Silver made again after a change of its lines."""
    with open_lake(space) as database:
        database.execute("CREATE TABLE lines AS FROM silver")
        database.execute(change)
        database.execute("DROP VIEW silver")
        database.execute("ALTER TABLE lines RENAME TO silver")
        write_silver(database, lake_of(space), "synthetic", change)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_source_is_the_same_bytes(space: Workspace, tmp_path: Path) -> None:
    """Silver, gold and manifests, in another folder and a second time in the same."""
    other = Workspace(tmp_path)
    ingest(other, "synthetic")
    split(other)
    assert bytes_of(other.lake) == bytes_of(space.lake)
    ingest(other, "synthetic")
    assert bytes_of(other.lake) == bytes_of(space.lake)


def test_files_lie_in_folders_of_week_and_region(space: Workspace) -> None:
    """As Athena, Spark and DuckDB expect partitions; the folders' columns are not in the files."""
    week = json.loads((space.silver / "_weeks" / "200801.json").read_text())
    assert [file["name"].rpartition("/")[0] for file in week["files"]] == [
        f"SHOP_WEEK=200801/STORE_REGION={side}{number:02d}" for side in "ENSW" for number in (1, 2, 3)
    ]
    path = space.silver / week["files"][0]["name"]
    assert path.stem == week["files"][0]["sha256"][:16]
    with duckdb.connect() as database:
        columns = [
            row[0]
            for row in database.execute(f"DESCRIBE FROM read_parquet('{path}', hive_partitioning=false)").fetchall()
        ]
        (kind,) = database.execute(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')").fetchall()  # noqa: S608  # ours
    assert not {"SHOP_WEEK", "STORE_REGION"} & set(columns)
    assert kind == ("SNAPPY",)


def test_gold_is_silver_by_basket(space: Workspace) -> None:
    """Against plain SQL: context, label, part, and the lines in the order that features sum in."""
    part = part_sql(
        "coalesce(any_value(CUST_CODE), 'basket ' || BASKET_ID)",
        "any_value(SHOP_WEEK)",
        Windows.of(lake_of(space).silver.weeks()),
    )
    order = "ORDER BY PROD_CODE, PROD_CODE_10, PROD_CODE_20, PROD_CODE_30, QUANTITY, SPEND"
    with open_lake(space) as database:
        plain = database.execute(
            f"SELECT BASKET_ID, any_value(CUST_CODE), any_value(SHOP_WEEK), any_value(STORE_REGION), "  # noqa: S608  # ours
            f"any_value(BASKET_PRICE_SENSITIVITY), {part}, any_value(SHOP_HOUR), list(PROD_CODE {order}), "
            f"list(PROD_CODE_30 {order}), list(QUANTITY {order}), list(SPEND {order}) FROM silver GROUP BY BASKET_ID ORDER BY 1"
        ).fetchall()
        gold = database.execute(
            "SELECT BASKET_ID, household, SHOP_WEEK, STORE_REGION, label, part, SHOP_HOUR, PROD_CODE, PROD_CODE_30, "
            "QUANTITY, SPEND FROM gold ORDER BY 1"
        ).fetchall()
    assert plain == gold


def test_only_weeks_whose_silver_changed_are_made_again(small: Workspace) -> None:
    """One line more in one week."""
    lake = lake_of(small)
    assert write_gold(lake, LAST) == [200849, 200850, 200851, 200852]
    assert write_gold(lake, LAST) == []
    rewritten(small, "INSERT INTO lines FROM lines WHERE SHOP_WEEK = 200850 ORDER BY ALL LIMIT 1")
    assert [week.week for week in stale(lake, LAST)] == [200850]
    assert write_gold(lake, LAST) == [200850]


def test_a_new_week_makes_only_the_weeks_again_whose_part_it_changes(small: Workspace) -> None:
    """The windows move on by one week: one that was validated now trains, one that was tested validates."""
    lake = lake_of(small)
    write_gold(lake, Windows(200849, 200850, 200850, 200851, 200851))
    assert [week.week for week in stale(lake, LAST)] == [200850, 200851, 200852]
    assert write_gold(lake, LAST) == [200850, 200851, 200852]


def test_gold_is_of_the_rule_that_it_names(small: Workspace) -> None:
    """Gold of the same silver changed: raise RULE of psm_training.lake.gold, then write the new digest here."""
    write_gold(lake_of(small), LAST)
    with open_lake(small) as database:
        rows = database.execute("FROM gold ORDER BY BASKET_ID").fetchall()
    found = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
    assert (RULE, found) == ("gold 2", "75b0ce4a38e775b3")


def test_gold_is_current_in_every_process(space: Workspace) -> None:
    """Whatever seed Python hashes with: what one process made, none makes again."""
    told = []
    for seed in ("0", "1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", STALE, str(space.root)],
            env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        told.append(done.stdout.strip())
    assert told == ["0"] * 4


STALE = """
import sys
from pathlib import Path
from psm_training.lake.gold import stale
from psm_training.lake.place import lake_of
from psm_training.windows import Windows
from psm_training.workspace import Workspace
lake = lake_of(Workspace(Path(sys.argv[1])))
print(len(stale(lake, Windows.of(lake.silver.weeks()))))
"""


def test_a_week_that_is_gone_from_silver_is_gone_from_gold(small: Workspace) -> None:
    """And its files with it."""
    lake = lake_of(small)
    write_gold(lake, LAST)
    lake.silver.drop([200852])
    assert [week.week for week in stale(lake, LAST)] == [200852]
    write_gold(lake, LAST)
    assert max(lake.gold.weeks()) == 200851
    assert not list((small.gold / "SHOP_WEEK=200852").rglob("*.parquet"))


def test_a_reader_goes_on_reading_what_it_opened(small: Workspace) -> None:
    """While a week is made again; files that nobody can have opened go with the making after that."""
    with open_lake(small) as reader:
        (before,) = reader.execute("SELECT count(*), max(QUANTITY) FROM silver").fetchall()
        rewritten(small, "UPDATE lines SET QUANTITY = 7")
        assert reader.execute("SELECT count(*), max(QUANTITY) FROM silver").fetchall() == [before]
    for quantity in (8, 9):
        rewritten(small, f"UPDATE lines SET QUANTITY = {quantity}")  # noqa: S608  # ours
    assert len(list(small.silver.rglob("*.parquet"))) == 2 * 4 * len(REGIONS)


def test_a_changed_or_missing_file_is_found(small: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """By `psm-train verify-lake`, which names it."""
    write_gold(lake_of(small), LAST)
    command = ["verify-lake", "--out", str(small.root)]
    assert main(command) == 0
    assert "12 files of silver, 12 of gold are as written" in capsys.readouterr().out
    file = lake_of(small).gold.weeks()[200849].files[0]
    path = small.gold / file.name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert main(command) == 1
    assert f"its manifest says {file.sha256}" in capsys.readouterr().err
    path.unlink()
    assert main(command) == 1
    assert "is gone" in capsys.readouterr().err


def test_a_lake_that_was_not_filled_says_what_to_do(small: Workspace, space: Workspace) -> None:
    """No ingest, or no split."""
    with pytest.raises(PipelineError, match="run `psm-train ingest` first"):
        open_lake(Workspace(small.root / "other"))
    with pytest.raises(PipelineError, match="run `psm-train split` first"):
        load_gold(small)
    assert len(load_gold(space)[0]) == 12_000


@given(
    st.dictionaries(st.tuples(st.integers(1, 6), st.sampled_from("ABCD")), st.integers(1, 50), max_size=20),
    st.integers(1, 120),
)
def test_batches_hold_every_partition_once(partitions: dict[tuple[int, str], int], limit: int) -> None:
    """In order, never more than the limit unless one partition is larger."""
    seen: list[tuple[int, str]] = []
    for batch in batches(partitions, limit):
        chosen = [key for key in sorted(partitions) if batch.has(*key)]
        assert sum(partitions[key] for key in chosen) <= max(limit, *(partitions[key] for key in chosen))
        seen += chosen
    assert seen == sorted(partitions)
