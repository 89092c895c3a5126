"""Pictures of the data: class balance over weeks, histograms, boxplots, correlations. From `eda.explore` alone."""

from typing import Any, Final

import numpy as np

from psm_training.report.drawing import COLOURS, sheet
from psm_training.report.eda import HISTOGRAMS

_WEEK_TICKS: Final = 12
"""Weeks that are named on the axis."""


def class_balance(weeks: dict[str, Any]) -> str:
    """Share of each class in every week, and how many baskets the week has."""
    counts = {word: np.asarray(found, dtype=float) for word, found in weeks["baskets"].items()}
    total = np.maximum(1, sum(counts.values()))
    places = np.arange(len(weeks["week"]))
    with sheet("balance", (9.5, 3.6), rows=2, sharex=True, height_ratios=[3, 1]) as drawn:
        shares, sizes = drawn.axes[:, 0]
        bottom = np.zeros(len(places))
        for word, found in counts.items():
            shares.bar(places, found / total, 1.0, bottom, color=COLOURS[word], label=word, linewidth=0)
            bottom = bottom + found / total
        shares.set(title="Share of the classes by week of purchase", ylim=(0, 1), ylabel="share")
        shares.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        sizes.bar(places, total, 0.8, color=COLOURS["XX"], linewidth=0)
        ticks = places[:: max(1, -(-len(places) // _WEEK_TICKS))]
        sizes.set(ylabel="baskets", xlabel="week, yyyyww", xlim=(-0.6, len(places) - 0.4))
        sizes.set_xticks(ticks, [str(weeks["week"][place]) for place in ticks])
    return drawn.svg


def histograms(found: dict[str, Any]) -> str:
    """One panel per column, one line per class."""
    with sheet("histograms", (9.5, 4.6), rows=2, columns=2) as drawn:
        for axes, (name, text) in zip(drawn.axes.flat, HISTOGRAMS.items(), strict=True):
            edges = found[name]["edges"]
            for word, shares in found[name]["shares"].items():
                axes.stairs(shares, edges, color=COLOURS[word], label=word, linewidth=1.4)
            axes.set(title=text, ylabel="share of baskets", ylim=(0, None))
        drawn.axes[0, 0].legend()
    return drawn.svg


def boxes(found: dict[str, dict[str, list[float]]]) -> str:
    """One panel per feature, one box per class; whiskers at 5 and 95 %."""
    with sheet("boxes", (9.5, 4.6), rows=2, columns=3) as drawn:
        for axes, (name, by_class) in zip(drawn.axes.flat, found.items(), strict=True):
            stats = [
                dict(zip(("whislo", "q1", "med", "q3", "whishi"), quantiles, strict=True), label=word)
                for word, quantiles in by_class.items()
            ]
            parts = axes.bxp(stats, showfliers=False, patch_artist=True, widths=0.55)
            for word, box, line in zip(by_class, parts["boxes"], parts["medians"], strict=True):
                box.set(facecolor=COLOURS[word], linewidth=0)
                line.set(color="white", linewidth=1.6)
            for line in (*parts["whiskers"], *parts["caps"]):
                line.set(color=COLOURS["XX"])
            axes.set(title=name)
            axes.grid(visible=False, axis="x")
    return drawn.svg


def correlation(found: dict[str, Any]) -> str:
    """Heatmap of Spearman's rank correlation."""
    names, values = found["names"], np.asarray(found["values"])
    with sheet("correlation", (9.5, 8.6)) as drawn:
        axes = drawn.axes[0, 0]
        image = axes.imshow(values, cmap="coolwarm", vmin=-1, vmax=1, interpolation="none")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.grid(visible=False)
        axes.set(title="Spearman's rank correlation of the numbers among the features, training baskets")
        drawn.figure.colorbar(image, ax=axes, shrink=0.5)
    return drawn.svg
