"""`make bench-operator`: how fast the operator is, beside a naive handler that does the same once.

Writes build/bench/operator.json after every phase; a complete run also draws docs/img/bench-operator.svg and writes the
tables of docs/performance.md.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from bench.operator.cold import measure_naive, measure_operator
from bench.operator.contestants import Stage
from bench.operator.following import following
from bench.operator.lab import lab
from bench.operator.place import Place
from bench.operator.plot import draw
from bench.operator.steady import measure_steady
from bench.operator.tell import tell
from bench.results import FAILURES as COMMON_FAILURES
from bench.results import REPOSITORY, Results, machine, say
from botocore.exceptions import BotoCoreError, ClientError

from psm_local.errors import LocalError

RESULTS: Final = REPOSITORY / "build" / "bench" / "operator.json"
PLOT: Final = REPOSITORY / "docs" / "img" / "bench-operator.svg"
PAGE: Final = REPOSITORY / "docs" / "performance.md"
CRS: Final = (100, 500, 1000, 2000)
CHURN_MINUTES: Final = 30.0
FAILURES: Final = (*COMMON_FAILURES, LocalError, aiohttp.ClientError, BotoCoreError, ClientError)


@dataclass(frozen=True)
class Options:
    """What to measure."""

    crs: tuple[int, ...]
    churn_minutes: float
    steady: int
    has_naive: bool
    results: Path

    @property
    def is_complete(self) -> bool:
        """Whether the page may tell it."""
        is_whole = set(self.crs) >= set(CRS) and self.churn_minutes >= CHURN_MINUTES and self.has_naive
        return is_whole and self.results == RESULTS

    @property
    def order(self) -> tuple[int, ...]:
        """Small ones first; the one with the long phases last, so that a run that is cut short lacks the least."""
        return (*sorted(set(self.crs) - {self.steady}), *({self.steady} & set(self.crs)))


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.operator", description=__doc__)
    parser.add_argument("--crs", default=",".join(map(str, CRS)), help="numbers of models (default: %(default)s)")
    parser.add_argument(
        "--churn-minutes", type=float, default=CHURN_MINUTES, help="0 leaves churn out (default: %(default)s)"
    )
    parser.add_argument(
        "--steady", type=int, default=0, help="number of models for the other phases (default: 1000 or the most)"
    )
    parser.add_argument("--no-naive", action="store_true", help="leave the naive handler out")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    crs = tuple(int(text) for text in args.crs.split(",") if text)
    steady = args.steady or (1000 if 1000 in crs else max(crs))
    return Options(crs, args.churn_minutes, steady, not args.no_naive, args.results)


async def run(chosen: Options) -> int:
    """Every phase, each number of models on fresh control planes; who goes first alternates. Returns the exit code."""
    results = Results(chosen.results, FAILURES)
    results.set(machine=machine())
    try:
        for turn, models in enumerate(chosen.order):
            contests = [measure_floor, measure_one] if chosen.has_naive else [measure_one]
            for contest in reversed(contests) if turn % 2 and models != chosen.steady else contests:
                with results.phase(f"{contest.__name__} {models}"):
                    await contest(models, chosen, results)
            say(f"{models}: {results.runs.get((models,))}")
    finally:
        publish(chosen, results)
    for error in results.errors:
        say(f"did not reach its end: {error}")
    return 1 if results.errors else 0


def publish(chosen: Options, results: Results) -> None:
    """Draw and tell a complete run, also one that was cut short: its errors are among its figures."""
    say(f"wrote {chosen.results}")
    if chosen.is_complete:
        draw(results.as_json(), PLOT)
        tell(results.as_json(), PAGE)
        say(f"wrote {PLOT} and {PAGE}")


async def measure_floor(models: int, chosen: Options, results: Results) -> None:
    """The naive handler, cold."""
    say(f"{models} models: naive")
    async with (
        lab(f"bench-{models}-naive", models, quietly) as (cluster, kube, _),
        Stage.of(cluster, chosen.results.parent / "logs") as stage,
        following(kube) as seen,
    ):
        results.run({"crs": models}, **await measure_naive(models, stage, seen, kube))


async def measure_one(models: int, chosen: Options, results: Results) -> None:
    """The operator, cold, and for one number of models everything else."""
    say(f"{models} models: operator")
    async with (
        lab(f"bench-{models}", models, quietly) as (cluster, kube, registry),
        Stage.of(cluster, chosen.results.parent / "logs") as stage,
        following(kube) as seen,
    ):
        one, figures = await measure_operator(models, stage, seen, kube)
        results.run({"crs": models}, **figures)
        say(f"{models} models: converged after {figures['converged_s']} s")
        if models == chosen.steady:
            place = Place(models, one, stage, seen, kube, registry)
            await measure_steady(place, results, chosen.churn_minutes, say)


def quietly(_: str) -> None:
    """The control plane's own progress is not told."""


if __name__ == "__main__":
    sys.exit(asyncio.run(run(options())))
