"""Silver of the sources that come as one piece: all weeks at once, from table `silver` of a connection."""

import duckdb

from psm_contract.schema import COLUMN_NAMES
from psm_training.lake.manifests import Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.schema import SILVER_ORDER, SILVER_TYPES
from psm_training.lake.writing import partitions_of, write_weeks


def write_silver(database: duckdb.DuckDBPyConnection, lake: Lake, name: str, inputs: str) -> None:
    """Replaces silver by the table `silver`.

    Args:
        database: With the table, the 22 columns.
        lake: Where to.
        name: Of the source, as the one raw file of every week.
        inputs: What decides its content.
    """
    partitions = partitions_of(database, "silver")
    rows: dict[int, int] = {}
    for (week, _), count in partitions.items():
        rows[week] = rows.get(week, 0) + count
    digest = digest_of([name, inputs])
    weeks = [
        Week(week, digest_of([digest, str(week)]), raw={
            "files": [{"name": name, "sha256": digest, "lines": count}],
            "lines": count, "quarantined": {}, "duplicates": 0,
        })
        for week, count in sorted(rows.items())
    ]  # fmt: skip
    columns = ", ".join(f"CAST({column} AS {SILVER_TYPES[column]}) AS {column}" for column in COLUMN_NAMES)
    query = f"SELECT {columns} FROM silver"  # noqa: S608  # our own names
    write_weeks(database, lake.silver, query, order=SILVER_ORDER, partitions=partitions, weeks=weeks)
    lake.silver.drop(set(lake.silver.weeks()) - set(rows))
