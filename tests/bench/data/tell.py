"""Judges the results and writes them into docs/data-performance.md, between two marks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.data.etl import ENGINES, OURS
from bench.page import Column, measured_on, replace, row, table

COMMAND: Final = "bench-data"
BY_HAND: Final = ("duckdb_sql", "polars_lazy")
PANDAS: Final = "pandas_usual"

ETL: Final[tuple[Column, ...]] = (
    ("Engine", lambda run: ENGINES.get(run["engine"], run["engine"])),
    ("Seconds", lambda run: run["seconds"]),
    ("CPU, s", lambda run: run["cpu_s"]),
    ("Peak memory, MiB", lambda run: run["peak_mib"]),
)
FORMATS: Final[tuple[Column, ...]] = (
    ("Format", lambda run: run["format"]),
    ("MiB", lambda run: run["mib"]),
    ("Write, s", lambda run: run["write_s"]),
    ("Read all, s", lambda run: run["read_s"]),
    ("Read one week of one region, s", lambda run: run["filtered_read_s"]),
)
S3: Final[tuple[Column, ...]] = (
    ("Way", lambda run: run["way"]),
    ("MiB", lambda run: run["mib"]),
    ("Seconds", lambda run: run["seconds"]),
    ("MiB/s", lambda run: run["mib_per_s"]),
)
SCALING: Final[tuple[Column, ...]] = (
    ("Scale", lambda run: f"{run['scale']}x"),
    ("Engine", lambda run: ENGINES.get(run["engine"], run["engine"])),
    ("Lines", lambda run: f"{run['lines']:,}"),
    ("Weeks", lambda run: run["weeks"]),
    ("Seconds", lambda run: run["seconds"]),
    ("CPU, s", lambda run: run["cpu_s"]),
    ("Peak memory, MiB", lambda run: run.get("stopped") or run["peak_mib"]),
)


def _etl(results: dict[str, Any], name: str) -> dict[str, float]:
    return next(run for run in results["etl"] if run["engine"] == name)


def _over_pandas(results: dict[str, Any]) -> float:
    return _etl(results, PANDAS)["seconds"] / _etl(results, OURS)["seconds"]


def _over_best(results: dict[str, Any], figure: str = "seconds") -> float:
    return _etl(results, OURS)[figure] / min(_etl(results, name)[figure] for name in BY_HAND)


def _cpu_over_best(results: dict[str, Any]) -> float:
    """On a machine that others use too, CPU time says more than time."""
    return _over_best(results, "cpu_s")


def _memory_over_pandas(results: dict[str, Any]) -> float:
    return _etl(results, OURS)["peak_mib"] / _etl(results, PANDAS)["peak_mib"]


def _growth(results: dict[str, Any]) -> float:
    """Peak memory with the most weeks over that with the fewest."""
    ours = sorted(
        (run["scale"], run["peak_mib"]) for run in results["scaling"] if run["engine"] == OURS and "peak_mib" in run
    )
    if len(ours) < 2:  # two points make a slope
        raise KeyError(OURS)
    return float(ours[-1][1] / ours[0][1])


TARGETS: Final[tuple[tuple[str, str, Callable[[dict[str, Any]], float], Callable[[float], bool]], ...]] = (
    ("times as fast as pandas as usually written", ">= 2", _over_pandas, lambda value: value >= 2),
    ("time over the best by hand", "<= 1.2", _over_best, lambda value: value <= 1.2),
    ("CPU time over the best by hand", "<= 1.2", _cpu_over_best, lambda value: value <= 1.2),
    ("peak memory over pandas'", "<= 0.333", _memory_over_pandas, lambda value: value <= 1 / 3),
    ("peak memory, most weeks over fewest", "<= 1.2", _growth, lambda value: value <= 1.2),
)


def judge(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Every target; None where it was not measured."""
    judged: list[dict[str, Any]] = []
    for text, wanted, measure, is_met in TARGETS:
        try:
            value = measure(results)
        except (KeyError, StopIteration):
            judged.append({"target": text, "wanted": wanted, "measured": None, "met": None})
            continue
        judged.append({"target": text, "wanted": wanted, "measured": float(f"{value:.3g}"), "met": is_met(value)})
    return judged


def tell(results: dict[str, Any], page: Path) -> None:
    """Replace what stands between the marks."""
    replace(page, COMMAND, tables(results))


def tables(results: dict[str, Any]) -> str:
    """All tables in Markdown."""
    verdicts = {True: "met", False: "missed", None: "not measured"}
    lines = [
        "![Raw to gold, formats and scaling](img/bench-data.svg)",
        "",
        measured_on(results["machine"]),
        f"The file has {results['lines']:,} lines; medians of {results['repeat']}.",
        "",
        *table(ETL, results["etl"]),
        "",
        row(["Target", "Wanted", "Measured", ""]),
        row(["---"] * 4),
        *(
            row([one["target"], one["wanted"], str(one["measured"] or "-"), verdicts[one["met"]]])
            for one in results["targets"]
        ),
        "",
        *table(FORMATS, results["formats"]),
        "",
        *table(S3, results["s3"]),
        "",
        *table(SCALING, results["scaling"]),
    ]
    return "\n".join(lines) + "\n"
