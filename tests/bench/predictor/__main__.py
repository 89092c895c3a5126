"""`make bench-predictor`: the predictor beside bare uvicorn, its peers and a tutorial's server, all with one model.

Writes build/bench/predictor.json after every figure; at the end judges the targets, draws docs/img/bench-predictor.svg and
writes the tables of docs/predictor-performance.md, those two only where no contestant was left to choice.
"""

import argparse
import http.client
import os
import signal
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from bench.predictor.contestants import CONTESTANTS, FLOOR, OURS, Contestant
from bench.predictor.dialects import Dialect
from bench.predictor.in_process import ENGINES, Engine, combined, measure_engine, prepare_engine
from bench.predictor.load import send, write_bodies, wrk
from bench.predictor.plot import draw
from bench.predictor.served import TOLERANCE, Served, Site, prepare, serving
from bench.predictor.subject import make_subject, size_of
from bench.predictor.targets import judge, verdict
from bench.predictor.tell import tell
from bench.predictor.venvs import version_of
from bench.results import FAILURES as COMMON_FAILURES
from bench.results import REPOSITORY, Results, machine, say

BUILD: Final = REPOSITORY / "build" / "bench"
RESULTS: Final = BUILD / "predictor.json"
PLOT: Final = REPOSITORY / "docs" / "img" / "bench-predictor.svg"
PAGE: Final = REPOSITORY / "docs" / "predictor-performance.md"

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
ROWS: Final = (1, 100)
CONNECTIONS: Final = (16, 1, 64)
CHECKED: Final = 100
WARM_UP_S: Final = 1
FAILURES: Final[tuple[type[Exception], ...]] = (*COMMON_FAILURES, http.client.HTTPException)

Point = tuple[str, int, int]
T = TypeVar("T", Contestant, Engine)


