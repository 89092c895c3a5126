"""A real predictor process for tests: started from its command, watched through its log and its socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from artifacts import ArtifactFile

ARN = "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/7"
VERSION = 7
START_TIMEOUT_S = 60.0
"""Generous: a start takes 1.5 s, on a busy machine several times that."""


def environment(artifact: ArtifactFile, directory: Path, **overrides: str) -> dict[str, str]:
    """The variables of a pod that serves the artifact, on a free port, with a drain of no time."""
    return {
        "PATH": os.defpath,
        "PSM_MODEL_DATA_URL": artifact.url,
        "PSM_MODEL_SHA256": artifact.sha256,
        "PSM_MODEL_PACKAGE_ARN": ARN,
        "PSM_MODEL_PACKAGE_VERSION": str(VERSION),
        "PSM_LISTEN_HOST": "127.0.0.1",
        "PSM_LISTEN_PORT": "0",
        "PSM_CACHE_DIR": str(directory / "cache"),
        "PSM_TERMINATION_LOG": str(directory / "termination-log"),
        "PSM_DRAIN_S": "0",
        **overrides,
    }


class PredictorProcess:
    """One process; use as a context manager, which ends it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.log: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "psm_predictor"],
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it listens; waits until it does."""
        return f"http://127.0.0.1:{self.wait_for_log('listening')['port']}"

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, for a plain socket."""
        return "127.0.0.1", int(self.wait_for_log("listening")["port"])

    def connect(self) -> socket.socket:
        """A plain connection, for what an HTTP client would never send."""
        return socket.create_connection(self.address, timeout=10)

    def wait_for_log(self, message: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """The first log entry whose message starts so."""
        found = self._wait(
            lambda: next((entry for entry in self.log if entry["message"].startswith(message)), None), timeout_s
        )
        assert found is not None, f"no log entry {message!r} within {timeout_s} s; log: {self.log}"
        return found

    def wait_ready(self) -> Self:
        """Waits until it answers predictions."""
        self.wait_for_log("ready")
        return self

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal that Kubernetes sends."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        """Its exit code."""
        code = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def _wait(self, look: Callable[[], dict[str, Any] | None], timeout_s: float) -> dict[str, Any] | None:
        with self._changed:
            self._changed.wait_for(lambda: look() is not None or not self._reader.is_alive(), timeout_s)
            return look()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"message": line.rstrip("\n"), "level": "not json"}
            with self._changed:
                self.log.append(entry)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


@contextmanager
def serving(environ: Mapping[str, str]) -> Iterator[tuple[PredictorProcess, httpx.Client]]:
    """A ready process and a client for it."""
    with PredictorProcess(environ) as process:
        process.wait_ready()
        with httpx.Client(base_url=process.url, timeout=10) as client:
            yield process, client


def metrics_of(client: httpx.Client) -> dict[str, float]:
    """Samples of /metrics by name and labels, as written."""
    lines = client.get("/metrics").raise_for_status().text.splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}
