"""The lake's transformations run by Spark itself: what DuckDB gives, row by row. Needs Java; `make test-spark` brings Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from psm_training.lake import expressions
from psm_training.lake.schema import SILVER_TYPES
from psm_training.synthetic_files import Order, synthesize
from psm_training.windows import Windows

pyspark = pytest.importorskip("pyspark", reason="`make test-spark` brings Spark")

pytestmark = pytest.mark.component

WINDOWS = Windows(200837, 200838, 200838, 200839, 200840)

SPOILT = (
    "SPEND = 'NaN' WHERE rowid % 97 = 0",
    "SPEND = 'Infinity' WHERE rowid % 89 = 0",
    "STORE_REGION = '../x' WHERE rowid % 101 = 0",
    "CUST_CODE = NULL WHERE BASKET_ID % 7 = 0",
    "PROD_CODE_30 = NULL WHERE rowid % 13 = 0",
    "QUANTITY = NULL WHERE rowid % 103 = 0",
)
"""Of the lines: what cannot be used, and what may be missing."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Table `raw`: weeks of training and of testing, some lines spoilt, some there twice."""
    till = tmp_path_factory.mktemp("till")
    synthesize(till, Order(lines=4000, weeks=4, first_week=200837))
    columns = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in SILVER_TYPES.items())
    with duckdb.connect() as found:
        found.execute(
            f"CREATE TABLE raw AS SELECT {columns}, row_number() OVER () AS rowid "  # noqa: S608  # names of our own schema
            f"FROM read_csv('{till}/transactions*.csv', all_varchar = true)"
        )
        for change in SPOILT:
            found.execute(f"UPDATE raw SET {change}")  # noqa: S608  # as above
        found.execute("INSERT INTO raw FROM raw WHERE rowid % 50 = 0")
        yield found


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on this machine that listens for nobody else."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = pyspark.sql.SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def in_both(
    database: duckdb.DuckDBPyConnection,
    spark: Any,
    folder: Path,
    table: str,
    expression: Callable[[str], Any],
) -> tuple[list[Any], list[Any]]:
    """Rows of the expression over a table of the database, by DuckDB and by Spark, each sorted; one is there at least."""
    given, made = folder / f"{table}.parquet", folder / "made.parquet"
    database.execute(f"COPY {table} TO '{given}'")
    spark.read.parquet(str(given)).createOrReplaceTempView(table)
    spark.sql(expressions.sql(expression("pyspark"), "pyspark")).write.parquet(str(made))
    expected = database.sql(expressions.sql(expression("duckdb")))
    found = database.sql(f"SELECT {', '.join(expected.columns)} FROM read_parquet('{made}/*.parquet')")  # noqa: S608  # ours
    assert expected.types == found.types
    return expected.order("ALL").fetchall(), found.order("ALL").fetchall()


def test_spark_finds_the_lines_that_cannot_be_used(
    database: duckdb.DuckDBPyConnection, spark: Any, tmp_path: Path
) -> None:
    """The same lines for the same reasons, but that Ibis takes NaN for null in Spark and does not ask it for infinity."""
    expected, found = in_both(database, spark, tmp_path, "raw", lambda _: expressions.bad_lines(expressions.raw()))
    assert [place for place, _ in found] == [place for place, _ in expected]
    differing = {(one, other) for (_, one), (_, other) in zip(expected, found, strict=True) if one != other}
    assert differing == {
        ("SPEND is not a number", "SPEND is empty"),
        ("SPEND is not a number", "SPEND is outside 0.001-1000000"),
    }


def test_spark_makes_silver(database: duckdb.DuckDBPyConnection, spark: Any, tmp_path: Path) -> None:
    """Without copies of lines."""
    expected, found = in_both(
        database, spark, tmp_path, "raw", lambda _: expressions.usable(expressions.raw(), distinct=True)
    )
    assert len(expected) > 3000
    assert found == expected


def test_spark_makes_gold(database: duckdb.DuckDBPyConnection, spark: Any, tmp_path: Path) -> None:
    """Households, parts of the split, and every list of lines in its order."""
    silver = expressions.sql(expressions.usable(expressions.raw(), distinct=True))
    database.execute(f"CREATE OR REPLACE TABLE silver AS {silver}")
    expected, found = in_both(
        database, spark, tmp_path, "silver", lambda engine: expressions.baskets(expressions.silver(), WINDOWS, engine)
    )
    assert len(expected) > 500
    assert found == expected
