"""Synthetic baskets as silver: the whole pipeline in seconds, against a known best accuracy."""

from typing import Any, Final

import duckdb
import numpy as np

from psm_contract.schema import CLASSES, UNCLASSIFIED
from psm_training.gold import Gold
from psm_training.synthetic import FIRST_WEEK, generate

NAME: Final = "synthetic"
BASKETS: Final = 12_000
HOUSEHOLDS: Final = 600
WEEKS: Final = 52

_SILVER: Final = """
CREATE TABLE silver AS
SELECT SHOP_WEEK, CAST(strftime(DATE '2008-02-24' + CAST((SHOP_WEEK - $first) * 7 + SHOP_WEEKDAY - 1 AS INTEGER),
                                '%Y%m%d') AS INTEGER) AS SHOP_DATE,
       SHOP_WEEKDAY, SHOP_HOUR, QUANTITY, SPEND, PROD_CODE, PROD_CODE_10, PROD_CODE_20, PROD_CODE_30,
       'D00001' AS PROD_CODE_40, printf('CUST%010d', household) AS CUST_CODE, seg_1, CAST(NULL AS VARCHAR) AS seg_2,
       BASKET_ID, BASKET_SIZE, BASKET_PRICE_SENSITIVITY, BASKET_TYPE, BASKET_DOMINANT_MISSION,
       'STORE-' || STORE_REGION || '-' || STORE_FORMAT AS STORE_CODE, STORE_FORMAT, STORE_REGION
FROM columns
"""


def load_silver(database: duckdb.DuckDBPyConnection, *, seed: int = 0) -> None:
    """Creates table `silver`, labelled."""
    gold = generate(baskets=BASKETS, households=HOUSEHOLDS, weeks=WEEKS, separation=1.2, seed=seed).gold
    database.register("columns", _columns(gold))
    database.execute(_SILVER, {"first": FIRST_WEEK})
    database.unregister("columns")


def _columns(gold: Gold) -> dict[str, Any]:
    """One array per column, one entry per line."""
    lines = gold.lines
    of_line = np.repeat(np.arange(len(gold)), np.diff(lines.starts, append=len(lines.spend)))
    words = np.array([*CLASSES, UNCLASSIFIED], dtype=object)
    levels = ("PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30")
    return {
        "SHOP_WEEK": gold.week[of_line],
        "QUANTITY": lines.quantity.astype(np.int64),
        "SPEND": lines.spend,
        **{level: np.asarray(codes) for level, codes in zip(levels, lines.codes, strict=True)},
        "household": gold.household[of_line],
        "BASKET_ID": gold.basket[of_line],
        "BASKET_PRICE_SENSITIVITY": words[gold.label][of_line],
        **{name: np.asarray(values)[of_line] for name, values in lines.context.items()},
    }
