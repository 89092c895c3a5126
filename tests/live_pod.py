"""Two workers of one pod that watch what they answer, without their processes; the clock is an argument."""

import mmap
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from psm_contract.drift import Drift
from psm_contract.manifest import Feature, Histogram, Reference
from psm_contract.schema import CLASSES
from psm_predictor.counters import CounterBlock
from psm_predictor.live.exposition import LiveCollector
from psm_predictor.live.feedback import Feedback, Matcher
from psm_predictor.live.layout import Outcome, memory_bytes
from psm_predictor.live.memory import MemoryRing, PredictionMemory
from psm_predictor.live.rings import RowRing
from psm_predictor.live.tally import Tally
from psm_predictor.live.windows import BinWindow, LabelWindow
from psm_predictor.settings import PackageRef

ARN = "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/7"
PACKAGE = PackageRef("s3://b/k", "ab" * 32, ARN, 7)
FEATURES = (
    Feature(name="spend", kind="number", description="money"),
    Feature(name="shop_hour", kind="number", description="hour"),
)
HALVES = Histogram(edges=(1.0,), shares=(0.5, 0.5))
REFERENCE = Reference(baskets=1000, features=(HALVES, HALVES), predictions=Histogram(shares=(0.2, 0.5, 0.3)))
DRIFT = Drift(FEATURES, REFERENCE)


class Pod:
    """The pod."""

    def __init__(self) -> None:
        self.block = CounterBlock(4)
        self.memory = PredictionMemory(mmap.mmap(-1, memory_bytes(6, 1000)), 6, 1000)
        self.rows = [RowRing(2), RowRing(2)]
        self.rings: list[MemoryRing] = [self.memory.ring(0), self.memory.ring(3)]
        self.tallies = [self._tally(0), self._tally(1)]

    def _tally(self, number: int) -> Tally:
        return Tally(
            self.block.row(number),
            DRIFT,
            classes=CLASSES,
            rings=(self.rows[number],),
            matcher=Matcher(self.memory, self.memory.ring(3 * number + 2), CLASSES, 7),
            bins=BinWindow(DRIFT.bins, 3600),
            labels=LabelWindow(3, 100, 3600),
        )

    def answer(self, worker: int, request_id: str, rows: list[list[float]], labels: list[int]) -> None:
        self.rows[worker].put(np.array(rows, dtype=np.float32), labels)
        self.rings[worker].remember(request_id, labels)

    def feedback(self, worker: int, now_s: float = 0.0, **fields: Any) -> Outcome:
        (result,) = self.tallies[worker].feedback([Feedback(**fields)], now_s)
        return result.outcome

    def tick(self, now_s: float) -> None:
        for tally in self.tallies:
            tally.tick(now_s)

    def exposed(self) -> str:
        registry = CollectorRegistry()
        registry.register(LiveCollector(self.block, DRIFT, CLASSES))
        return generate_latest(registry).decode()


def probabilities(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Of as many answers, all undecided."""
    return np.full((count, 3), 1 / 3, dtype=np.float32)
