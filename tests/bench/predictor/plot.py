"""Draws the results: requests per second for one row and for a hundred, and CPU per request."""

from pathlib import Path
from typing import Any, Final

from bench.drawing import OTHERS, OURS, sheet
from bench.predictor.contestants import CONTESTANTS, FLOOR
from bench.predictor.targets import Figures

PANELS: Final = (
    ("1 row, c = 16: requests/s", "rps", 1),
    ("100 rows, c = 16: requests/s", "rps", 100),
    ("1 row, c = 16: CPU us per request", "cpu_us", 1),
)
_FLOOR: Final = "#1a7f37"
_ROOM_FOR_NUMBERS: Final = 6
"""The axis is logarithmic; the longest bar ends at a sixth of it, so that its number has room."""


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the plot as SVG; who was not measured is left out."""
    with sheet(path, len(PANELS), (11, 4.2)) as axes:
        for number, (one, (title, name, rows)) in enumerate(zip(axes, PANELS, strict=True)):
            _bars(one, title, _values(results, name, rows))
            if number:
                one.set_yticklabels([])


def _values(results: dict[str, Any], name: str, rows: int) -> dict[str, float]:
    figures = Figures(results)
    values = {}
    for contestant in reversed(CONTESTANTS):
        try:
            values[contestant.name] = float(figures.of(contestant.name, rows, 16)[name])
        except KeyError:
            continue
    return values


def _bars(axes: Any, title: str, values: dict[str, float]) -> None:
    axes.set_title(title)
    if not values:
        return
    axes.set_xscale("log")
    bars = axes.barh(list(values), list(values.values()), color=[_colour(name) for name in values])
    axes.bar_label(bars, labels=[f"{value:,.0f}" for value in values.values()], padding=3)
    axes.set_xlim(min(values.values()) / 2, max(values.values()) * _ROOM_FOR_NUMBERS)


def _colour(name: str) -> str:
    return _FLOOR if name == FLOOR else OURS if name.startswith("psm") else OTHERS
