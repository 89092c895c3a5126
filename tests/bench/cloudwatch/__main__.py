"""Draws docs/img/cloudwatch-dashboard.svg: the dashboard's own JSON over the lines of two pods (`day`).

PYTHONPATH=tests .venv/bin/python -m bench.cloudwatch
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from bench.cloudwatch.day import BEGIN_S, MINUTES, lines
from bench.cloudwatch.series import Metrics, Values, evaluate
from bench.drawing import sheet
from cloudwatch_story import told

PICTURE: Final = Path(__file__).parents[3] / "docs" / "img" / "cloudwatch-dashboard.svg"
COLOURS: Final = ("#1f77b4", "#ff7f0e", "#2ca02c")


def main() -> None:
    """Draw every chart that has data."""
    wanted = told()
    metrics = Metrics(lines(wanted.owner.dimension))
    charts = [w["properties"] for w in json.loads(str(wanted.dashboard))["widgets"] if w["type"] == "metric"]
    drawn = [(chart, found) for chart in charts if (found := curves(chart, metrics))]
    with sheet(PICTURE, 2, (12, 8), 3, **{"font.size": 7, "svg.fonttype": "none"}) as axes:
        for place, (chart, found) in zip(axes.flat, drawn, strict=True):
            draw(place, chart, found)
        axes.flat[0].figure.suptitle(f"{wanted.owner.stem} (drawn from its JSON; not CloudWatch's own rendering)")


def curves(chart: dict[str, Any], metrics: Metrics) -> list[tuple[dict[str, Any], Values, Values]]:
    """Options, moments and values of each curve that can be seen; Container Insights' have no samples here."""
    found: list[tuple[dict[str, Any], Values, Values]] = []
    by_id: dict[str, Values] = {}
    for *key, options in chart["metrics"]:
        period_s = options.get("period", chart["period"])
        grid = np.arange(BEGIN_S, BEGIN_S + 60 * MINUTES, period_s)
        made = () if key else (evaluate(options["expression"], by_id, period_s),)
        values = made[0] if made else metrics.of(tuple(key), options["stat"], grid, period_s)
        by_id[options.get("id", "")] = values
        if options.get("visible", True) and not np.isnan(values).all():
            found.append((options, grid, values))
    return found


def draw(left: Any, chart: dict[str, Any], found: list[tuple[dict[str, Any], Values, Values]]) -> None:
    """One chart: curves, limits, version changes."""
    axes = {"left": left}
    for number, (options, grid, values) in enumerate(found):
        side = options.get("yAxis", "left")
        if side not in axes:
            axes[side] = left.twinx()
        hours = (grid - BEGIN_S) / 3600
        is_seen = ~np.isnan(values)
        axes[side].plot(
            hours[is_seen], values[is_seen], lw=0.8, color=COLOURS[number], label=options.get("label"), alpha=0.9
        )
    for side, place in axes.items():
        wish = chart["yAxis"][side]
        place.set_ylim(bottom=wish.get("min"), top=wish.get("max"))
        place.set_ylabel(wish.get("label", ""))
    annotations = chart["annotations"]
    for line in annotations.get("horizontal", ()):
        left.axhline(line["value"], color=line["color"], lw=0.7, ls="--")
        left.text(
            0.005, line["value"], line["label"], color=line["color"], fontsize=6, transform=left.get_yaxis_transform()
        )
    for number, line in enumerate(annotations["vertical"]):
        moment = (datetime.fromisoformat(line["value"]).timestamp() - BEGIN_S) / 3600
        left.axvline(moment, color=line["color"], lw=0.9)
        left.text(
            moment, 0.98, f"{line['label']} ", rotation=90, va="top", ha="right" if number % 2 else "left", fontsize=5,
            color=line["color"], transform=left.get_xaxis_transform(),
        )  # fmt: skip
    left.set_xlim(0, 24)
    left.set_xticks(range(0, 25, 4))
    left.set_xlabel("hour of the day, UTC")
    left.set_title(chart["title"], loc="left")
    handles = [
        handle for place in axes.values() for handle in place.get_lines() if not handle.get_label().startswith("_")
    ]
    left.legend(handles=handles, loc="center left", frameon=False, fontsize=6)


if __name__ == "__main__":
    main()
