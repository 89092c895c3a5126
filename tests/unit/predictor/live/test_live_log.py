"""The prediction log: what a line holds, and what happens when nobody reads it."""

import fcntl
import json
import mmap
import os
import select
import termios
import threading
from pathlib import Path

import numpy as np
import pytest
import waiting
from artifacts import make_artifact
from live_pod import PACKAGE, probabilities
from prometheus_client import CollectorRegistry

from psm_contract.schema import CLASSES
from psm_predictor.counters import CounterBlock, Seat
from psm_predictor.live.feedback import Feedback, Result
from psm_predictor.live.layout import Outcome, memory_bytes
from psm_predictor.live.live import INLINE, Live
from psm_predictor.live.log_thread import LogThread, Stdout
from psm_predictor.live.prediction_log import FeedbackQueue, LiveLog, PredictionQueue
from psm_predictor.settings import LiveSettings


def test_lines_are_written_in_pieces_that_a_pipe_takes_whole() -> None:
    """Workers share one pipe: longer pieces would tear each other's lines."""
    queue, pieces = PredictionQueue(clock=lambda: 1_700_000_000.0), list[bytes]()
    queue.put("r" * 200, [1] * 300, probabilities(300))
    LiveLog(pieces.append, CLASSES, PACKAGE).predictions(queue.take())

    assert len(pieces) > 10
    assert all(piece.endswith(b"\n") and len(piece) <= select.PIPE_BUF for piece in pieces)
    lines = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert [line["index"] for line in lines] == list(range(300))
    assert lines[0] == {
        "time": "2023-11-14T22:13:20.000+00:00",
        "level": "info",
        "logger": "psm_predictor.live",
        "message": "prediction",
        "group": "price-sensitivity",
        "request_id": "r" * 200,
        "index": 0,
        "label": "MM",
        "probabilities": pytest.approx(dict.fromkeys(CLASSES, 1 / 3)),
        "model_version": 7,
    }


def test_a_queue_that_nobody_empties_drops_what_is_new() -> None:
    """Bounded memory, and the loss is counted."""
    queue = PredictionQueue(most=5)
    for number in range(4):
        queue.put(f"r{number}", [0, 1], probabilities(2))
    assert queue.dropped == 4
    assert [entry[1] for entry in queue.take()] == ["r0", "r1"]
    queue.put("later", [0], probabilities(1))
    assert [entry[1] for entry in queue.take()] == ["later"]


def log_to(descriptor: int, most: int) -> tuple[LogThread, PredictionQueue, FeedbackQueue]:
    """The thread over a descriptor, not started."""
    give_up, queue, feedback = threading.Event(), PredictionQueue(most), FeedbackQueue(most)
    log = LiveLog(Stdout(descriptor, give_up).write, CLASSES, PACKAGE)
    return LogThread(log, (queue,), feedback, give_up), queue, feedback


def test_half_of_the_pipe_is_left_to_other_logs() -> None:
    """Those are written on the event loop, which a full pipe would stop; what has no room is dropped and counted."""
    reader, writer = os.pipe()
    thread, queue, feedback = log_to(writer, most=1000)
    thread.start()
    for number in range(3000):
        queue.put(f"r{number}", [0], probabilities(1))
    feedback.put([Result(Feedback(request_id="x", label="LA"), Outcome.UNKNOWN)])
    size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    waiting.until(lambda: unread(reader) >= size // 2, "the log to fill half of the pipe")
    thread.close(0.1)
    waiting.until(lambda: not thread.is_alive(), "the log to give up")

    assert size // 2 <= unread(reader) <= size // 2 + select.PIPE_BUF
    assert 0 < thread.lost_lines <= 2000
    os.set_blocking(writer, False)
    assert os.write(writer, b"x" * (size // 4)) == size // 4
    for descriptor in (reader, writer):
        os.close(descriptor)


def unread(descriptor: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), "little")


def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    """To a file too, which has no bound."""
    with (tmp_path / "log").open("wb") as file:
        thread, queue, feedback = log_to(file.fileno(), most=5000)
        thread.start()
        queue.put("many", [0] * 3000, probabilities(3000))
        feedback.put([Result(Feedback(request_id="many", label="LA", index=7), Outcome.COUNTED)])
        thread.close(20)
        assert not thread.is_alive()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["index"] for line in lines] == [*range(3000), 7]
    assert (lines[-1]["message"], lines[-1]["outcome"], thread.lost_lines) == ("feedback", "counted", 0)


async def test_a_worker_that_ends_writes_what_waits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not a round later: there is none."""
    manifest = make_artifact(tmp_path).manifest
    seat = Seat(CounterBlock(2), mmap.mmap(-1, memory_bytes(3, 100)), 0)
    live = Live(LiveSettings(remembered=100, prediction_log=True), PACKAGE, seat, workers=1)
    live.model_loaded(manifest, CollectorRegistry())
    rows = np.zeros((1, len(manifest.features)), dtype=np.float32)
    live.observer(INLINE).answered(rows, probabilities(1), [2], "the last")
    await live.close()
    (line,) = capfd.readouterr().out.splitlines()
    assert (json.loads(line)["request_id"], json.loads(line)["label"]) == ("the last", "UM")


def test_a_stdout_that_is_closed_ends_the_log_and_nothing_else() -> None:
    """What is put from then on fills the queue and is counted."""
    reader, writer = os.pipe()
    os.close(reader)
    thread, queue, _ = log_to(writer, most=10)
    queue.put("a", [0], probabilities(1))
    thread.start()
    waiting.until(lambda: not thread.is_alive(), "the log to end")
    for _ in range(20):
        queue.put("b", [0], probabilities(1))
    assert thread.lost_lines >= 10
    os.close(writer)
