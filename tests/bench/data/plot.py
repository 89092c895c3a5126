"""Draws the results: raw -> gold by engine, file formats, and how time and memory grow with the weeks."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.data.etl import OURS
from bench.drawing import OTHERS, sheet
from bench.drawing import OURS as OUR_COLOUR


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the plot as SVG; what was not measured is left out."""
    with sheet(path, 4, (13, 3.4)) as axes:
        _bars(axes[0], "raw to gold, s", {run["engine"]: run["seconds"] for run in results["etl"]})
        _bars(axes[1], "raw to gold, peak MiB", {run["engine"]: run["peak_mib"] for run in results["etl"]})
        _bars(axes[2], "reading one week of one region, s", _reads(results["formats"]))
        _scaling(axes[3], results["scaling"])


def _reads(formats: list[dict[str, Any]]) -> dict[str, float]:
    return {run["format"].replace(" by ", "\nby "): run["filtered_read_s"] for run in formats}


def _bars(axes: Any, title: str, values: dict[str, float]) -> None:
    axes.set_title(title)
    if not values:
        return
    names = list(values)[::-1]
    ours = (OURS, "parquet\nby week and region")
    bars = axes.barh(
        names, [values[name] for name in names], color=[OUR_COLOUR if name in ours else OTHERS for name in names]
    )
    axes.bar_label(bars, labels=[f"{values[name]:,.3g}" for name in names], padding=3)
    axes.set_xlim(right=1.25 * max(values.values()))


def _scaling(axes: Any, runs: list[dict[str, Any]]) -> None:
    axes.set_title("peak MiB over millions of lines")
    of_engine = defaultdict(list)
    for run in (run for run in runs if "peak_mib" in run):
        of_engine[run["engine"]].append((run["lines"] / 1e6, run["peak_mib"]))
    for number, (engine, points) in enumerate(of_engine.items()):
        colour = OUR_COLOUR if engine == OURS else OTHERS
        axes.plot(*zip(*points, strict=True), "os^D"[number % 4] + "-", color=colour, label=engine)
    if of_engine:
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
