"""The look of the report's pictures: inline SVG that follows the page's colours, the same bytes for the same figures.

Text, axes and grids are drawn in one odd colour that becomes `currentColor`, so they are dark on a light page and
light on a dark one. Without pyplot: no global state, no display.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

INK: Final = "#0a0b0c"
COLOURS: Final = {"LA": "#e0662b", "MM": "#23a17f", "UM": "#4a90e2", "XX": "#9aa3ad"}
"""One per class, after Okabe and Ito's palette; apart for colour-blind eyes, readable on white and on black."""

ACCENT: Final = "#4a90e2"
WARNING: Final = "#e0483b"
QUIET: Final = "#9aa3ad"

_LOOK: Final[Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.alpha": 0.13,
    "grid.color": INK,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_NO_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass
class Sheet:
    """A picture while it is drawn.

    Attributes:
        figure: To draw on.
        axes: Of the figure, as Figure.subplots gives them.
        svg: The picture, once its block has ended.
    """

    figure: Figure
    axes: Any
    svg: str = field(default="")


@contextmanager
def sheet(
    name: str, size: tuple[float, float], rows: int = 1, columns: int = 1, *, standalone: bool = False, **options: Any
) -> Iterator[Sheet]:
    """A picture to draw on; its SVG is there when the block ends.

    Args:
        name: Unique on the page; ids in the SVG begin with it.
        size: Width and height, inches.
        rows: Of axes.
        columns: Of axes.
        standalone: For a file of its own, which has no page to take colours from: black on white, text as paths.
        options: For Figure.subplots.
    """
    look = {**_LOOK, "svg.hashsalt": name, "svg.fonttype": "path" if standalone else "none"}
    with rc_context(look):
        figure = Figure(figsize=size, layout="constrained")
        drawn = Sheet(figure, figure.subplots(rows, columns, squeeze=False, **options))
        yield drawn
        raw = io.StringIO()
        figure.savefig(raw, format="svg", metadata=_NO_METADATA, facecolor="white" if standalone else "none")
    drawn.svg = raw.getvalue() if standalone else _inline(raw.getvalue(), name)


def _inline(svg: str, name: str) -> str:
    """The svg element alone: scaled by the page, with ids of its own and the page's ink."""
    found = svg[svg.index("<svg") :].strip()
    found = re.sub(r"<style.*?</style>", "", found, flags=re.DOTALL)  # it would be the whole page's style
    found = re.sub(r'width="([^"]+)" height="[^"]+"', r'style="max-width: \1"', found, count=1)
    found = found.replace(' id="', f' id="{name}-').replace('href="#', f'href="#{name}-')
    return found.replace("url(#", f"url(#{name}-").replace(INK, "currentColor")
