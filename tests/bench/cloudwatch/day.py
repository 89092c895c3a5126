"""A day of one model, told by the predictor's own code: two pods' log lines, with the clock moved by hand.

Version 17 serves until nine, then 18, which is slower and wrong more often, and is given up at half past eleven, as
`cloudwatch_story` has it. Requests, answers and labels go through the predictor's counters; the lines are what a pod logs.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

from cloudwatch_story import at
from live_pod import DRIFT, PACKAGE, REFERENCE, Pod

from psm_contract.schema import CLASSES
from psm_predictor.live.emf import EmfLines
from psm_predictor.live.figures import figures
from psm_predictor.telemetry import PREDICT, Recorder, traffic

PODS: Final = 2
MINUTES: Final = 24 * 60
LABELS_AN_HOUR: Final = 160
BEGIN_S: Final = at(0).timestamp()


def version_at(minute: int) -> int:
    """What serves in a minute of the day."""
    return 18 if 9 * 60 <= minute < 11 * 60 + 30 else 17


def lines(dimension: str, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Every line of both pods, in no order."""
    for number in range(PODS):
        yield from OnePod(dimension, Random(seed + number)).day()  # noqa: S311  # no secret


class OnePod:
    """A pod; another version is another pod."""

    def __init__(self, dimension: str, chance: Random) -> None:
        self._dimension = dimension
        self._chance = chance
        self._asked = 0

    def day(self) -> Iterator[dict[str, Any]]:
        """Minute by minute."""
        told: EmfLines | None = None
        pod, version = Pod(), 0
        for minute in range(MINUTES):
            if version_at(minute) != version:
                version = version_at(minute)
                pod, told = Pod(), EmfLines(replace(PACKAGE, version=version), self._dimension)
            self._live(pod, minute, version)
            now_s = BEGIN_S + 60 * minute
            pod.tick(now_s)
            if told is not None:
                yield from told.of(figures(pod.block, DRIFT, CLASSES), now_s, traffic(pod.block))

    def _live(self, pod: Pod, minute: int, version: int) -> None:
        recorder = Recorder(pod.block.row(0))
        busy = 1 + math.sin(math.pi * (minute - 6 * 60) / (14 * 60)) if 6 * 60 < minute < 20 * 60 else 0.3
        for _ in range(round(120 * busy * self._chance.uniform(0.8, 1.2))):
            slow = 0.014 if version == 17 else 0.06
            is_lost = self._chance.random() < (0.0005 if version == 17 else 0.004)
            recorder.request(PREDICT, 503 if is_lost else 200, self._chance.lognormvariate(math.log(slow), 0.8))
        if minute % 60 == 59:
            self._learn(pod, minute, version)
        much = 0.75 if minute > 16 * 60 else 0.5  # in the evening people buy more: the feature drifts
        rows = [[1.5 if self._chance.random() < much else 0.5, 2.0] for _ in range(20)]
        pod.answer(
            0, f"drift-{minute}", rows, self._chance.choices(range(3), REFERENCE.predictions.shares, k=len(rows))
        )

    def _learn(self, pod: Pod, minute: int, version: int) -> None:
        """The hour's labels arrive."""
        for number in range(LABELS_AN_HOUR // PODS):
            name = f"label-{minute}-{number}"
            pod.answer(0, name, [[0.5, 2.0]], [0])
            is_right = self._chance.random() < (0.79 if version == 17 else 0.68)
            label = CLASSES[0] if is_right else CLASSES[1]
            pod.feedback(0, now_s=BEGIN_S + 60 * minute, request_id=name, index=0, label=label)
