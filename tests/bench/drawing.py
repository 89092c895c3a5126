"""The look that the plots of all benchmarks share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt  # after the choice of a backend that needs no display

OURS: Final = "#1f6feb"
OTHERS: Final = "#8c959f"
TARGET: Final = "#cf222e"
STYLE: Final[Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "bench"}


@contextlib.contextmanager
def sheet(path: Path, columns: int, size: tuple[float, float], rows: int = 1, **style: Any) -> Iterator[Any]:
    """Axes side by side, and in rows, to draw on; written as SVG, the same bytes for the same figures, when the block ends."""
    wished: Any = {**STYLE, **style}
    with plt.rc_context(wished):
        figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
        try:
            yield axes
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, format="svg", metadata={"Date": None})
        finally:
            plt.close(figure)
