"""`make soak-predictor`: the predictor under full load for minutes, single baskets and hundreds in turn; memory must stay flat.

Writes build/bench/soak.json: `{"minutes", "requests", "failed", "rss_mib": [after each slice], "ratio"}`.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from bench.predictor.__main__ import BUILD, LOAD_CORE, ROWS, SERVER_CORE
from bench.predictor.contestants import CONTESTANTS, OURS
from bench.predictor.load import send, write_bodies
from bench.predictor.served import Site, serving
from bench.predictor.subject import make_subject
from bench.results import say

SLICE_S: Final = 15
CONNECTIONS: Final = 16
MOST_GROWTH: Final = 1.05
"""Median of the last quarter's slices over that of the first's; the allocator's own breathing is below it."""


def soak(minutes: float, folder: Path) -> int:
    """Load and look; the exit code is 1 where a request failed or memory grew.

    Args:
        minutes: How long.
        folder: For the request bodies.
    """
    subject = make_subject(BUILD / "predictor")
    ours = next(one for one in CONTESTANTS if one.name == OURS)
    for rows in ROWS:
        write_bodies(subject, ours.dialect, rows, folder / f"{rows}.jsonl")
    rss_mib: list[float] = []
    requests = failed = 0
    with serving(ours, Site(subject, BUILD / "logs", SERVER_CORE)) as served:
        for number in range(max(4, round(minutes * 60 / SLICE_S))):
            rows = ROWS[number % len(ROWS)]
            outcome = send(served.url(rows), folder / f"{rows}.jsonl", CONNECTIONS, SLICE_S, LOAD_CORE)
            requests, failed = requests + outcome.requests, failed + outcome.failed
            rss_mib.append(round(served.rss_mib(), 1))
            say(f"{requests:,} requests, {failed} failed, {rss_mib[-1]} MiB")
        served.prove()
    quarter = len(rss_mib) // 4
    ratio = median(rss_mib[-quarter:]) / median(rss_mib[:quarter])
    figures = {"minutes": minutes, "requests": requests, "failed": failed, "rss_mib": rss_mib, "ratio": round(ratio, 4)}
    (BUILD / "soak.json").write_text(json.dumps(figures, indent=1) + "\n")
    say(f"memory at the end over memory at the start: {ratio:.3f}, allowed {MOST_GROWTH}")
    return 1 if failed or ratio > MOST_GROWTH else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.predictor.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(soak(parser.parse_args().minutes, Path(scratch)))
