"""Step 1: any source -> silver.parquet, the 22 columns in a fixed order of rows."""

from pathlib import Path
from typing import Final

import duckdb

from psm_contract.schema import COLUMN_NAMES
from psm_training.errors import PipelineError
from psm_training.label import add_label
from psm_training.sources import complete_journey, source_files, synthetic_baskets
from psm_training.workspace import Workspace, write_json

SOURCES: Final = (complete_journey.NAME, source_files.NAME, synthetic_baskets.NAME)

MEMORY_LIMIT: Final = "2GB"
"""DuckDB spills to disk beyond it; the whole pipeline stays below 4 GB."""


def ingest(space: Workspace, source: str, data: Path | None = None) -> str:
    """Writes silver.

    Args:
        space: Where to.
        source: One of SOURCES.
        data: Folder of the files, for source-files only.

    Returns:
        One line for the user.

    Raises:
        PipelineError: The data is not there or not of the schema.
    """
    space.root.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
        _load(database, source, data)
        columns = ", ".join(COLUMN_NAMES)
        database.execute(
            f"COPY (SELECT {columns} FROM silver ORDER BY BASKET_ID, PROD_CODE, SPEND, QUANTITY) "  # noqa: S608  # names of our own schema
            "TO $path (FORMAT parquet, COMPRESSION zstd)",
            {"path": str(space.silver)},
        )
        counts = database.execute(
            "SELECT count(*), count(DISTINCT BASKET_ID), count(DISTINCT CUST_CODE) FROM silver"
        ).fetchone()
    lines, baskets, households = counts if counts is not None else (0, 0, 0)
    write_json(space.source, {"source": source, "lines": lines, "baskets": baskets, "households": households})
    return f"{lines:,} lines, {baskets:,} baskets, {households:,} households from {source}"


def _load(database: duckdb.DuckDBPyConnection, source: str, data: Path | None) -> None:
    match source:
        case complete_journey.NAME:
            complete_journey.load_silver(database)
            add_label(database)
        case source_files.NAME:
            if data is None:
                raise PipelineError("source-files needs --data FOLDER, the folder of transactions_*.csv")
            source_files.load_silver(database, data)
        case synthetic_baskets.NAME:
            synthetic_baskets.load_silver(database)
        case _:
            raise PipelineError(f"unknown source {source!r}; known are {', '.join(SOURCES)}")
