"""The live numbers of one worker: makes the observers, runs the thread that counts and the one that logs. `server` owns it.

All state but the hot path's rings belongs to one thread, so nothing here takes a lock. An error in it is logged and
serving goes on: numbers may be missing, predictions may not.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from psm_contract.drift import Drift
from psm_contract.manifest import Manifest
from psm_predictor.counters import Seat
from psm_predictor.live.emf import EmfLines
from psm_predictor.live.exposition import LiveCollector
from psm_predictor.live.feedback import Feedback, Matcher, Result
from psm_predictor.live.figures import figures
from psm_predictor.live.layout import WRITERS_PER_WORKER
from psm_predictor.live.log_thread import LogThread, Stdout
from psm_predictor.live.memory import PredictionMemory
from psm_predictor.live.observer import LiveObserver
from psm_predictor.live.prediction_log import FeedbackQueue, LiveLog, PredictionQueue
from psm_predictor.live.rings import RowRing
from psm_predictor.live.tally import Tally
from psm_predictor.live.windows import BinWindow, LabelWindow
from psm_predictor.settings import LiveSettings, PackageRef
from psm_predictor.telemetry import traffic

_LOG: Final = logging.getLogger(__name__)
_TICK_S: Final = 1.0
_EMF_S: Final = 60.0
_CLOSE_S: Final = 2.0
"""Part of what a pod's grace period leaves after drain and shutdown (5 of 30 s)."""

INLINE: Final = 0
BATCH: Final = 1
_SENT_ALONG: Final = 2


@dataclass(frozen=True, slots=True)
class _OfModel:
    """What exists once the model is loaded."""

    classes: Sequence[str]
    drift: Drift
    rows: tuple[RowRing, RowRing]
    tally: Tally
    log: LogThread | None


class Live:
    """One worker's part; `workers` share `seat`'s memory and slots."""

    def __init__(
        self,
        settings: LiveSettings,
        package: PackageRef,
        seat: Seat,
        *,
        workers: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._package = package
        self._seat = seat
        self._workers = workers
        self._clock = clock
        self._memory = PredictionMemory(seat.predictions, WRITERS_PER_WORKER * workers, settings.remembered)
        self._rings = tuple(
            self._memory.ring(WRITERS_PER_WORKER * seat.number + writer) for writer in range(WRITERS_PER_WORKER)
        )
        self._queues = tuple(PredictionQueue() for _ in (INLINE, BATCH)) if settings.prediction_log else ()
        self._feedback_queue = FeedbackQueue()
        self._of_model: _OfModel | None = None
        self._emf = EmfLines(package, settings.model_name) if settings.emf and seat.number == 0 else None
        self._next_emf_s = clock() + _EMF_S
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")

    def model_loaded(self, manifest: Manifest, registry: CollectorRegistry) -> None:
        """The model is known: from now on there may be observers, feedback and metrics.

        Raises:
            ValueError: It has more bins or classes than there are slots.
        """
        settings, classes = self._settings, manifest.classes
        drift = Drift(manifest.features, manifest.reference)
        rows = (RowRing(len(manifest.features)), RowRing(len(manifest.features)))
        tally = Tally(
            self._seat.block.row(self._seat.number),
            drift,
            classes=classes,
            rings=rows,
            matcher=Matcher(self._memory, self._rings[_SENT_ALONG], classes, self._package.version),
            bins=BinWindow(drift.bins, settings.drift_window_s),
            labels=LabelWindow(len(classes), -(-settings.labels // self._workers), settings.labels_window_s),
        )
        self._of_model = _OfModel(classes, drift, rows, tally, self._log_thread(classes) if self._queues else None)
        registry.register(LiveCollector(self._seat.block, drift, classes))

    def observer(self, writer: int) -> LiveObserver:
        """For the answerer of the event loop (INLINE) or of the batch thread (BATCH); after `model_loaded`."""
        queue = self._queues[writer] if self._queues else None
        return LiveObserver(self._loaded.rows[writer], self._rings[writer], queue)

    @property
    def has_model(self) -> bool:
        """Whether feedback can be matched."""
        return self._of_model is not None

    async def feedback(self, items: Sequence[Feedback]) -> list[Result]:
        """Counts labels that arrived; what became of each."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._feedback, items)

    async def run(self) -> None:
        """Ticks until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            await loop.run_in_executor(self._thread, self.tick)

    async def close(self) -> None:
        """Counts and writes what is left; a stdout that nobody reads does not hold up the end."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        self._thread.shutdown(wait=False)

    def _finish(self) -> None:
        self.tick()
        if self._of_model is not None and self._of_model.log is not None:
            self._of_model.log.close(_CLOSE_S)

    def tick(self) -> None:
        """One round of counting and writing; in the thread."""
        model = self._of_model
        if model is None:
            return
        try:
            model.tally.tick(self._clock())
            if model.log is not None:
                model.tally.lost_lines(model.log.lost_lines)
            self._tell_cloudwatch(model)
        except Exception:  # noqa: BLE001  # the edge of the thread: numbers may be missing, predictions may not
            _LOG.exception("counting what was answered failed; this is a bug")

    @property
    def _loaded(self) -> _OfModel:
        if self._of_model is None:
            raise RuntimeError("the model is not loaded yet")
        return self._of_model

    def _feedback(self, items: Sequence[Feedback]) -> list[Result]:
        model = self._loaded
        results = model.tally.feedback(items, self._clock())
        if model.log is not None:
            self._feedback_queue.put(results)
        return results

    def _log_thread(self, classes: Sequence[str]) -> LogThread:
        give_up = threading.Event()
        stdout = Stdout(sys.stdout.fileno(), give_up)
        log = LogThread(LiveLog(stdout.write, classes, self._package), self._queues, self._feedback_queue, give_up)
        log.start()
        return log

    def _tell_cloudwatch(self, model: _OfModel) -> None:
        now_s = self._clock()
        if self._emf is None or now_s < self._next_emf_s:
            return
        self._next_emf_s = now_s + _EMF_S
        now = figures(self._seat.block, model.drift, model.classes)
        for line in self._emf.of(now, now_s, traffic(self._seat.block)):
            _EMF.info("live metrics", extra=line)


_EMF: Final = logging.getLogger("psm_predictor.live.emf")
_EMF.setLevel(logging.INFO)  # asked for by PSM_EMF, whatever the level of the other logs
