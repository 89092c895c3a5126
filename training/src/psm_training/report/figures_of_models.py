"""Pictures of models: comparison, confusion, classes, reliability, importance, learning curve, slices."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from psm_contract.schema import CLASSES
from psm_training.model_quality import KPIS, ROOT
from psm_training.report.drawing import ACCENT, COLOURS, INK, QUIET, WARNING, sheet

SHOWN_FEATURES: Final = 15

LEAST_SHOWN: Final = 10
"""Baskets in a bin of the reliability curve; below, it is noise."""


def comparison(models: Sequence[dict[str, Any]]) -> str:
    """Accuracy of every model with its interval, the best on top, and the KPI."""
    ordered = sorted(models, key=lambda model: model["accuracy"])
    with sheet("comparison", (9.5, 0.9 + 0.32 * len(ordered))) as drawn:
        axes = drawn.axes[0, 0]
        for place, model in enumerate(ordered):
            _dot(axes, model["accuracy"], place, model.get("interval"), ACCENT)
        axes.axvline(KPIS["accuracy"], color=WARNING, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(ordered)), [model["name"] for model in ordered])
        axes.set(xlabel="accuracy on the test baskets, 95 % interval; dashed: the KPI", ylim=(-0.6, len(ordered) - 0.4))
    return drawn.svg


def quality(name: str, document: dict[str, Any], *, standalone: bool = False) -> str:
    """Confusion matrix, precision, recall and F1 of every class, reliability curve: one model at a glance."""
    with sheet(f"quality-{name}", (9.5, 3.3), columns=3, standalone=standalone, width_ratios=[1, 1.15, 1]) as drawn:
        confusion, classes, reliability = drawn.axes[0]
        _confusion(confusion, document[ROOT]["confusion_matrix"])
        _classes(classes, document[ROOT])
        _reliability(reliability, document["calibration"])
    return drawn.svg


def importance(name: str, found: dict[str, Any]) -> str:
    """Accuracy lost, by group and by feature."""
    panels = (("Groups of features", found["groups"]), ("Single features", found["features"][:SHOWN_FEATURES]))
    with sheet(f"importance-{name}", (9.5, 3.9), columns=2) as drawn:
        for axes, (title, entries) in zip(drawn.axes[0], panels, strict=True):
            for place, entry in enumerate(reversed(entries)):
                lost = entry["accuracy_lost"]
                _dot(axes, lost["value"], place, lost["confidence_interval_95"], ACCENT)
            axes.axvline(0, color=QUIET, linewidth=1)
            labels = [_wrapped(entry["name"]) for entry in reversed(entries)]
            axes.set_yticks(range(len(entries)), labels, fontsize=7.5)
            axes.set(title=title, xlabel="accuracy lost", ylim=(-0.6, len(entries) - 0.4))
    return drawn.svg


def learning_curve(name: str, points: Sequence[dict[str, Any]]) -> str:
    """Accuracy and macro F1 over the households learned from."""
    households = np.array([point["households"] for point in points])
    with sheet(f"learning-{name}", (6.2, 3.1)) as drawn:
        axes = drawn.axes[0, 0]
        for metric, text, colour, shift in (
            ("accuracy", "accuracy", ACCENT, 0.985),
            ("macro_f1", "macro F1", COLOURS["LA"], 1.015),
        ):
            values = np.array([point[metric]["value"] for point in points])
            low, high = np.array([point[metric]["confidence_interval_95"] for point in points]).T
            spread = [np.maximum(values - low, 0), np.maximum(high - values, 0)]
            axes.errorbar(households * shift, values, spread, color=colour, marker="o", label=text, markersize=4)
        axes.set(xscale="log", xlabel="training households (log scale)", ylabel="on validation baskets")
        axes.set_xticks(households, [f"{number:,}" for number in households])
        axes.minorticks_off()
        axes.legend(loc="lower right")
    return drawn.svg


def slices(name: str, found: dict[str, list[dict[str, Any]]], overall: float) -> str:
    """One panel per column: accuracy of every value with its interval, against the whole."""
    rows = max(len(entries) for entries in found.values())
    with sheet(f"slices-{name}", (9.5, 1.1 + 0.24 * rows), columns=len(found), sharex=True) as drawn:
        for axes, (column, entries) in zip(drawn.axes[0], found.items(), strict=True):
            shown = list(reversed(entries))
            for place, entry in enumerate(shown):
                if entry["too_few"]:
                    axes.text(overall, place, " too few", color=QUIET, va="center", fontsize=7.5)
                else:
                    accuracy = entry["accuracy"]
                    colour = WARNING if entry["worse"] else ACCENT
                    _dot(axes, accuracy["value"], place, accuracy["confidence_interval_95"], colour)
            axes.axvline(overall, color=QUIET, linewidth=1, linestyle="--")
            axes.set_yticks(range(len(shown)), [f"{entry['value']} ({entry['baskets']:,})" for entry in shown])
            axes.set(title=column, xlabel="accuracy", ylim=(-0.6, len(shown) - 0.4))
    return drawn.svg


def _dot(axes: Any, value: float, place: float, interval: Sequence[float] | None, colour: str) -> None:
    if interval is not None:
        axes.plot(interval, [place, place], color=colour, linewidth=2, alpha=0.55, solid_capstyle="round")
    axes.plot([value], [place], color=colour, marker="o", markersize=5)


def _confusion(axes: Any, matrix: dict[str, dict[str, int]]) -> None:
    counts = np.array([[matrix[row][column] for column in CLASSES] for row in CLASSES], dtype=float)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "#1b2733"  # noqa: PLR2004  # where Blues turns dark
        text = f"{shares[row, column]:.0%}\n{counts[row, column]:,.0f}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(CLASSES)), CLASSES)
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.grid(visible=False)
    axes.set(title="Confusion", xlabel="predicted", ylabel="actual")


def _classes(axes: Any, metrics: dict[str, Any]) -> None:
    for place, word in enumerate(CLASSES):
        for shift, metric, marker in ((-0.2, "precision", "o"), (0.0, "recall", "s"), (0.2, "f1", "D")):
            found = metrics[metric][word]
            low, high = found["confidence_interval_95"]
            x = place + shift
            axes.plot([x, x], [low, high], color=COLOURS[word], linewidth=2, alpha=0.55)
            axes.plot([x], [found["value"]], color=COLOURS[word], marker=marker, markersize=5)
    for metric, marker in (("precision", "o"), ("recall", "s"), ("F1", "D")):
        axes.plot([], [], color=QUIET, marker=marker, linestyle="", label=metric, markersize=5)
    axes.axhline(KPIS["precision_min_class"], color=WARNING, linewidth=1, linestyle="--")
    axes.set_xticks(range(len(CLASSES)), CLASSES)
    axes.grid(visible=False, axis="x")
    axes.legend(loc="best", fontsize=7.5)
    axes.set(title="Classes; dashed: least precision")


def _reliability(axes: Any, found: dict[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
    for word, entry in (*found["by_class"].items(), ("predicted class", found)):
        bins = [each for each in entry["bins"] if each["baskets"] >= LEAST_SHOWN]
        whole = word not in COLOURS
        axes.plot(
            [each["confidence"] for each in bins],
            [each["accuracy"]["value"] for each in bins],
            color=INK if whole else COLOURS[word],
            linewidth=1.6 if whole else 1,
            marker="o",
            markersize=4 if whole else 2.5,
            label=word,
        )
    error = found["expected_calibration_error"]["value"]
    axes.legend(loc="upper left", fontsize=7.5)
    axes.set(title=f"Reliability, ECE {error:.3f}", xlabel="probability", ylabel="share that is so")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _wrapped(text: str) -> str:
    """A long name on two lines."""
    head, _, rest = text.partition(": ")
    return f"{head}:\n{rest}" if rest else text
