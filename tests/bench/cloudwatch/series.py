"""What CloudWatch makes of log lines: metrics by dimension, statistics by period, and the few expressions of our charts."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Key = tuple[str, ...]
"""Namespace, name, then names and values of dimensions."""


class Metrics:
    """Every sample, by metric."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self._samples: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        for line in lines:
            self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        """As the embedded metric format says."""
        at_s = line["_aws"]["Timestamp"] / 1000
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                told = line[metric["Name"]]
                values = told if isinstance(told, list) else [told]
                for names in directive["Dimensions"]:
                    place = [part for name in names for part in (name, line[name])]
                    key = (directive["Namespace"], metric["Name"], *place)
                    self._samples[key] += [(at_s, float(value)) for value in values]

    def of(self, key: Key, stat: str, grid: Values, period_s: int) -> Values:
        """One value for each period of the grid; NaN where there was no sample."""
        slots: list[list[float]] = [[] for _ in grid]
        for at_s, value in self._samples.get(key, ()):
            slots[int((at_s - grid[0]) // period_s)].append(value)
        return np.array([statistic(stat)(slot) if slot else np.nan for slot in slots])


def statistic(name: str) -> Callable[[list[float]], float]:
    """A CloudWatch statistic."""
    known: dict[str, Callable[[list[float]], float]] = {
        "Sum": sum,
        "Average": lambda values: sum(values) / len(values),
        "Maximum": max,
        "SampleCount": len,
    }
    return known.get(name) or (lambda values: float(np.percentile(values, float(name[1:]))))


def evaluate(expression: str, series: dict[str, Values], period_s: int) -> Values:
    """A metric math expression over series of one grid."""
    functions = {"IF": np.where, "PERIOD": lambda _: float(period_s), "__builtins__": {}}
    with np.errstate(divide="ignore", invalid="ignore"):
        made: Values = eval(expression, functions, dict(series))  # noqa: S307  # our own builder wrote it
    return made
