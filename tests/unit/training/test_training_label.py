"""The derived label: other households' prices, cut on training baskets."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from psm_training.label import add_label
from psm_training.split import TRAIN, part_sql

SILVER = """
CREATE TABLE silver AS
SELECT 201700 + week AS SHOP_WEEK, 1 AS QUANTITY, spend AS SPEND, product AS PROD_CODE,
       'CL' || (CAST(substr(product, 2) AS INTEGER) % 3) AS PROD_CODE_10, 'DEP1' AS PROD_CODE_20,
       household AS CUST_CODE, basket AS BASKET_ID, CAST(NULL AS VARCHAR) AS BASKET_PRICE_SENSITIVITY
FROM columns
"""


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two thousand random lines, labelled."""
    rng = np.random.default_rng(0)
    baskets, lines = 400, 2000
    basket = rng.integers(0, baskets, lines)
    of_household = rng.integers(0, 40, baskets)
    week = rng.integers(1, 54, baskets)
    product = rng.integers(0, 12, lines)
    product[:3] = (97, 98, 98)
    basket[1:3] = basket[1]
    columns = {
        "week": week[basket],
        "spend": np.round(np.exp(rng.normal(0, 0.5, lines)) * (1 + product), 2),
        "product": np.array([f"P{number}" for number in product], dtype=object),
        "household": np.array([f"H{number}" for number in of_household[basket]], dtype=object),
        "basket": basket,
    }
    with duckdb.connect() as database:
        database.register("columns", columns)
        database.execute(SILVER)
        add_label(database)
        yield database


def test_a_products_price_is_the_median_of_other_households(database: duckdb.DuckDBPyConnection) -> None:
    """Checked against the plain definition, household by household."""
    prices: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for product, household, spend in database.execute("SELECT PROD_CODE, CUST_CODE, SPEND FROM silver").fetchall():
        prices[product][household].append(spend)
    expected = {
        (product, household): statistics.median(others)
        for product, buyers in prices.items()
        for household in buyers
        if (others := [price for buyer, paid in buyers.items() if buyer != household for price in paid])
    }
    rows = database.execute("SELECT PROD_CODE, CUST_CODE, price FROM others").fetchall()
    assert {(product, household): price for product, household, price in rows} == pytest.approx(expected)


def test_a_product_that_only_one_household_buys_has_no_price(database: duckdb.DuckDBPyConnection) -> None:
    """Its own price would be the label's own formula."""
    assert database.execute("SELECT * FROM others WHERE PROD_CODE IN ('P97', 'P98')").fetchall() == []


def test_too_few_classified_lines_are_xx(database: duckdb.DuckDBPyConnection) -> None:
    """And enough of them never are."""
    rows = database.execute(
        "SELECT any_value(BASKET_PRICE_SENSITIVITY), any_value(classified) "
        "FROM silver JOIN score USING (BASKET_ID) GROUP BY BASKET_ID"
    ).fetchall()
    assert {label == "XX" for label, classified in rows if classified < 3} == {True}
    assert {label == "XX" for label, classified in rows if classified >= 3} == {False}


def test_the_cuts_are_quartiles_of_training_baskets(database: duckdb.DuckDBPyConnection) -> None:
    """25 / 50 / 25 on training baskets; elsewhere as it comes."""
    part = part_sql("CUST_CODE", "SHOP_WEEK")
    counts = dict(
        database.execute(
            f"SELECT BASKET_PRICE_SENSITIVITY, count(DISTINCT BASKET_ID) FROM silver WHERE {part} = $train "  # noqa: S608  # our own expression
            "AND BASKET_PRICE_SENSITIVITY <> 'XX' GROUP BY 1",
            {"train": TRAIN},
        ).fetchall()
    )
    total = sum(counts.values())
    assert abs(counts["LA"] - total / 4) <= 1
    assert abs(counts["UM"] - total / 4) <= 1


def test_a_higher_score_is_a_higher_class(database: duckdb.DuckDBPyConnection) -> None:
    """LA, MM and UM do not overlap."""
    rows = database.execute(
        "SELECT BASKET_PRICE_SENSITIVITY, min(score), max(score) FROM silver JOIN score USING (BASKET_ID) "
        "WHERE BASKET_PRICE_SENSITIVITY <> 'XX' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    limits = [-math.inf]
    for _, low, high in rows:
        assert low > limits[-1]
        limits.append(high)
    assert [row[0] for row in rows] == ["LA", "MM", "UM"]
