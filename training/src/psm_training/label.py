"""The label of sources that have none: which price tier of products does the basket choose.

The vendor's idea, on our data. A product's price is the median unit price that *other* households paid for it
(leave own household out: a basket never prices its own label), as a z-score of the logarithm within PROD_CODE_10.
A basket's score is the mean over its lines; LA, MM and UM are cut at the 25th and 75th percentile of training
baskets; fewer than three classified lines make it XX.
"""

from typing import Final

import duckdb

from psm_training.split import TRAIN, part_sql

MIN_CLASSIFIED_LINES: Final = 3
CUTS: Final = (0.25, 0.75)
SHRINK_LINES: Final = 20
"""Lines that the category's price distribution counts for in a product type's own."""
SMALLEST_SPREAD: Final = 0.1
Z_LIMIT: Final = 2.0

_RANKED: Final = """
CREATE OR REPLACE TEMP TABLE priced AS
SELECT BASKET_ID, CUST_CODE, PROD_CODE, SPEND / QUANTITY AS price,
       row_number() OVER product - 1 AS rank,
       row_number() OVER own - 1 AS own_rank,
       count(*) OVER (PARTITION BY PROD_CODE) AS lines,
       count(*) OVER (PARTITION BY PROD_CODE, CUST_CODE) AS own_lines
FROM silver
WINDOW product AS (PARTITION BY PROD_CODE ORDER BY SPEND / QUANTITY, CUST_CODE, BASKET_ID, SPEND),
       own AS (PARTITION BY PROD_CODE, CUST_CODE ORDER BY SPEND / QUANTITY, BASKET_ID, SPEND)
"""

# With a household's own lines taken out of the sorted prices, the element that has j others before it lies at rank
# j + the number of own lines whose count of others before them (rank - own_rank) is at most j.
_OTHERS: Final = """
CREATE OR REPLACE TEMP TABLE others AS
WITH middle AS (
    SELECT PROD_CODE, CUST_CODE,
           (lines - own_lines - 1) // 2 + count(*) FILTER (rank - own_rank <= (lines - own_lines - 1) // 2) AS low,
           (lines - own_lines) // 2 + count(*) FILTER (rank - own_rank <= (lines - own_lines) // 2) AS high
    FROM priced WHERE lines > own_lines GROUP BY PROD_CODE, CUST_CODE, lines, own_lines
)
SELECT middle.PROD_CODE, middle.CUST_CODE, (a.price + b.price) / 2 AS price
FROM middle
JOIN priced a ON a.PROD_CODE = middle.PROD_CODE AND a.rank = low
JOIN priced b ON b.PROD_CODE = middle.PROD_CODE AND b.rank = high
"""

_REFERENCE: Final = """
CREATE OR REPLACE TEMP TABLE reference AS
WITH product AS (
    SELECT PROD_CODE, any_value(PROD_CODE_10) AS kind, any_value(PROD_CODE_20) AS category, count(*) AS lines,
           ln(median(SPEND / QUANTITY)) AS price
    FROM silver GROUP BY PROD_CODE
), category AS (
    SELECT category, sum(lines) AS n, sum(lines * price) / sum(lines) AS mean,
           greatest($spread, sqrt(greatest(0, sum(lines * price * price) / sum(lines)
                                              - pow(sum(lines * price) / sum(lines), 2)))) AS spread
    FROM product GROUP BY category
), kind AS (
    SELECT kind, any_value(category) AS category, sum(lines) AS n, sum(lines * price) / sum(lines) AS mean,
           greatest($spread, sqrt(greatest(0, sum(lines * price * price) / sum(lines)
                                              - pow(sum(lines * price) / sum(lines), 2)))) AS spread
    FROM product GROUP BY kind
)
SELECT kind AS PROD_CODE_10, (kind.n * kind.mean + $shrink * category.mean) / (kind.n + $shrink) AS mean,
       greatest($spread, (kind.n * kind.spread + $shrink * category.spread) / (kind.n + $shrink)) AS spread
FROM kind JOIN category USING (category)
"""

_SCORE: Final = """
CREATE OR REPLACE TEMP TABLE score AS
SELECT BASKET_ID, any_value(s.CUST_CODE) AS CUST_CODE, any_value(SHOP_WEEK) AS SHOP_WEEK,
       count(o.price) AS classified,
       round(avg(greatest(-$limit, least($limit, (ln(o.price) - r.mean) / r.spread))), 9) AS score
FROM silver s
LEFT JOIN others o ON o.PROD_CODE = s.PROD_CODE AND o.CUST_CODE = s.CUST_CODE
LEFT JOIN reference r USING (PROD_CODE_10)
GROUP BY BASKET_ID
"""

_LABEL: Final = """
CREATE OR REPLACE TABLE silver AS
WITH cut AS (
    SELECT quantile_cont(score, $cuts) AS at FROM score
    WHERE classified >= $min_lines AND {part} = '{train}'
), labelled AS (
    SELECT BASKET_ID, CASE WHEN classified < $min_lines THEN 'XX' WHEN score <= cut.at[1] THEN 'LA'
                           WHEN score <= cut.at[2] THEN 'MM' ELSE 'UM' END AS label
    FROM score CROSS JOIN cut
)
SELECT silver.* REPLACE (label AS BASKET_PRICE_SENSITIVITY)
FROM silver JOIN labelled USING (BASKET_ID)
"""


def add_label(database: duckdb.DuckDBPyConnection) -> None:
    """Fills BASKET_PRICE_SENSITIVITY of table `silver`; leaves the tables `others` and `score` behind for tests."""
    database.execute(_RANKED)
    database.execute(_OTHERS)
    database.execute(_REFERENCE, {"spread": SMALLEST_SPREAD, "shrink": SHRINK_LINES})
    database.execute(_SCORE, {"limit": Z_LIMIT})
    database.execute(
        _LABEL.format(part=part_sql("CUST_CODE", "SHOP_WEEK"), train=TRAIN),
        {"cuts": list(CUTS), "min_lines": MIN_CLASSIFIED_LINES},
    )
