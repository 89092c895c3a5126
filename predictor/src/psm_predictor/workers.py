"""One process or several behind one socket; the exit code and the end of all of them.

With several workers the parent only watches: signals go to every worker, and when one ends unasked the others are ended
too, so that Kubernetes restarts the whole container and says why.
"""

import logging
import mmap
import os
import signal
import socket
from contextlib import suppress
from typing import Final

from psm_predictor import stop
from psm_predictor.counters import CounterBlock, Seat
from psm_predictor.live.layout import WRITERS_PER_WORKER, memory_bytes
from psm_predictor.settings import ServerSettings, Settings

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 2048
_EXIT_CANNOT_LISTEN: Final = 1


def run(settings: Settings) -> int:
    """Listens and serves until told to stop; the exit code."""
    stop.hold_back()
    try:
        listener = listen(settings.server)
    except OSError as err:
        server = settings.server
        _LOG.error("cannot listen on %s port %d: %s", server.host, server.port, err.strerror)  # one line
        return _EXIT_CANNOT_LISTEN
    workers = settings.server.workers
    block = CounterBlock(2 * workers)  # a row for each worker's event loop, one for its batch thread
    predictions = mmap.mmap(-1, memory_bytes(WRITERS_PER_WORKER * workers, settings.live.remembered))
    if workers == 1:
        return _serve(settings, listener, Seat(block, predictions, 0))
    parent, lifeline = os.pipe()  # workers see its end when the parent dies, however it dies
    pids = [_fork(settings, listener, Seat(block, predictions, number, parent), lifeline) for number in range(workers)]
    listener.close()
    os.close(parent)
    return _watch(set(pids))


def listen(server: ServerSettings) -> socket.socket:
    """The listening socket, which says where it listens."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    listener = socket.create_server((server.host, server.port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    host, port = listener.getsockname()[:2]
    _LOG.info("listening", extra={"host": host, "port": port, "workers": server.workers})
    return listener


def _serve(settings: Settings, listener: socket.socket, seat: Seat) -> int:
    from psm_predictor.server import serve  # noqa: PLC0415  # after the socket is open and after the fork

    return serve(settings, listener, seat)


def _fork(settings: Settings, listener: socket.socket, seat: Seat, lifeline: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.close(lifeline)
    code = 1
    try:
        code = _serve(settings, listener, seat)
    finally:
        stop.leave(code)  # never returns into the parent's code


def _watch(workers: set[int]) -> int:
    """Waits for all workers; the first exit code that is not 0, else 0."""
    asked = False

    def forward(number: int, _frame: object) -> None:
        nonlocal asked
        asked = True
        _signal(workers, signal.Signals(number))

    for wanted in stop.STOP_SIGNALS:
        signal.signal(wanted, forward)
    stop.let_through()
    worst = 0
    while workers:
        pid, status = os.wait()
        workers.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        worst = worst or abs(code)
        if not asked:
            _LOG.error("a worker ended unasked, ending the others", extra={"pid": pid, "exit_code": code})
            asked = True
            worst = worst or 1
            _signal(workers, signal.SIGTERM)
    return worst


def _signal(workers: set[int], number: signal.Signals) -> None:
    for pid in tuple(workers):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
