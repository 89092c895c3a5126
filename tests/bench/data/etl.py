"""Raw -> gold by several engines, each in a process of its own, on the same files; what they made is compared."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
from bench.processes import memory_mib
from bench.results import machine

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
LOOK_S: Final = 0.1
MEMORY_SHARE: Final = 0.7
"""Of the machine's memory for one engine; what asks for more is stopped."""
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


class TooLargeError(RuntimeError):
    """The engine took more memory than the machine can spare."""


def run_engine(name: str, source: Path, out: Path, most_mib: float | None = None) -> dict[str, Any]:
    """One run from raw to gold.

    Args:
        name: One of ENGINES.
        source: Folder of CSV files.
        out: An empty folder.
        most_mib: Memory beyond which it is stopped, before the kernel stops something else.

    Raises:
        TooLargeError: It needs more than that.
        RuntimeError: It failed; the last lines that it wrote say why.
    """
    out.mkdir(parents=True)
    limit = most_mib if most_mib is not None else MEMORY_SHARE * 1024 * float(str(machine()["memory_gib"]))
    command = [sys.executable, "-m", "bench.data.engines", name, str(source), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watched = _Watched(process, limit)
        try:
            told, errors = watched.communicate()
        finally:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"{name} failed with {process.returncode}: {' / '.join(errors.splitlines()[-3:])}")
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    return figures


@dataclass(frozen=True)
class _Watched:
    """A process whose memory is looked at."""

    process: subprocess.Popen[str]
    most_mib: float

    def communicate(self) -> tuple[str, str]:
        """What it wrote.

        Raises:
            TooLargeError: It grew beyond its limit.
        """
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                return self.process.communicate(timeout=LOOK_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    raise
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):  # it ended meanwhile
                if memory_mib(self.process.pid) > self.most_mib:
                    raise TooLargeError(f"more than {self.most_mib:,.0f} MiB")


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
