"""The label of sources that have none: which price tier of products does the basket choose.

Made as the vendor's own label evidently is (docs/model.md): every product has one tier, a basket's score is the mean over
its lines, whatever they cost, of LA = -1, MM = 0 and UM = +1, lines of products without a tier left out, and two thresholds
make it LA, MM or UM. The vendor does not tell how a product gets its tier; here it is the z-score of its log price
within its product type. A basket none of whose products has a tier is XX.

References are of the past alone: means and spreads of the types, and prices of all products that training households
bought in training weeks, come from those lines. A product that they never bought is held against the same references at
the price that it sold for elsewhere, so it is part of later baskets' labels and of no training basket's.
"""

from typing import Final

import duckdb

from psm_training.split import TRAIN, part_sql
from psm_training.windows import Windows

LA_UNTIL: Final = -0.2265
UM_FROM: Final = 0.1827
"""Mean tier up to which a basket is LA, and from which it is UM: in the vendor's files -5/22 is the greatest of an LA basket
and -7/31 the least of an MM one, 2/11 the greatest of an MM one and 9/49 the least of a UM one."""

TIER_LIMIT: Final = 0.8
"""Standard deviations from its type's mean at which a product leaves the middle tier: gives classes of about the vendor's
shares."""

SHRINK_LINES: Final = 20
"""Lines that the category's price distribution counts for in a product type's own."""
SMALLEST_SPREAD: Final = 0.1

_PRICED: Final = """
CREATE OR REPLACE TEMP TABLE product AS
WITH line AS (SELECT *, {part} = '{train}' AS teaches FROM silver)
SELECT PROD_CODE, any_value(PROD_CODE_10) AS kind, any_value(PROD_CODE_20) AS category,
       count(*) FILTER (teaches) AS lines,
       ln(coalesce(median(SPEND / QUANTITY) FILTER (teaches), median(SPEND / QUANTITY))) AS price
FROM line GROUP BY PROD_CODE
"""

_REFERENCE: Final = """
CREATE OR REPLACE TEMP TABLE reference AS
WITH taught AS (
    SELECT * FROM product WHERE lines > 0
), category AS (
    SELECT category, sum(lines) AS n, sum(lines * price) / sum(lines) AS mean,
           greatest($spread, sqrt(greatest(0, sum(lines * price * price) / sum(lines)
                                              - pow(sum(lines * price) / sum(lines), 2)))) AS spread
    FROM taught GROUP BY category
), kind AS (
    SELECT kind, any_value(category) AS category, count(*) AS products, sum(lines) AS n,
           sum(lines * price) / sum(lines) AS mean,
           greatest($spread, sqrt(greatest(0, sum(lines * price * price) / sum(lines)
                                              - pow(sum(lines * price) / sum(lines), 2)))) AS spread
    FROM taught GROUP BY kind
)
SELECT kind, (kind.n * kind.mean + $shrink * category.mean) / (kind.n + $shrink) AS mean,
       greatest($spread, (kind.n * kind.spread + $shrink * category.spread) / (kind.n + $shrink)) AS spread
FROM kind JOIN category USING (category) WHERE products > 1
"""

_TIER: Final = """
CREATE OR REPLACE TEMP TABLE tier AS
SELECT PROD_CODE, CASE WHEN price < mean - $limit * spread THEN -1 WHEN price > mean + $limit * spread THEN 1 ELSE 0 END AS tier
FROM product JOIN reference USING (kind)
"""

_SCORE: Final = """
CREATE OR REPLACE TEMP TABLE score AS
SELECT BASKET_ID, any_value(CUST_CODE) AS CUST_CODE, any_value(SHOP_WEEK) AS SHOP_WEEK,
       count(tier) AS classified, sum(tier) / count(tier) AS score
FROM silver LEFT JOIN tier USING (PROD_CODE)
GROUP BY BASKET_ID
"""

_LABEL: Final = """
CREATE OR REPLACE TABLE silver AS
SELECT silver.* REPLACE (
    CASE WHEN classified = 0 THEN 'XX' WHEN score <= $la_until THEN 'LA' WHEN score >= $um_from THEN 'UM' ELSE 'MM' END
    AS BASKET_PRICE_SENSITIVITY
)
FROM silver JOIN score USING (BASKET_ID)
"""


def add_label(database: duckdb.DuckDBPyConnection, windows: Windows) -> None:
    """Fills BASKET_PRICE_SENSITIVITY of table `silver`; leaves the tables `tier` and `score` behind for tests.

    Args:
        database: With the table.
        windows: Which weeks may set a price.
    """
    database.execute(_PRICED.format(part=part_sql("CUST_CODE", "SHOP_WEEK", windows), train=TRAIN))
    database.execute(_REFERENCE, {"spread": SMALLEST_SPREAD, "shrink": SHRINK_LINES})
    database.execute(_TIER, {"limit": TIER_LIMIT})
    database.execute(_SCORE)
    database.execute(_LABEL, {"la_until": LA_UNTIL, "um_from": UM_FROM})
