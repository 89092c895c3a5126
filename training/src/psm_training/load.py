"""Reads silver and gold into memory: codes become shared strings, lines become numpy columns."""

from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from psm_contract.features import CONTEXT_COLUMNS, Lines
from psm_contract.schema import CLASSES
from psm_training.gold import UNLABELLED, Gold
from psm_training.workspace import Workspace, need

_PRODUCTS: Final = """
CREATE TEMP TABLE product AS
SELECT *, row_number() OVER (ORDER BY PROD_CODE, PROD_CODE_10, PROD_CODE_20, PROD_CODE_30) - 1 AS number
FROM (SELECT DISTINCT PROD_CODE, PROD_CODE_10, PROD_CODE_20, PROD_CODE_30 FROM silver)
"""

_BASKETS: Final = """
CREATE TEMP TABLE basket AS
WITH context AS (SELECT BASKET_ID, count(*) AS lines, {context} FROM silver GROUP BY BASKET_ID)
SELECT *, dense_rank() OVER (ORDER BY household) AS household_number
FROM read_parquet($baskets) JOIN context USING (BASKET_ID)
"""


def load_gold(space: Workspace) -> tuple[Gold, NDArray[np.object_]]:
    """Reads all baskets.

    Args:
        space: Where `ingest` and `split` wrote.

    Returns:
        All baskets in the order of BASKET_ID, and the part (train, valid, test, unused) of each.
    """
    with duckdb.connect() as database:
        database.execute(
            "CREATE TEMP TABLE silver AS FROM read_parquet($path)", {"path": str(need(space.silver, "ingest"))}
        )
        database.execute(_PRODUCTS)
        context = ", ".join(f"any_value({name}) AS {name}" for name in CONTEXT_COLUMNS)
        database.execute(_BASKETS.format(context=context), {"baskets": str(need(space.baskets, "split"))})
        products = database.execute("FROM product ORDER BY number").fetchnumpy()
        rows = database.execute(
            "SELECT number, QUANTITY, SPEND FROM silver JOIN product "
            "ON silver.PROD_CODE = product.PROD_CODE AND silver.PROD_CODE_10 IS NOT DISTINCT FROM product.PROD_CODE_10 "
            "AND silver.PROD_CODE_20 IS NOT DISTINCT FROM product.PROD_CODE_20 "
            "AND silver.PROD_CODE_30 IS NOT DISTINCT FROM product.PROD_CODE_30 "
            "ORDER BY BASKET_ID, number, QUANTITY, SPEND"
        ).fetchnumpy()
        baskets = database.execute("FROM basket ORDER BY BASKET_ID").fetchnumpy()
    return _gold(products, rows, baskets), _objects(baskets["part"])


def _gold(products: dict[str, Any], rows: dict[str, Any], baskets: dict[str, Any]) -> Gold:
    lengths = np.asarray(baskets["lines"], dtype=np.int64)
    number = np.asarray(rows["number"], dtype=np.int64)
    product, kind, category, department = (
        _objects(products[level])[number] for level in ("PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30")
    )
    numbers = {name: place for place, name in enumerate(CLASSES)}
    return Gold(
        lines=Lines(
            starts=np.cumsum(lengths) - lengths,
            quantity=np.asarray(rows["QUANTITY"], dtype=np.float64),
            spend=np.asarray(rows["SPEND"], dtype=np.float64),
            codes=(product, kind, category, department),
            context={name: _objects(baskets[name]) for name in CONTEXT_COLUMNS},
        ),
        label=np.array([numbers.get(label, UNLABELLED) for label in _objects(baskets["label"])], dtype=np.int8),
        household=np.asarray(baskets["household_number"], dtype=np.int64),
        week=np.asarray(baskets["week"], dtype=np.int32),
        basket=np.asarray(baskets["BASKET_ID"], dtype=np.int64),
    )


def _objects(column: Any) -> NDArray[np.object_]:
    """A column as Python objects; None where the database has null."""
    if isinstance(column, np.ma.MaskedArray):
        values = column.data.astype(object)
        values[np.ma.getmaskarray(column)] = None
        return np.asarray(values, dtype=object)
    return np.asarray(column, dtype=object)
