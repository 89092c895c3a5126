"""The first process of the container: starts the worker, passes signals on, and says why it ended.

It stays small and alone, because the worker may be killed for its memory, and a process with number 1 gets no signal that
it has no handler for. A signal ends the worker at once: what it finished is in the checkpoints, and nothing else counts.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from psm_training.sagemaker.observed import Journal, exposition
from psm_training.sagemaker.paths import EXIT_OF_SIGNAL, MOST_REASON

Worker = subprocess.Popen[bytes]

PATIENCE_S: Final = 10.0
"""Between asking the worker to end and ending it; SageMaker waits 120 s, a pod 30 s."""


def supervise(arguments: Sequence[str], reason: Path, metrics_port: int | None = None) -> int:
    """Runs the worker to its end.

    Args:
        arguments: Of the worker: kind of job and its options.
        reason: Where to say why it failed.
        metrics_port: Where to answer Prometheus while it runs; 0 takes any free port.

    Returns:
        The worker's exit code, or 128 and the number of the signal that ended it.
    """
    with tempfile.TemporaryDirectory(prefix="psm-training-") as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        own = ["--journal", str(journal.path), "--scratch", f"{folder}/workspace"]
        workers: list[Worker] = []
        told = _pass_on(workers)
        command = [sys.executable, "-m", "psm_training.sagemaker.work", *own, *arguments]
        worker = subprocess.Popen(command, start_new_session=True)
        workers.append(worker)
        if told:  # before there was anybody to tell
            _signal(worker, signal.SIGTERM)
        server = _serve(metrics_port, journal) if metrics_port is not None else None
        code = worker.wait()
        if server is not None:
            server.shutdown()
        if told:
            return EXIT_OF_SIGNAL + told[0]
        if code != 0:
            _say_why(reason, _reason(journal, code))
        return code if code >= 0 else EXIT_OF_SIGNAL - code


def _pass_on(workers: list[Worker]) -> list[int]:
    """Ends the workers when this process is to end; the list that is returned gets the signal's number."""
    told: list[int] = []

    def end(number: int, _frame: object) -> None:
        if told:
            return
        told.append(number)
        for worker in workers:
            _signal(worker, signal.SIGTERM)
            killer = threading.Timer(PATIENCE_S, _signal, (worker, signal.SIGKILL))
            killer.daemon = True
            killer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return told


def _signal(worker: Worker, number: signal.Signals) -> None:
    """To the worker and everything that it started, while it is there."""
    if worker.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, number)


def _reason(journal: Journal, code: int) -> str:
    """Why the worker ended, for people who see nothing else."""
    ended = [event for event in journal.read() if event["event"] == "ended"]
    if ended:
        return str(ended[-1]["message"])
    running = [event for event in journal.read() if event["event"] == "started"]
    during = f" during {running[-1]['step']}" if running else ""
    if code == -signal.SIGKILL:
        advice = "it most likely needed more memory than there is: take a larger instance or limit"
        return f"the training process was killed{during}; {advice}"
    if code < 0:
        return f"the training process was ended by {signal.Signals(-code).name}{during}"
    return f"the training process ended with exit code {code}{during}; its log says why"


def _say_why(path: Path, reason: str) -> None:
    """Where SageMaker looks for it; a place that cannot be written must not hide the exit code."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason[:MOST_REASON], encoding="utf-8")
    except OSError as err:
        sys.stderr.write(f"psm-training: could not write {path}: {err}\n")


def _serve(port: int, journal: Journal) -> ThreadingHTTPServer:
    """Answers /metrics in a thread."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class calls it so
            content = exposition(journal.read()).encode() if self.path == "/metrics" else b""
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """A scrape is no news."""

    server = ThreadingHTTPServer(("", port), Metrics)
    sys.stderr.write(f"psm-training: metrics on port {server.server_address[1]}\n")
    sys.stderr.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
