"""Step 1: any source -> silver, the 22 columns, in the lake."""

from pathlib import Path
from typing import Any, Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.label import add_label
from psm_training.lake.place import Lake, lake_at
from psm_training.lake.sql import quoted
from psm_training.lake.views import MEMORY_LIMIT, open_lake
from psm_training.sources import complete_journey, synthetic_baskets
from psm_training.workspace import Workspace, write_json

SOURCE_FILES: Final = "source-files"
SOURCES: Final = (complete_journey.NAME, SOURCE_FILES, synthetic_baskets.NAME)
TRUTH: Final = "truth.parquet"
"""Beside generated source files: the exact probabilities of every basket."""


def ingest(space: Workspace, source: str, data: str | Path | None = None, lake: str | None = None) -> str:
    """Brings silver up to date.

    Args:
        space: Gets source.json, which says where the lake is.
        source: One of SOURCES.
        data: Folder, file or s3:// address of the files, for source-files only.
        lake: Folder or s3:// address; by default inside the workspace.

    Returns:
        One line for the user.

    Raises:
        PipelineError: The data is not there, not whole or not of the schema.
    """
    if source not in SOURCES:
        raise PipelineError(f"unknown source {source!r}; known are {', '.join(SOURCES)}")
    space.root.mkdir(parents=True, exist_ok=True)
    where = lake or str(space.lake)
    place = lake_at(where)
    place.claim(source, replace=lake is None)
    facts: dict[str, Any] = {"source": source, **({"lake": lake} if lake is not None else {})}
    if source == SOURCE_FILES:
        facts |= _files(place, data)
    else:
        facts |= _whole(place, source)
    write_json(space.source, facts)
    with open_lake(space) as database:
        # no basket is counted here: a set of all of them would grow with every week; `split` makes a row of each
        counts = database.execute("SELECT count(*), count(DISTINCT CUST_CODE) FROM silver").fetchone()
        truth = Path(data) / TRUTH if isinstance(data, Path) or (data and "://" not in data) else None
        if source == SOURCE_FILES and truth is not None and truth.exists():
            database.execute(f"CREATE VIEW truth AS FROM read_parquet({quoted(str(truth))})")
            facts["bayes_accuracy"] = synthetic_baskets.bayes_accuracy(database)
    lines, households = counts if counts is not None else (0, 0)
    write_json(space.source, {**facts, "lines": lines, "households": households})
    news = f", {facts['files_read']} files read" if "files_read" in facts else ""
    return f"{lines:,} lines of {households:,} households from {source}{news}"


def _files(lake: Lake, data: str | Path | None) -> dict[str, Any]:
    from psm_training.sources.source_files import ingest_files  # noqa: PLC0415  # Ibis takes a second to import

    if data is None:
        raise PipelineError("source-files needs --data FOLDER, the folder of transactions_*.csv, a file or s3://")
    return {"files_read": len(ingest_files(lake, data))}


def _whole(lake: Lake, source: str) -> dict[str, Any]:
    """Sources that come as one piece."""
    from psm_training.lake.silver import write_silver  # noqa: PLC0415  # Arrow takes time to import

    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
        if source == synthetic_baskets.NAME:
            synthetic_baskets.load_silver(database)
            write_silver(database, lake, source, "generated")
            return {"bayes_accuracy": synthetic_baskets.bayes_accuracy(database)}
        complete_journey.load_silver(database)
        add_label(database)
        write_silver(database, lake, source, complete_journey.version())
        return {}
