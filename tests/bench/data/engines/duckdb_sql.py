"""DuckDB by hand: three statements."""

from pathlib import Path

import duckdb
from bench.data.engines.columns import FIRSTS, INTEGERS, LISTS, PARTITIONS, TEXTS


def gold(source: Path, out: Path) -> None:
    """See the package."""
    types = {**dict.fromkeys(TEXTS, "VARCHAR"), **dict.fromkeys(INTEGERS, "BIGINT"), "SPEND": "DOUBLE"}
    firsts = ", ".join(f"any_value({name}) AS {name}" for name in FIRSTS)
    lists = ", ".join(f"list({name}) AS {name}" for name in LISTS)
    options = f"FORMAT parquet, COMPRESSION snappy, PARTITION_BY ({', '.join(PARTITIONS)})"
    with duckdb.connect() as database:
        database.execute("SET preserve_insertion_order = false")
        database.execute(f"SET temp_directory = '{out / 'spilled'}'")
        database.execute(
            "CREATE TABLE line AS SELECT DISTINCT * FROM read_csv($files, header = true, types = $types) "
            "WHERE QUANTITY > 0 AND SPEND > 0",
            {"files": str(source / "*.csv"), "types": types},
        )
        database.execute(f"COPY line TO '{out / 'silver'}' ({options})")
        database.execute(
            f"COPY (SELECT BASKET_ID, {firsts}, {lists} FROM line GROUP BY BASKET_ID) TO '{out / 'gold'}' ({options})"  # noqa: S608  # names of our own schema
        )
