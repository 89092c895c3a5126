"""Silver and gold as views of a DuckDB connection: how every step but the ones that write them reads the lake."""

from collections.abc import Mapping
from typing import Any, Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.lake.manifests import Table, Week
from psm_training.lake.place import lake_of
from psm_training.lake.schema import GOLD_TYPES, PARTITION, SILVER_TYPES
from psm_training.lake.sql import quoted
from psm_training.workspace import Workspace

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
    lake = lake_of(space)
    silver, gold = lake.silver.weeks(), lake.gold.weeks()
    if not silver:
        raise PipelineError(f"{lake.storage.url} holds no week; run `psm-train ingest` first")
    database = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
    view_of(database, "silver", lake.silver, SILVER_TYPES, silver)
    if gold:
        view_of(database, "gold", lake.gold, GOLD_TYPES, gold)
    return database


def has_gold(database: duckdb.DuckDBPyConnection) -> bool:
    """Whether an open lake has view `gold`."""
    return bool(database.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'gold'").fetchall())


def view_of(
    database: duckdb.DuckDBPyConnection, name: str, table: Table, types: Mapping[str, str], weeks: Mapping[int, Week]
) -> None:
    """Creates a view of some weeks: of the very files that their manifests name.

    Args:
        database: Gets the view.
        name: Of the view.
        table: Silver or gold.
        types: SQL type of each column, in order.
        weeks: As read from the table.
    """
    names = [file.name for week in weeks.values() for file in week.files]
    if not names:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in types.items())
        database.execute(f"CREATE VIEW {name} AS SELECT {empty} WHERE false")
        return
    columns = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in types.items())
    database.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM {_files(database, name, table, names)}")  # noqa: S608  # our own names


def _files(database: duckdb.DuckDBPyConnection, name: str, table: Table, names: list[str]) -> str:
    """What to read from: DuckDB opens local files itself, Arrow those in S3."""
    if table.storage.is_local:
        paths = [table.storage.path(file) for file in names]
        # told in the statement, each of some thousand paths would take 4 KB of every query
        database.execute(f"SET VARIABLE {name}_files = $paths", {"paths": paths})
        folders = ", ".join(f"{quoted(column)}: {kind}" for column, kind in _partition_types().items())
        return f"read_parquet(getvariable('{name}_files'), hive_partitioning = true, hive_types = {{{folders}}})"
    database.register(f"{name}_files", _dataset(table, names))
    return f"{name}_files"


def _partition_types() -> dict[str, str]:
    return {column: SILVER_TYPES[column] for column in PARTITION}


def _dataset(table: Table, names: list[str]) -> Any:
    import pyarrow as pa  # noqa: PLC0415  # only for lakes in S3
    from pyarrow import dataset  # noqa: PLC0415  # as above

    folders = pa.schema([("SHOP_WEEK", pa.int64()), ("STORE_REGION", pa.string())])
    return dataset.dataset(
        [table.storage.path(name) for name in names],
        filesystem=table.storage.files,
        format="parquet",
        partitioning=dataset.partitioning(folders, flavor="hive"),
        partition_base_dir=table.storage.root,
    )
