"""Writes the results into docs/predictor-performance.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.page import Column, measured_on, replace, table
from bench.predictor.contestants import CONTESTANTS
from bench.predictor.in_process import ENGINES
from bench.predictor.targets import Figures, verdict

COMMAND: Final = "bench-predictor"


def tell(results: dict[str, Any], page: Path) -> None:
    """Replace what stands between the marks."""
    replace(page, COMMAND, tables(results))


def tables(results: dict[str, Any]) -> str:
    """All tables in Markdown; what was not measured is a dash."""
    figures = Figures(results)
    model = results["model"]
    lines = [
        "![Requests per second and CPU per request](img/bench-predictor.svg)",
        "",
        measured_on(results["machine"]),
        f"The forest has {model['trees']} trees with {model['leaves']:,} leaves on {model['features']} features.",
        f"Medians of {results['repeat']} interleaved repetitions of {results['seconds']} s per point.",
        "",
        *table(SERVERS, [_entry(one.name, results) for one in CONTESTANTS]),
        "",
        *table(CONNECTIONS, [_entry(one.name, results) for one in CONTESTANTS]),
        "",
        *table(ENGINE_COLUMNS, [{"title": one.title, **figures.engines.get(one.name, {})} for one in ENGINES]),
        "",
        *table(TARGET_COLUMNS, results.get("targets", [])),
        *_left_out(results),
    ]
    return "\n".join(lines) + "\n"


def _left_out(results: dict[str, Any]) -> list[str]:
    """Names alone: the reasons speak of this machine."""
    names = ", ".join(results.get("left_out", ()))
    return ["", f"Left out, for the reasons in `build/bench/predictor.json`: {names}."] if names else []


def _entry(server: str, results: dict[str, Any]) -> dict[str, Any]:
    title = next(one.title for one in CONTESTANTS if one.name == server)
    version = results.get("versions", {}).get(server, "")
    runs = {(run["rows"], run["c"]): run for run in results["runs"] if run["server"] == server}
    return {
        "title": f"{title} ({version})" if version else title,
        **{f"{rows}/{c}": run for (rows, c), run in runs.items()},
    }


def _several(names: tuple[str, ...], point: str) -> Callable[[dict[str, Any]], str]:
    return lambda entry: " / ".join(_short(entry[point][name]) for name in names)


def _over(name: str, rows: int) -> Callable[[dict[str, Any]], str]:
    return lambda entry: " / ".join(_short(entry[f"{rows}/{c}"][name]) for c in (1, 16, 64))


def _short(value: float) -> str:
    """Three digits are more than the machine holds still for."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # three digits


_LOAD: Final = ("rps", "cpu_us", "p50_ms", "p95_ms", "p99_ms")
SERVERS: Final[tuple[Column, ...]] = (
    ("Server", lambda entry: entry["title"]),
    ("1 row, c = 16: requests/s / CPU us / p50 / p95 / p99 ms", _several(_LOAD, "1/16")),
    ("100 rows, c = 16: the same", _several(_LOAD, "100/16")),
    ("Cold start, s", _several(("cold_start_s",), "1/16")),
    ("RSS, MiB", _several(("rss_mib",), "100/16")),
)
CONNECTIONS: Final[tuple[Column, ...]] = (
    ("c = 1 / 16 / 64", lambda entry: entry["title"]),
    ("1 row: requests/s", _over("rps", 1)),
    ("1 row: p99, ms", _over("p99_ms", 1)),
    ("100 rows: requests/s", _over("rps", 100)),
    ("100 rows: p99, ms", _over("p99_ms", 100)),
)
ENGINE_COLUMNS: Final[tuple[Column, ...]] = (
    ("Engine, in process", lambda entry: entry["title"]),
    ("1 row: us", lambda entry: _short(entry["us_per_row"]["1"])),
    ("100 rows: us per row", lambda entry: _short(entry["us_per_row"]["100"])),
    ("Largest difference from scikit-learn", lambda entry: f"{entry['max_abs_diff']:.1g}"),
    ("Labels that differ", lambda entry: entry["labels_differ"]),
)
TARGET_COLUMNS: Final[tuple[Column, ...]] = (
    ("Target", lambda entry: entry["target"]),
    ("Wanted", lambda entry: entry["wanted"]),
    ("Measured", lambda entry: "-" if entry["measured"] is None else entry["measured"]),
    ("", lambda entry: verdict(entry["met"])),
)
