"""The derived label: a tier per product by training prices, the mean over a basket's lines, two thresholds."""

# A live annotation with a DuckDB type, once Hypothesis looked at it, makes DuckDB report leaks when Python exits.
from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from psm_training.label import LA_UNTIL, SHRINK_LINES, SMALLEST_SPREAD, TIER_LIMIT, UM_FROM, add_label
from psm_training.split import TRAIN, part_sql
from psm_training.windows import Windows

WINDOWS = Windows(201737, 201738, 201743, 201744, 201753)
SILVER = """
CREATE OR REPLACE TABLE silver AS
SELECT 201700 + week AS SHOP_WEEK, 1 AS QUANTITY, spend AS SPEND, product AS PROD_CODE,
       CASE product WHEN 'P97' THEN 'CL9' ELSE 'CL' || (CAST(substr(product, 2) AS INTEGER) % 3) END AS PROD_CODE_10,
       'DEP1' AS PROD_CODE_20, household AS CUST_CODE, basket AS BASKET_ID,
       CAST(NULL AS VARCHAR) AS BASKET_PRICE_SENSITIVITY
FROM columns
"""


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two thousand random lines, labelled; P97 is alone in its type, P98 is sold only in the last week."""
    rng = np.random.default_rng(0)
    baskets, lines = 400, 2000
    basket = rng.integers(0, baskets, lines)
    of_household = rng.integers(0, 40, baskets)
    week = rng.integers(1, 53, baskets)
    week[:2] = 53
    product = rng.integers(0, 12, lines)
    basket[:40], product[:40] = np.arange(40) % 2, 98
    basket[40:50], product[40:50] = 7, 97
    columns = {
        "week": week[basket],
        "spend": np.round(np.exp(rng.normal(0, 0.1, lines)) * (1 + product), 2),
        "product": np.array([f"P{number}" for number in product], dtype=object),
        "household": np.array([f"H{number}" for number in of_household[basket]], dtype=object),
        "basket": basket,
    }
    with duckdb.connect() as database:
        database.register("columns", columns)
        database.execute(SILVER)
        add_label(database, WINDOWS)
        yield database


def test_a_products_tier_is_its_training_price_within_its_type(database: duckdb.DuckDBPyConnection) -> None:
    """Checked against the plain definition, product by product."""
    rows = database.execute(
        f"SELECT PROD_CODE, PROD_CODE_10, SPEND, {part_sql('CUST_CODE', 'SHOP_WEEK', WINDOWS)} = 'train' FROM silver"  # noqa: S608  # our own expression
    ).fetchall()
    taught, seen, kinds = defaultdict(list), defaultdict(list), {}
    for product, kind, spend, teaches in rows:
        kinds[product] = kind
        seen[product].append(spend)
        if teaches:
            taught[product].append(spend)
    price = {product: math.log(statistics.median(taught.get(product) or paid)) for product, paid in seen.items()}

    def spread_of(products: list[str]) -> tuple[int, float, float]:
        n = sum(len(taught[product]) for product in products)
        mean = sum(len(taught[product]) * price[product] for product in products) / n
        square = sum(len(taught[product]) * price[product] ** 2 for product in products) / n
        return n, mean, max(SMALLEST_SPREAD, math.sqrt(max(0.0, square - mean**2)))

    _, above, above_spread = spread_of(list(taught))
    expected = {}
    for kind in set(kinds.values()):
        products = [product for product in taught if kinds[product] == kind]
        if len(products) < 2:
            continue
        n, mean, spread = spread_of(products)
        mean = (n * mean + SHRINK_LINES * above) / (n + SHRINK_LINES)
        spread = max(SMALLEST_SPREAD, (n * spread + SHRINK_LINES * above_spread) / (n + SHRINK_LINES))
        for product in (product for product in seen if kinds[product] == kind):
            score = (price[product] - mean) / spread
            expected[product] = -1 if score < -TIER_LIMIT else int(score > TIER_LIMIT)
    assert dict(database.execute("SELECT PROD_CODE, tier FROM tier").fetchall()) == expected
    assert {-1, 0, 1} == set(expected.values())
    assert "P97" not in expected, "what is alone in its type is neither cheap nor dear"


def test_a_label_is_the_mean_tier_of_the_lines_that_have_one(database: duckdb.DuckDBPyConnection) -> None:
    """Whatever the lines cost; none with a tier is XX."""
    tiers = dict(database.execute("SELECT PROD_CODE, tier FROM tier").fetchall())
    baskets: dict[int, list[int | None]] = defaultdict(list)
    labels = {}
    for basket, product, label in database.execute(
        "SELECT BASKET_ID, PROD_CODE, BASKET_PRICE_SENSITIVITY FROM silver"
    ).fetchall():
        baskets[basket].append(tiers.get(product))
        labels[basket] = label
    for basket, found in baskets.items():
        counted = [tier for tier in found if tier is not None]
        mean = sum(counted) / max(1, len(counted))
        expected = "LA" if mean <= LA_UNTIL else "UM" if mean >= UM_FROM else "MM"
        assert labels[basket] == (expected if counted else "XX")
    assert {"LA", "MM", "UM"} <= set(labels.values())


def test_references_are_of_training_households_and_weeks_alone(database: duckdb.DuckDBPyConnection) -> None:
    """Every other line ten times as dear: no tier of a product that training sold moves. One training price does move some."""
    known = "SELECT * FROM tier JOIN product USING (PROD_CODE) WHERE lines > 0 ORDER BY PROD_CODE"
    before = database.execute(known).fetchall()
    teaches = f"{part_sql('CUST_CODE', 'SHOP_WEEK', WINDOWS)} = '{TRAIN}'"
    database.execute(f"UPDATE silver SET SPEND = SPEND * 10 WHERE NOT ({teaches})")  # noqa: S608  # our own expression
    add_label(database, WINDOWS)
    assert database.execute(known).fetchall() == before
    database.execute(f"UPDATE silver SET SPEND = SPEND * 10 WHERE {teaches} AND PROD_CODE = 'P3'")  # noqa: S608  # as above
    add_label(database, WINDOWS)
    assert database.execute(known).fetchall() != before


def test_what_training_never_sold_is_in_no_training_label(database: duckdb.DuckDBPyConnection) -> None:
    """It has a tier, by the price that it had later, and no basket of training holds it."""
    assert database.execute("SELECT count(*) FROM tier WHERE PROD_CODE = 'P98'").fetchall() == [(1,)]
    part = part_sql("CUST_CODE", "SHOP_WEEK", WINDOWS)
    asked = f"SELECT count(*) FROM silver WHERE {part} = 'train' AND PROD_CODE = 'P98'"  # noqa: S608  # our own expression
    assert database.execute(asked).fetchall() == [(0,)]
