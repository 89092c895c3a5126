"""The same lines as CSV, JSON Lines and Parquet: size, writing, reading, reading a part. DuckDB does all of it."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb

FORMATS: Final = {
    "csv": ("lines.csv", "FORMAT csv, HEADER", "read_csv('{path}')"),
    "jsonl": ("lines.jsonl", "FORMAT json", "read_json('{path}')"),
    "parquet": ("lines.parquet", "FORMAT parquet, COMPRESSION snappy", "read_parquet('{path}')"),
    "parquet by week and region": (
        "lines",
        "FORMAT parquet, COMPRESSION snappy, PARTITION_BY (SHOP_WEEK, STORE_REGION)",
        "read_parquet('{path}/**/*.parquet', hive_partitioning = true)",
    ),
}
"""File, how it is written, how it is read."""

_ALL: Final = "CREATE OR REPLACE TEMP TABLE back AS FROM {reader}"
_PART: Final = "SELECT sum(SPEND) FROM {reader} WHERE SHOP_WEEK = {week} AND STORE_REGION = 'E02'"


def measure_formats(source: Path, folder: Path, repeat: int) -> list[dict[str, Any]]:
    """Figures of every format.

    Args:
        source: Folder of CSV files.
        folder: For what is written; empty.
        repeat: Times of everything; the medians are told.
    """
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE line AS FROM read_csv('{source}/*.csv')")
        week = (database.execute("SELECT max(SHOP_WEEK) FROM line").fetchone() or (0,))[0]
        entries = []
        for name, (file, options, reader) in FORMATS.items():
            path = folder / file
            of = reader.format(path=path)
            overwrite = ", OVERWRITE" if "PARTITION_BY" in options else ""
            entries.append(
                {
                    "format": name,
                    "write_s": _timed(database, f"COPY line TO '{path}' ({options}{overwrite})", repeat),
                    "mib": round(_bytes(path) / 2**20, 1),
                    "read_s": _timed(database, _ALL.format(reader=of), repeat),
                    "filtered_read_s": _timed(database, _PART.format(reader=of, week=week), repeat),
                }
            )
        return entries


def median_s(action: Callable[[], object], repeat: int) -> float:
    """Median duration of so many calls, in seconds."""
    durations = []
    for _ in range(repeat):
        started = time.perf_counter()
        action()
        durations.append(time.perf_counter() - started)
    return float(f"{median(durations):.4g}")


def _timed(database: duckdb.DuckDBPyConnection, query: str, repeat: int) -> float:
    return median_s(lambda: database.execute(query).fetchall(), repeat)


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
