"""Silver and gold -> records of the feature groups, as pyarrow.Tables.

Times are the shop's, written as if it stood in UTC: the data knows no time zone, and comparing needs none.
"""

from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from psm_contract.features import FEATURES, basket_features, feature_schema
from psm_contract.tables import Tables
from psm_training.errors import PipelineError
from psm_training.feature_store.groups import EVENT_TIME, HISTORY_DAYS, HOUSEHOLD_HISTORY
from psm_training.gold import Gold

_HISTORY: Final = f"""
WITH basket AS (
    SELECT CUST_CODE AS household, BASKET_ID, strptime(CAST(any_value(SHOP_DATE) AS VARCHAR), '%Y%m%d')::DATE AS day,
           sum(SPEND ORDER BY SPEND) AS spend, sum(QUANTITY) AS items
    FROM silver WHERE CUST_CODE IS NOT NULL AND SHOP_DATE IS NOT NULL GROUP BY CUST_CODE, BASKET_ID
), ended AS (
    SELECT max(strptime(CAST(SHOP_DATE AS VARCHAR), '%Y%m%d')::DATE) + 1 AS known
    FROM silver WHERE SHOP_DATE IS NOT NULL GROUP BY SHOP_WEEK
), moment AS (
    SELECT DISTINCT household, known FROM (SELECT household, min(day) AS beginning FROM basket GROUP BY household), ended
    WHERE known > beginning
)
SELECT moment.household AS household, strftime(known, '%Y-%m-%dT00:00:00Z') AS {EVENT_TIME},
       count(BASKET_ID) AS baskets, coalesce(sum(spend ORDER BY BASKET_ID), 0.0) AS spend, coalesce(sum(items), 0)::BIGINT AS items,
       sum(spend ORDER BY BASKET_ID) / count(BASKET_ID) AS spend_per_basket,
       sum(spend ORDER BY BASKET_ID) / sum(items) AS spend_per_item,
       CAST(strftime(max(day), '%Y%m%d') AS BIGINT) AS last_basket_date
FROM moment LEFT JOIN basket
  ON basket.household = moment.household AND day < known AND day >= known - {HISTORY_DAYS}
GROUP BY moment.household, known ORDER BY known, moment.household
"""  # noqa: S608  # names and a number of our own

_MOMENTS: Final = """
SELECT BASKET_ID, any_value(SHOP_DATE) AS day, any_value(SHOP_HOUR) AS hour FROM silver GROUP BY BASKET_ID
ORDER BY BASKET_ID
"""


def household_history(database: duckdb.DuckDBPyConnection) -> Any:
    """Records of HOUSEHOLD_HISTORY at the end of every week since a household's first basket.

    Sums are taken in a fixed order, so that the same lines give the same bits and a second ingest finds nothing new.
    A week has ended when the day after its last one begins, so a record holds only what happened before its event time.
    A household that stopped shopping gets records of zero baskets, or its last habits would count for ever.

    Args:
        database: With the view `silver`.
    """
    records: Any = database.sql(_HISTORY).to_arrow_table()
    return records.select([name for name, _ in HOUSEHOLD_HISTORY.definitions])


def basket_records(database: duckdb.DuckDBPyConnection, gold: Gold, tables: Tables) -> Any:
    """Records of `groups.basket_features`: numbers as they are, categories by their word, as a client would send them.

    Args:
        database: With the view `silver`.
        gold: All baskets, in the order of BASKET_ID.
        tables: Of the recipe.

    Raises:
        PipelineError: A basket has no date.
    """
    matrix = basket_features(gold.lines, tables)
    columns: dict[str, Any] = {
        "basket_id": [str(basket) for basket in gold.basket.tolist()],
        EVENT_TIME: _event_times(database, gold),
    }
    for number, feature in enumerate(feature_schema(tables)):
        values = matrix[:, number]
        words = np.asarray(feature.vocabulary, dtype=object)
        columns[feature.name] = (
            words[values.astype(np.int64)] if feature.kind == "category" else values.astype(np.float64)
        )
    return pa.table({name: columns[name] for name in ("basket_id", EVENT_TIME, *(spec.name for spec in FEATURES))})


def _event_times(database: duckdb.DuckDBPyConnection, gold: Gold) -> list[str]:
    rows = database.execute(_MOMENTS).fetchall()
    if [row[0] for row in rows] != gold.basket.tolist():
        raise PipelineError("silver and gold hold different baskets; run `psm-train split` again")
    undated = next((row[0] for row in rows if row[1] is None), None)
    if undated is not None:
        raise PipelineError(f"basket {undated} has no SHOP_DATE, so it is not known when its features became true")
    return [
        f"{day // 10_000:04d}-{day // 100 % 100:02d}-{day % 100:02d}T{hour or 0:02d}:00:00Z" for _, day, hour in rows
    ]
