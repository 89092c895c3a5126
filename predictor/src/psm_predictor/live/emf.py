"""The live numbers as CloudWatch metrics, in log lines of the embedded metric format: no agent call, no credentials.

One line a minute from each pod. `LabelCorrect` carries one value of 0 or 1 for each label, so that CloudWatch's Average
over any period and all pods is the accuracy, and its SampleCount the number of labels.
"""

from collections.abc import Iterator
from typing import Any, Final

from psm_contract.quality import Quality
from psm_predictor.live.figures import Figures
from psm_predictor.settings import PackageRef

NAMESPACE: Final = "PSM/Predictor"
MOST_VALUES: Final = 100
"""Values of one metric in one line, by the specification."""

MOST_LINES: Final = 50
"""A minute; labels beyond 5,000 are told by the next lines."""

_GROUP: Final = "ModelPackageGroup"
_VERSION: Final = "ModelVersion"
_DIMENSIONS: Final = [[_GROUP], [_GROUP, _VERSION]]


class EmfLines:
    """Lines of one pod; remembers which labels it has told."""

    def __init__(self, package: PackageRef) -> None:
        self._root = {_GROUP: package.group, _VERSION: str(package.version)}
        self._right = 0
        self._wrong = 0

    def of(self, now: Figures, now_s: float) -> Iterator[dict[str, Any]]:
        """The lines of this minute; the first has everything, further ones more labels."""
        values = self._untold(now)
        yield self._line({**_gauges(now), **_values(values[:MOST_VALUES])}, _properties(now), now_s)
        for start in range(MOST_VALUES, len(values), MOST_VALUES):
            yield self._line(_values(values[start : start + MOST_VALUES]), {}, now_s)

    def _untold(self, now: Figures) -> list[int]:
        room = MOST_VALUES * MOST_LINES
        right = min(now.right - self._right, room)
        wrong = min(now.wrong - self._wrong, room - right)
        self._right += right
        self._wrong += wrong
        return [1] * right + [0] * wrong

    def _line(self, metrics: dict[str, Any], properties: dict[str, Any], now_s: float) -> dict[str, Any]:
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": _DIMENSIONS,
            "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
        }
        return {
            "_aws": {"Timestamp": int(now_s * 1000), "CloudWatchMetrics": [directive]},
            **self._root,
            **{name: value for name, (value, _) in metrics.items()},
            **properties,
        }


def _gauges(now: Figures) -> dict[str, Any]:
    """Metric -> value and unit; what nothing is known about is left out."""
    found: dict[str, Any] = {"DriftBaskets": (now.baskets, "Count"), "LiveLabels": (now.labels, "Count")}
    if now.labels:
        quality: Quality = now.quality
        found["LiveAccuracy"] = (float(quality.accuracy), "None")
        found["LiveMacroF1"] = (float(quality.macro_f1), "None")
    if now.largest_psi is not None:
        found["LargestFeaturePsi"] = (now.largest_psi, "None")
    if now.prediction_psi is not None:
        found["PredictionPsi"] = (now.prediction_psi, "None")
    return found


def _values(values: list[int]) -> dict[str, Any]:
    return {"LabelCorrect": (values, "None")} if values else {}


def _properties(now: Figures) -> dict[str, Any]:
    """For CloudWatch Logs Insights; a metric of each feature would cost money and show little."""
    return {"Psi": {name: round(value, 4) for name, value in now.psi.items()}, "Feedback": dict(now.feedback)}
