"""Silver and gold as views of a DuckDB connection: how every step but the ones that write them reads the lake."""

from typing import Final

import duckdb

from psm_contract.features import CONTEXT_COLUMNS
from psm_training.workspace import Workspace, need

MEMORY_LIMIT: Final = "2GB"
"""DuckDB spills to disk beyond it; the whole pipeline stays below 4 GB."""


def open_lake(space: Workspace) -> duckdb.DuckDBPyConnection:
    """Opens the lake of a workspace; close it, or use it in `with`.

    View `silver` holds the 22 columns, one row per line. View `gold` is there once `split` has run, one row per basket:
    BASKET_ID, household, SHOP_WEEK, STORE_REGION, label, part, the context columns, and PROD_CODE, PROD_CODE_10,
    PROD_CODE_20, PROD_CODE_30, QUANTITY, SPEND as lists over its lines.

    Raises:
        PipelineError: `ingest` has not run.
    """
    database = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
    database.execute(f"CREATE VIEW silver AS FROM read_parquet({_text(str(need(space.silver, 'ingest')))})")
    if space.baskets.exists():
        context = ", ".join(
            f"any_value({name}) AS {name}" for name in dict.fromkeys((*CONTEXT_COLUMNS, "STORE_REGION"))
        )
        order = "ORDER BY PROD_CODE, PROD_CODE_10, PROD_CODE_20, PROD_CODE_30, QUANTITY, SPEND"
        columns = ("PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30", "QUANTITY", "SPEND")
        lines = ", ".join(f"list({name} {order}) AS {name}" for name in columns)
        database.execute(
            f"CREATE VIEW gold AS SELECT b.BASKET_ID, household, week AS SHOP_WEEK, label, part, "  # noqa: S608  # our own names
            f"l.* EXCLUDE (BASKET_ID) FROM read_parquet({_text(str(space.baskets))}) b "
            f"JOIN (SELECT BASKET_ID, {context}, {lines} FROM silver GROUP BY BASKET_ID) l USING (BASKET_ID)"
        )
    return database


def _text(value: str) -> str:
    """A string as SQL; views take no parameters."""
    return "'" + value.replace("'", "''") + "'"
