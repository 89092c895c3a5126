"""The thread that writes the prediction log. It may wait for a reader of stdout; nobody waits for it.

It leaves half of the pipe to the other logs: they are written on the event loop, which a full pipe would stop.
"""

import fcntl
import os
import stat
import termios
import threading
from collections.abc import Sequence
from typing import Final

from psm_predictor.live.prediction_log import FeedbackQueue, LiveLog, PredictionQueue

_ROUND_S: Final = 0.2
"""Lines are gathered for so long: a write for each would cost more than the line."""

_LOOK_AGAIN_S: Final = 0.01


class Stdout:
    """A file descriptor that may be a pipe, filled by half at most."""

    def __init__(self, descriptor: int, give_up: threading.Event) -> None:
        self._descriptor = descriptor
        self._give_up = give_up
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode) and hasattr(fcntl, "F_GETPIPE_SZ")  # Linux has it
        self._most_unread = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) // 2 if is_pipe else None

    def write(self, piece: bytes) -> None:
        """Writes, once there is room; raises BlockingIOError if it gave up."""
        while self._most_unread is not None and self._unread() >= self._most_unread:
            if self._give_up.wait(_LOOK_AGAIN_S):
                raise BlockingIOError
        os.write(self._descriptor, piece)

    def _unread(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4)), "little")


class LogThread(threading.Thread):
    """Writes what the queues hold until it is closed."""

    def __init__(
        self, log: LiveLog, predictions: Sequence[PredictionQueue], feedback: FeedbackQueue, give_up: threading.Event
    ) -> None:
        super().__init__(name="prediction-log", daemon=True)
        self._log = log
        self._predictions = predictions
        self._feedback = feedback
        self._closing = threading.Event()
        self._give_up = give_up

    @property
    def lost_lines(self) -> int:
        """Lines that were not kept, since the start."""
        return self._feedback.dropped + sum(queue.dropped for queue in self._predictions)

    def run(self) -> None:
        """Writes, round by round; a stdout that is closed ends it."""
        is_last = False
        while not is_last:
            is_last = self._closing.wait(_ROUND_S)
            try:
                for queue in self._predictions:
                    self._log.predictions(queue.take())
                self._log.feedback(self._feedback.take())
            except OSError:  # nobody will read it; what is put from now on fills the queues and is counted
                return

    def close(self, timeout_s: float) -> None:
        """Writes what is left, for so long at most."""
        self._closing.set()
        self.join(timeout_s)
        self._give_up.set()
