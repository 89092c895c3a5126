"""The lake's transformations as Ibis expressions: DuckDB's answers, and SQL that Athena and Spark read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from psm_contract.schema import calendar_fault
from psm_training.lake import expressions
from psm_training.lake.schema import SILVER_TYPES
from psm_training.split import part_sql
from psm_training.windows import Windows

WINDOWS = Windows(200838, 200839, 200841, 200842, 200853)

EXPRESSIONS: dict[str, Callable[[str], Any]] = {
    "bad lines": lambda _: expressions.bad_lines(expressions.raw()),
    "silver": lambda _: expressions.usable(expressions.raw(), distinct=True),
    "gold": lambda engine: expressions.baskets(expressions.silver(), WINDOWS, engine),
}
DIALECTS = {"duckdb": "duckdb", "athena": "athena", "trino": "trino", "pyspark": "spark"}
"""Engines, and what sqlglot calls their SQL."""


@pytest.mark.parametrize("engine", DIALECTS)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_engine_gets_sql_that_it_can_parse(name: str, engine: str) -> None:
    """One statement, that names only the table it is about."""
    text = expressions.sql(EXPRESSIONS[name](engine), engine)
    (statement,) = sqlglot.parse(text, dialect=DIALECTS[engine])
    assert statement is not None
    aliases = {found.alias_or_name for found in statement.find_all(sqlglot.exp.CTE)}
    assert {table.name for table in statement.find_all(sqlglot.exp.Table)} - aliases == {
        "silver" if name == "gold" else "raw"
    }


def test_every_engine_puts_a_household_into_the_same_part() -> None:
    """DuckDB casts the digits of the digest, the others add them up: 2,000 households in every week of a year."""
    import ibis  # noqa: PLC0415  # as where it is used

    table = ibis.table({"household": "string", "week": "int64"}, name="placed")
    asked = expressions.sql(table.mutate(part=expressions.part(table.household, table.week, WINDOWS, "pyspark")))
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE placed AS SELECT * FROM (SELECT 'CUST' || range AS household FROM range(1900) UNION ALL "
            "SELECT 'basket ' || range FROM range(100)) CROSS JOIN (SELECT 200800 + range AS week FROM range(1, 54))"
        )
        differing = database.execute(
            f"SELECT count(*) FILTER (part <> {part_sql('household', 'week', WINDOWS)}), count(DISTINCT part) FROM ({asked})"  # noqa: S608  # ours
        ).fetchall()
    assert differing == [(0, 4)]


def test_a_household_keeps_its_part_from_release_to_release() -> None:
    """What the first release said of twelve households, written down."""
    part = part_sql("'CUST' || range", "200801 + range * 5 % 53", WINDOWS)
    with duckdb.connect() as database:
        found = database.execute(f"SELECT string_agg({part}, ' ' ORDER BY range) FROM range(12)").fetchall()  # noqa: S608  # ours
    assert found == [("train train train unused train unused unused train unused unused test train",)]


LINE = {
    "SHOP_WEEK": 200801, "STORE_REGION": "E01", "QUANTITY": 1, "SPEND": 1.5, "PROD_CODE": "P", "PROD_CODE_10": "C",
    "PROD_CODE_20": "D", "BASKET_ID": 1, "SHOP_HOUR": 9, "SHOP_WEEKDAY": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"SHOP_HOUR": None}, None),
        ({"SPEND": None}, "SPEND is empty"),
        ({"SPEND": float("nan")}, "SPEND is not a number"),
        ({"SPEND": float("inf")}, "SPEND is not a number"),
        ({"SPEND": 0.0}, "SPEND is outside 0.001-1000000"),
        ({"QUANTITY": 0}, "QUANTITY is outside 1-10000"),
        ({"QUANTITY": 10_001}, "QUANTITY is outside 1-10000"),
        ({"SHOP_WEEK": 8}, "SHOP_WEEK is outside 190001-299953"),
        ({"SHOP_WEEK": 200800}, "SHOP_WEEK is no week of a year, yyyyww"),
        ({"SHOP_WEEK": 200854}, "SHOP_WEEK is no week of a year, yyyyww"),
        ({"SHOP_WEEKDAY": 8}, "SHOP_WEEKDAY is outside 1-7"),
        ({"SHOP_HOUR": 24}, "SHOP_HOUR is outside 0-23"),
        ({"PROD_CODE": None}, "PROD_CODE is empty"),
        ({"STORE_REGION": None}, "STORE_REGION is empty"),
        ({"STORE_REGION": "../E01"}, "STORE_REGION is no code"),
        ({"STORE_REGION": "E" * 65}, "STORE_REGION is no code"),
        ({"BASKET_ID": -1}, "BASKET_ID is outside 0-1000000000000000000"),
        ({"SHOP_DATE": 20080230}, "SHOP_DATE is no date, yyyymmdd"),
        ({"SHOP_DATE": 20081399}, "SHOP_DATE is no date, yyyymmdd"),
        ({"SHOP_DATE": 20080229}, None),
        ({"SHOP_DATE": 20990101}, "SHOP_DATE is not in its SHOP_WEEK"),
        ({"BASKET_PRICE_SENSITIVITY": "XX"}, None),
        ({"BASKET_PRICE_SENSITIVITY": "LOW"}, "BASKET_PRICE_SENSITIVITY is none of LA, MM, UM, XX"),
        ({"QUANTITY": None, "SPEND": -1.0}, "QUANTITY is empty"),
    ],
    ids=str,
)
def test_a_line_that_cannot_be_used_is_told_why(change: dict[str, Any], reason: str | None) -> None:
    """The first reason; a line without one is in silver."""
    line = {**LINE, **change}
    with duckdb.connect() as database:
        columns = ", ".join(f"CAST(${name} AS {kind}) AS {name}" for name, kind in SILVER_TYPES.items())
        database.execute(f"CREATE TABLE lines AS SELECT {columns}", {name: line.get(name) for name in SILVER_TYPES})
        database.execute("CREATE VIEW raw AS SELECT *, rowid FROM lines")
        found = database.execute(expressions.sql(EXPRESSIONS["bad lines"]("duckdb"))).fetchall()
        kept = database.execute(expressions.sql(EXPRESSIONS["silver"]("duckdb"))).fetchall()
    assert found == ([(0, reason)] if reason is not None else [])
    assert len(kept) == (reason is None)


@given(
    st.integers(190001, 299953),
    st.integers(19000101, 29991231) | st.dates().map(lambda day: int(day.strftime("%Y%m%d"))),
)
@settings(max_examples=300)
def test_dates_are_judged_by_the_lake_as_by_the_contract(week: int, date: int) -> None:
    """One rule in two tongues."""
    assume(19000101 <= date <= 29991231)
    with duckdb.connect() as database:
        columns = {**LINE, "SHOP_WEEK": week, "SHOP_DATE": date}
        chosen = ", ".join(f"CAST(${name} AS {kind}) AS {name}" for name, kind in SILVER_TYPES.items())
        database.execute(f"CREATE TABLE raw AS SELECT {chosen}, 0 AS rowid", {n: columns.get(n) for n in SILVER_TYPES})
        found = database.execute(expressions.sql(EXPRESSIONS["bad lines"]("duckdb"))).fetchall()
    fault = calendar_fault(week, date)
    assert [reason for _, reason in found] == ([" ".join(fault)] if fault is not None else [])