@dataclass(frozen=True)
class Options:
    """What to measure, for how long at each point, and how often."""

    contestants: tuple[Contestant, ...]
    engines: tuple[Engine, ...]
    seconds: int
    repeat: int
    results: Path

    @property
    def is_complete(self) -> bool:
        """Whether the page may be written."""
        return self.contestants == CONTESTANTS and self.engines == ENGINES and self.results == RESULTS


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.predictor", description=__doc__)
    for what, all_ in (("servers", CONTESTANTS), ("engines", ENGINES)):
        names = ", ".join(one.name for one in all_)
        parser.add_argument(f"--{what}", default="all", help=f"some of {names}, separated by commas; all; none")
    parser.add_argument("--seconds", type=int, default=3, help="at each point (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    contestants, engines = picked(parser, args.servers, CONTESTANTS), picked(parser, args.engines, ENGINES)
    asked = {one.name for one in contestants}
    if FLOOR in asked and OURS not in asked:
        parser.error(f"{FLOOR} sends what {OURS} sent; add {OURS}")
    return Options(contestants, engines, args.seconds, args.repeat, args.results)


def picked(parser: argparse.ArgumentParser, text: str, all_: tuple[T, ...]) -> tuple[T, ...]:
    """Those of the names, in their own order."""
    known = [one.name for one in all_]
    names = {"all": known, "none": []}.get(text, text.split(","))
    if unknown := set(names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    return tuple(one for one in all_ if one.name in names)


@dataclass
class Bench:
    """A run.

    Attributes:
        samples: Of every point, one per repetition.
        engines: Of every engine, one per repetition.
        bodies: Files of request bodies.
    """

    chosen: Options
    site: Site
    results: Results
    folder: Path
    samples: dict[Point, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    engines: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    bodies: dict[tuple[Dialect, int], Path] = field(default_factory=dict)

    def run(self) -> None:
        """Check everybody, then measure them in turn, backwards every second time."""
        ready = [one for one in self.chosen.contestants if self.is_right(one)]
        engines = [one for one in self.chosen.engines if self.is_loaded(one)]
        for repetition in range(self.chosen.repeat):
            for contestant in ready[:: -1 if repetition % 2 else 1]:
                with self.results.phase(contestant.name), serving(contestant, self.site) as served:
                    self.measure(served)
            for engine in engines:
                with self.results.phase(engine.name):
                    self.engines[engine.name].append(measure_engine(engine, self.site))
                    self.results.set(engines={name: combined(of) for name, of in self.engines.items()})
            say(f"repetition {repetition + 1} of {self.chosen.repeat} is done")

    def is_right(self, contestant: Contestant) -> bool:
        """Whether it can be had and answers 100 baskets as scikit-learn does, one by one and together."""
        say(f"check {contestant.name}")
        try:
            prepare(contestant, self.site)
            with serving(contestant, self.site) as served:
                alone = max(served.difference(number, 1) for number in range(CHECKED))
                worst = max(alone, served.difference(0, CHECKED))
                if not worst <= TOLERANCE:
                    raise RuntimeError(f"it answers {worst:.2g} from scikit-learn, allowed are {TOLERANCE:g}")
                if contestant.name == OURS:
                    self.keep_answers(served)
        except FAILURES as err:
            return self.leave_out(contestant.name, err)
        versions = {**self.results.figures.get("versions", {}), contestant.name: version_of(contestant.venv)}
        self.results.set(versions=versions)
        return True

    def is_loaded(self, engine: Engine) -> bool:
        """Whether an engine can be had."""
        say(f"load {engine.name}")
        try:
            prepare_engine(engine, self.site)
        except FAILURES as err:
            return self.leave_out(engine.name, err)
        return True

    def leave_out(self, name: str, err: Exception) -> bool:
        """Note why somebody is not measured; False."""
        say(f"{name} is left out: {err}")
        self.results.set(left_out={**self.results.figures.get("left_out", {}), name: str(err)})
        return False

    def keep_answers(self, served: Served) -> None:
        """What the floor will answer."""
        for rows in ROWS:
            path = self.site.subject.directory / f"answer-{rows}.json"
            path.write_bytes(served.ask(self.site.subject.baskets(0, rows)))

    def measure(self, served: Served) -> None:
        """Every point of one contestant."""
        name = served.contestant.name
        for rows in ROWS:
            self.send(served, rows, CONNECTIONS[0], WARM_UP_S)
            for connections in CONNECTIONS:
                before = served.cpu_s()
                outcome = self.send(served, rows, connections, self.chosen.seconds)
                cpu_s = served.cpu_s() - before
                if outcome["requests"] == 0:
                    raise RuntimeError(f"no answer to {rows} rows on {connections} connections: {served.last_words()}")
                sample = {
                    "rps": outcome["requests"] / outcome["seconds"],
                    "cpu_us": 1e6 * cpu_s / outcome["requests"],
                    **{key: outcome[key] for key in ("p50_ms", "p95_ms", "p99_ms", "failed")},
                    "rss_mib": served.rss_mib(),
                    "cold_start_s": served.cold_start_s,
                }
                self.keep((name, rows, connections), sample)
                served.prove()  # and what the load left in its queues is done
        one, many = (self.samples[name, rows, 16][-1] for rows in ROWS)
        say(
            f"{name}: {one['rps']:.0f} requests/s of 1 row at {one['cpu_us']:.0f} us, {many['rps']:.0f} of 100; "
            f"ready after {served.cold_start_s:.2f} s, {many['rss_mib']:.0f} MiB"
        )

    def keep(self, point: Point, sample: dict[str, float]) -> None:
        """Add a sample; the results have the medians, and the sum of what failed."""
        samples = self.samples[point]
        samples.append(sample)
        figures = {key: float(f"{median(one[key] for one in samples):.5g}") for key in sample}
        figures["failed"] = sum(int(one["failed"]) for one in samples)
        server, rows, connections = point
        self.results.run({"server": server, "rows": rows, "c": connections}, **figures)

    def send(self, served: Served, rows: int, connections: int, seconds: int) -> dict[str, Any]:
        """Load; the bodies of a dialect are written when they are first needed."""
        key = served.contestant.dialect, rows
        if key not in self.bodies:
            self.bodies[key] = self.folder / f"{len(self.bodies)}.jsonl"
            write_bodies(self.site.subject, *key, self.bodies[key])
        return asdict(send(served.url(rows), self.bodies[key], connections, seconds, LOAD_CORE))


def main(chosen: Options) -> int:
    """Everything; the exit code is 1 where a request failed, a measurement did not reach its end or one of ours was left out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no contestant is left running
    results = Results(chosen.results, FAILURES)
    wrk()
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise SystemExit(f"cores {SERVER_CORE} and {LOAD_CORE} are needed, one for the server and one for the load")
    say("train the model")
    subject = make_subject(BUILD / "predictor")
    results.set(machine=machine(), model=size_of(subject.directory), seconds=chosen.seconds, repeat=chosen.repeat)
    site = Site(subject, BUILD / "logs", SERVER_CORE)
    with tempfile.TemporaryDirectory() as folder:
        try:
            Bench(chosen, site, results, Path(folder)).run()
        finally:
            publish(chosen, results)
    return tell_targets(results)


def publish(chosen: Options, results: Results) -> None:
    """Judge, draw and tell what there is, also of a run that was cut short."""
    results.set(targets=judge(results.as_json()))
    say(f"wrote {chosen.results}")
    if chosen.is_complete:
        draw(results.as_json(), PLOT)
        tell(results.as_json(), PAGE)
        say(f"wrote {PLOT} and {PAGE}")


def tell_targets(results: Results) -> int:
    """Say of every target whether it is met, and what failed; the exit code."""
    for target in results.figures["targets"]:
        say(f"{verdict(target['met']):12} {target['target']}: {target['measured']}, wanted {target['wanted']}")
    failed = [f"{run['server']}, {run['rows']} rows, c = {run['c']}" for run in results.runs.values() if run["failed"]]
    for where in failed:
        say(f"requests failed: {where}")
    for error in results.errors:
        say(f"did not reach its end: {error}")
    ours = [name for name in results.figures.get("left_out", {}) if name.startswith(OURS)]
    return 1 if failed or results.errors or ours else 0


if __name__ == "__main__":
    sys.exit(main(options()))
