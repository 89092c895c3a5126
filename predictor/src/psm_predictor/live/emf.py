"""The live numbers as CloudWatch metrics, in log lines of the embedded metric format: no agent call, no credentials.

One line a minute from each pod. `LabelCorrect` carries one value of 0 or 1 for each label, so that CloudWatch's Average
over any period and all pods is the accuracy, and its SampleCount the number of labels. A pod that knows which resource it
belongs to tells of its requests too, and everything under that dimension as well.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from psm_contract import cloudwatch
from psm_contract.quality import Quality
from psm_predictor.live.figures import Figures
from psm_predictor.settings import PackageRef
from psm_predictor.telemetry import BOUNDS_S, Traffic

NAMESPACE: Final = cloudwatch.NAMESPACE
MOST_VALUES: Final = 100
"""Values of one metric in one line, by the specification."""

MOST_LINES: Final = 50
"""A minute; labels beyond 5,000 are told by the next lines."""

_BY_VERSION: Final = [[cloudwatch.GROUP], [cloudwatch.GROUP, cloudwatch.VERSION]]
_BY_MODEL: Final = [[cloudwatch.MODEL]]
_NONE: Final = Traffic(0, 0, (0.0,) * (len(BOUNDS_S) + 1))


class EmfLines:
    """Lines of one pod; remembers which labels and requests it has told.

    Args:
        package: what the pod serves.
        model: the resource it belongs to; empty if nobody said.
    """

    def __init__(self, package: PackageRef, model: str = "") -> None:
        self._root = {cloudwatch.GROUP: package.group, cloudwatch.VERSION: str(package.version)}
        self._model = model
        if model:
            self._root[cloudwatch.MODEL] = model
        self._right = 0
        self._wrong = 0
        self._traffic = _NONE

    def of(self, now: Figures, now_s: float, traffic: Traffic = _NONE) -> Iterator[dict[str, Any]]:
        """The lines of this minute; the first has everything, further ones more labels."""
        values = self._untold(now)
        requests = self._requests(traffic) if self._model else {}
        yield self._line({**_gauges(now), **_values(values[:MOST_VALUES])}, _properties(now), now_s, requests)
        for start in range(MOST_VALUES, len(values), MOST_VALUES):
            yield self._line(_values(values[start : start + MOST_VALUES]), {}, now_s, {})

    def _untold(self, now: Figures) -> list[int]:
        room = MOST_VALUES * MOST_LINES
        right = min(now.right - self._right, room)
        wrong = min(now.wrong - self._wrong, room - right)
        self._right += right
        self._wrong += wrong
        return [1] * right + [0] * wrong

    def _requests(self, now: Traffic) -> dict[str, Any]:
        """Of the time since the last line; no request is a 0, so that a silent pod differs from a missing one."""
        before, self._traffic = self._traffic, now
        found: dict[str, Any] = {
            cloudwatch.REQUESTS: (now.requests - before.requests, "Count"),
            cloudwatch.ERRORS: (now.errors - before.errors, "Count"),
        }
        counts = [new - old for new, old in zip(now.buckets, before.buckets, strict=True)]
        if any(counts):
            found[cloudwatch.LATENCY] = (latencies_ms(counts), "Milliseconds")
        return found

    def _line(
        self, metrics: dict[str, Any], properties: dict[str, Any], now_s: float, requests: dict[str, Any]
    ) -> dict[str, Any]:
        directives = [_directive(metrics, [*_BY_VERSION, *(_BY_MODEL if self._model else [])])]
        if requests:
            directives.append(_directive(requests, _BY_MODEL))
        return {
            "_aws": {"Timestamp": int(now_s * 1000), "CloudWatchMetrics": directives},
            **self._root,
            **{name: value for name, (value, _) in {**metrics, **requests}.items()},
            **properties,
        }


def latencies_ms(counts: Sequence[float]) -> list[float]:
    """At most a hundred values at even ranks of a histogram, in milliseconds.

    Each lies within its bucket as if the bucket's requests were spread evenly (as Prometheus' histogram_quantile has
    it), so that CloudWatch's percentiles are the histogram's. What took longer than the last bound counts as that bound.
    """
    total = sum(counts)
    ranks = min(MOST_VALUES, int(total))
    found: list[float] = []
    bucket, below = 0, 0.0
    for number in range(ranks):
        rank = (number + 0.5) * total / ranks
        while below + counts[bucket] < rank:
            below += counts[bucket]
            bucket += 1
        low = BOUNDS_S[bucket - 1] if bucket else 0.0
        high = BOUNDS_S[min(bucket, len(BOUNDS_S) - 1)]
        found.append(round(1000 * (low + (high - low) * (rank - below) / counts[bucket]), 4))
    return found


def _directive(metrics: dict[str, Any], dimensions: list[list[str]]) -> dict[str, Any]:
    return {
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
    }


def _gauges(now: Figures) -> dict[str, Any]:
    """Metric -> value and unit; what nothing is known about is left out."""
    found: dict[str, Any] = {
        cloudwatch.DRIFT_BASKETS: (now.baskets, "Count"),
        cloudwatch.LIVE_LABELS: (now.labels, "Count"),
    }
    if now.labels:
        quality: Quality = now.quality
        found[cloudwatch.LIVE_ACCURACY] = (float(quality.accuracy), "None")
        found[cloudwatch.LIVE_MACRO_F1] = (float(quality.macro_f1), "None")
    if now.largest_psi is not None:
        found[cloudwatch.LARGEST_FEATURE_PSI] = (now.largest_psi, "None")
    if now.prediction_psi is not None:
        found[cloudwatch.PREDICTION_PSI] = (now.prediction_psi, "None")
    return found


def _values(values: list[int]) -> dict[str, Any]:
    return {cloudwatch.LABEL_CORRECT: (values, "None")} if values else {}


def _properties(now: Figures) -> dict[str, Any]:
    """For CloudWatch Logs Insights; a metric of each feature would cost money and show little."""
    return {"Psi": {name: round(value, 4) for name, value in now.psi.items()}, "Feedback": dict(now.feedback)}
