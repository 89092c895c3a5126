"""`make bench-data`: raw -> gold beside pandas, Polars and DuckDB by hand; file formats; S3; and how it scales.

Writes build/bench/data.json after every figure; a complete run also draws docs/img/bench-data.svg and writes the tables of
docs/data-performance.md.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.data.etl import ENGINES, OURS, Seen, TooLargeError, interleaved, run_engine, seen
from bench.data.formats import measure_formats
from bench.data.plot import draw
from bench.data.storage import measure_s3
from bench.data.tell import judge, tell
from bench.results import FAILURES as COMMON_FAILURES
from bench.results import REPOSITORY, Results, machine, say
from botocore.exceptions import BotoCoreError, ClientError

from psm_local.errors import LocalError
from psm_local.servers import start_s3
from psm_training.synthetic_files import TRUTH, Order, synthesize

RESULTS: Final = REPOSITORY / "build" / "bench" / "data.json"
PLOT: Final = REPOSITORY / "docs" / "img" / "bench-data.svg"
PAGE: Final = REPOSITORY / "docs" / "data-performance.md"
FAILURES: Final = (*COMMON_FAILURES, LocalError, BotoCoreError, ClientError, subprocess.TimeoutExpired)
LINES: Final = 2_670_000
"""Of the file in the design: a year of the vendor's sample."""

SCALES: Final = (1, 4, 16)
WEEKS: Final = 52
PANDAS: Final = "pandas_usual"
PANDAS_MAX_SCALE: Final = 4
"""pandas needs some 3 GB for each LINES."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    lines: int
    scales: tuple[int, ...]
    s3_mib: int
    repeat: int
    results: Path

    @property
    def is_complete(self) -> bool:
        """Whether the page may tell it."""
        return self.results == RESULTS and self.lines == LINES and self.scales == SCALES


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.data", description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES, help="of the file (default: %(default)s)")
    parser.add_argument(
        "--scales", default=",".join(map(str, SCALES)), help="times as many weeks (default: %(default)s)"
    )
    parser.add_argument("--s3-mib", type=int, default=256, help="of the object; 0 leaves S3 out (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="times of everything (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    scales = tuple(int(text) for text in args.scales.split(",") if text)
    return Options(args.lines, scales, args.s3_mib, args.repeat, args.results)


def main(chosen: Options) -> int:
    """Every phase; the exit code is 1 where one did not reach its end or a target is missed."""
    results = Results(chosen.results, FAILURES)
    results.set(machine=machine(), lines=chosen.lines, repeat=chosen.repeat, etl=[], formats=[], s3=[], scaling=[])
    with tempfile.TemporaryDirectory(dir=_place(chosen.results)) as name:
        folder = Path(name)
        source = folder / "source"
        say(f"make {chosen.lines:,} lines")
        make(source, Order(lines=chosen.lines, weeks=WEEKS, is_one_file=True, is_quoted=True))
        with results.phase("etl"):
            measure_etl(chosen, source, folder, results)
        with results.phase("formats"):
            say("formats")
            (folder / "formats").mkdir()
            results.set(formats=measure_formats(source, folder / "formats", chosen.repeat))
        shutil.rmtree(source)
        shutil.rmtree(folder / "formats", ignore_errors=True)
        if chosen.s3_mib:
            with results.phase("s3"), start_s3("bench-data-s3", say=lambda _: None) as endpoints:
                say("S3")
                results.set(s3=measure_s3(endpoints, chosen.s3_mib, chosen.repeat))
        for scale in sorted(chosen.scales):
            with results.phase(f"scaling {scale}"):
                measure_scale(chosen, scale, folder, results)
    return publish(chosen, results)


def _place(results: Path) -> Path:
    """Large files go beside the results: /tmp may be memory."""
    results.parent.mkdir(parents=True, exist_ok=True)
    return results.parent


def make(folder: Path, order: Order) -> dict[str, Any]:
    """Lines as a till delivers them: without the truth, which ours would look at and the others would not."""
    made = synthesize(folder, order)
    (folder / TRUTH).unlink()
    return made


def measure_etl(chosen: Options, source: Path, folder: Path, results: Results) -> None:
    """Every engine, interleaved; the medians.

    Raises:
        RuntimeError: One failed, or made another gold than ours.
    """
    samples: dict[str, list[dict[str, Any]]] = defaultdict(list)
    found: dict[str, Seen] = {}
    for turn, name in interleaved(list(ENGINES), chosen.repeat):
        out = folder / f"{name}-{turn}"
        samples[name].append(run_engine(name, source, out))
        say(f"{name}: {samples[name][-1]}")
        found[name] = seen(name, out)
        shutil.rmtree(out)
        results.set(etl=[{"engine": engine, **_medians(of)} for engine, of in samples.items()])
    different = [name for name, gold in found.items() if gold.differs_from(found[OURS])]
    if different:
        raise RuntimeError(f"not the same gold: {', '.join(f'{name} {found[name]}' for name in (OURS, *different))}")


def measure_scale(chosen: Options, scale: int, folder: Path, results: Results) -> None:
    """So many times the weeks, one file each, once; ours first."""
    source = folder / f"source-{scale}"
    say(f"scale {scale}: make {scale * chosen.lines:,} lines")
    made = make(source, Order(lines=scale * chosen.lines, weeks=scale * WEEKS, is_quoted=True))
    try:
        for name in ENGINES:
            if name == PANDAS and scale > PANDAS_MAX_SCALE:
                continue
            out = folder / f"{name}-scale"
            with results.phase(f"scaling {scale} {name}"):
                try:
                    figures = run_engine(name, source, out)
                except TooLargeError as err:
                    figures = {"stopped": str(err)}
                say(f"scale {scale}, {name}: {figures}")
                entry = {"scale": scale, "engine": name, "lines": made["lines"], "weeks": scale * WEEKS, **figures}
                results.set(scaling=[*results.figures["scaling"], entry])
            shutil.rmtree(out, ignore_errors=True)
    finally:
        shutil.rmtree(source)


def _medians(samples: list[dict[str, Any]]) -> dict[str, float]:
    return {key: round(median(sample[key] for sample in samples), 3) for key in samples[0]}


def publish(chosen: Options, results: Results) -> int:
    """Judge, and draw and tell a complete run; the exit code."""
    results.set(targets=judge(results.as_json()))
    say(f"wrote {chosen.results}")
    if chosen.is_complete:
        draw(results.as_json(), PLOT)
        tell(results.as_json(), PAGE)
        say(f"wrote {PLOT} and {PAGE}")
    missed = [target for target in results.figures["targets"] if target["met"] is False]
    for target in missed:
        say(f"missed: {target['target']}: {target['measured']}, wanted {target['wanted']}")
    for error in results.errors:
        say(f"did not reach its end: {error}")
    return 1 if missed or results.errors else 0


if __name__ == "__main__":
    sys.exit(main(options()))
