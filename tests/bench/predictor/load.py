"""The load: wrk on the core that the server does not have, with bodies that differ from request to request."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.predictor.dialects import Dialect
from bench.predictor.subject import Subject

SCRIPT: Final = Path(__file__).parent / "wrk.lua"
DISTINCT: Final = {1: 5000, 100: 50}
"""Rows of a request -> bodies in rotation: 5,000 baskets either way, more than a core's cache holds the paths of."""

_SLOW_S: Final = 20
"""wrk gives a request up after this long; its default of 2 s would cut off the slowest peers' tails."""


@dataclass(frozen=True)
class Outcome:
    """What wrk saw; a request that failed is counted among all of them."""

    requests: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed: int


def wrk() -> str:
    """The program.

    Raises:
        RuntimeError: There is none.
    """
    path = shutil.which("wrk")
    if path is None:
        raise RuntimeError("wrk is not installed; Debian and Ubuntu have it: apt-get install wrk")
    return path


def write_bodies(subject: Subject, dialect: Dialect, rows: int, path: Path) -> None:
    """One body per line."""
    with path.open("w") as file:
        for number in range(DISTINCT[rows]):
            document = dialect.ask(subject.baskets(number * rows, rows))
            file.write(json.dumps(document, separators=(",", ":")) + "\n")


def send(url: str, bodies: Path, connections: int, seconds: int, core: int) -> Outcome:
    """Load for so long.

    Raises:
        RuntimeError: wrk failed.
    """
    command = [
        *("taskset", "-c", str(core), wrk(), "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--timeout", f"{_SLOW_S}s", "--script", str(SCRIPT), url, "--", str(bodies)),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk failed with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
    return Outcome(**json.loads(lines[-1]))
