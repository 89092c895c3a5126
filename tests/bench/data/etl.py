"""Raw -> gold by several engines, each in a process of its own, on the same files; what they made is compared."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from psm_training.lake.views import open_lake
from psm_training.workspace import Workspace

OURS: Final = "psm"
ENGINES: Final = {
    OURS: "psm-train ingest and split",
    "duckdb_sql": "DuckDB, by hand",
    "polars_lazy": "Polars, by hand",
    "pandas_usual": "pandas, as usually written",
}
LIMIT_S: Final = 3600
CENTS: Final = 0.005
"""Sums of floats differ with their order."""

_SEEN: Final = "SELECT count(*), sum(len(SPEND)), sum(list_sum(QUANTITY)), sum(list_sum(SPEND)) FROM gold"


@dataclass(frozen=True)
class Seen:
    """What a gold table holds."""

    baskets: int
    lines: int
    items: float
    spend: float

    def differs_from(self, other: "Seen") -> bool:
        """Beyond the rounding of sums."""
        same = (self.baskets, self.lines, self.items) == (other.baskets, other.lines, other.items)
        return not same or abs(self.spend - other.spend) > CENTS * max(1.0, self.lines**0.5)


def run_engine(name: str, source: Path, out: Path) -> dict[str, Any]:
    """One run from raw to gold.

    Args:
        name: One of ENGINES.
        source: Folder of CSV files.
        out: An empty folder.

    Raises:
        RuntimeError: It failed; the last lines that it wrote say why.
    """
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "bench.data.engines", name, str(source), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if done.returncode:
        raise RuntimeError(f"{name} failed with {done.returncode}: {' / '.join(done.stderr.splitlines()[-3:])}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def seen(name: str, out: Path) -> Seen:
    """What the engine's gold holds."""
    if name == OURS:
        with open_lake(Workspace(out)) as database:
            return Seen(*(database.execute(_SEEN).fetchone() or (0, 0, 0.0, 0.0)))
    with duckdb.connect() as database:
        database.execute(f"CREATE VIEW gold AS FROM read_parquet('{out}/gold/**/*.parquet', hive_partitioning = true)")
        return Seen(*(database.execute(_SEEN).fetchone() or (0, 0, 0.0, 0.0)))


def interleaved(names: list[str], repeat: int) -> Iterator[tuple[int, str]]:
    """Every engine once, then once more the other way round: what the machine does meanwhile hits all alike."""
    for turn in range(repeat):
        for name in names if turn % 2 == 0 else reversed(names):
            yield turn, name
