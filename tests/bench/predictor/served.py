"""A contestant's process: started on its core, asked until it answers, measured, ended with all that it started."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from bench.predictor.contestants import SERVERS, Contestant
from bench.predictor.subject import Basket, Subject
from bench.predictor.venvs import python_of
from bench.processes import born, tree, tree_cpu_seconds, tree_memory_mib

from psm_local.ports import free_ports

TOLERANCE: Final = 1e-5
"""Largest difference of a probability from scikit-learn's."""

_START_LIMIT_S: Final = 180.0  # Ray takes half a minute on one core
_ANSWER_LIMIT_S: Final = 30.0
_END_LIMIT_S: Final = 15.0
_PAUSE_S: Final = 0.01
_LOG_CHARACTERS: Final = 600


@dataclass(frozen=True)
class Site:
    """Where contestants run.

    Attributes:
        subject: What they serve.
        logs: Where their output goes.
        core: The core that they have.
    """

    subject: Subject
    logs: Path
    core: int

    def places(self, contestant: Contestant, scratch: Path) -> dict[str, str]:
        """What commands, paths and variables of contestants may name."""
        ports = free_ports(3)
        artifact = self.subject.artifact
        return {
            "bin": str(python_of(contestant.venv).parent),
            "servers": str(SERVERS),
            "subject": str(self.subject.directory.absolute()),
            "scratch": str(scratch),
            "archive_url": artifact.url,
            "archive_sha256": artifact.sha256,
            "port": str(ports[0]),
            "port2": str(ports[1]),
            "port3": str(ports[2]),
        }


@dataclass
class Served:
    """A running contestant.

    Attributes:
        cold_start_s: From the start of the process to the first right answer.
    """

    contestant: Contestant
    subject: Subject
    places: Mapping[str, str]
    process: "subprocess.Popen[bytes]"
    log: Path
    cold_start_s: float = 0.0

    def url(self, rows: int) -> str:
        """Where it is asked about so many baskets."""
        return f"http://127.0.0.1:{self.places['port']}{self._path(rows)}"

    def cpu_s(self) -> float:
        """CPU seconds so far, of all its processes."""
        return tree_cpu_seconds(self.process.pid)

    def rss_mib(self) -> float:
        """Memory now, of all its processes."""
        return tree_memory_mib(self.process.pid)

    def ask(self, baskets: Sequence[Basket]) -> bytes:
        """The body of its answer.

        Raises:
            OSError, HTTPException: It does not answer.
            RuntimeError: It answers with another status than 200.
        """
        body = json.dumps(self.contestant.dialect.ask(baskets))
        connection = http.client.HTTPConnection("127.0.0.1", int(self.places["port"]), timeout=_ANSWER_LIMIT_S)
        try:
            connection.request("POST", self._path(len(baskets)), body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{self.contestant.name} answers {answer.status}: {raw[:300]!r}")
        return raw

    def difference(self, first: int, count: int) -> float:
        """Largest difference of what it answers for some baskets, in one request, from scikit-learn.

        Raises:
            RuntimeError: The answer is not what its dialect expects.
        """
        raw = self.ask(self.subject.baskets(first, count))
        if self.contestant.is_floor:
            return 0.0
        try:
            answered = np.array(self.contestant.dialect.read(json.loads(raw)), dtype=np.float64)
            return float(np.abs(answered - self.subject.expected[first : first + count]).max())
        except (ValueError, KeyError, IndexError, TypeError, StopIteration, AttributeError) as err:
            raise RuntimeError(f"{self.contestant.name} answers {raw[:300]!r}, which cannot be read: {err!r}") from err

    def prove(self) -> None:
        """Asks once more.

        Raises:
            RuntimeError: The answer is wrong.
        """
        difference = self.difference(0, 1)
        if not difference <= TOLERANCE:
            raise RuntimeError(f"it answers wrongly: {difference:.2g} from scikit-learn, allowed {TOLERANCE:g}")

    def wait_until_right(self, started: float) -> None:
        """Waits for the first right answer.

        Raises:
            RuntimeError: The process ended, or there is none in time.
        """
        pause = threading.Event()
        problem: Exception | None = None
        while time.monotonic() - started < _START_LIMIT_S:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with {self.process.returncode}: {self.last_words()}")
            try:
                self.ask(self.subject.baskets(0, 1))
            except (OSError, http.client.HTTPException, RuntimeError) as err:
                problem = err
                pause.wait(_PAUSE_S)
                continue
            self.cold_start_s = time.monotonic() - started
            self.prove()
            return
        raise RuntimeError(f"no right answer within {_START_LIMIT_S:.0f} s: {problem}; {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-_LOG_CHARACTERS:].strip()

    def end(self) -> None:
        """Ends it and all that it started."""
        if self.process.poll() is not None:
            return
        everybody = {pid: born(pid) for pid in tree(self.process.pid)}
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_LIMIT_S)
        for pid, birth in everybody.items():
            if birth is not None and born(pid) == birth:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _path(self, rows: int) -> str:
        return self.contestant.path.format(rows=rows, **self.places)


@contextlib.contextmanager
def serving(contestant: Contestant, site: Site) -> Iterator[Served]:
    """A contestant that answers rightly, for the length of a block.

    Raises:
        RuntimeError: It does not come to that.
    """
    scratch = Path(tempfile.mkdtemp(prefix="psm-bench-"))
    places = site.places(contestant, scratch)
    site.logs.mkdir(parents=True, exist_ok=True)
    log = site.logs / f"predictor-{contestant.name}.log"
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(site.core), *filled(contestant.command, places)],
            cwd=site.subject.directory,
            env=environment(contestant, places),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    served = Served(contestant, site.subject, places, process, log)
    try:
        served.wait_until_right(started)
        yield served
    finally:
        served.end()
        shutil.rmtree(scratch, ignore_errors=True)


def prepare(contestant: Contestant, site: Site) -> None:
    """Makes a contestant's environment and runs what it needs once.

    Raises:
        RuntimeError: That failed.
    """
    python_of(contestant.venv)
    if not contestant.prepare:
        return
    with tempfile.TemporaryDirectory(prefix="psm-bench-") as scratch:
        places = site.places(contestant, Path(scratch))
        done = subprocess.run(
            filled(contestant.prepare, places),
            check=False,
            capture_output=True,
            text=True,
            cwd=site.subject.directory,
            env=environment(contestant, places),
        )
    if done.returncode:
        raise RuntimeError(f"{Path(contestant.prepare[1]).name} failed: {done.stderr[-_LOG_CHARACTERS:]}")


def environment(contestant: Contestant, places: Mapping[str, str]) -> dict[str, str]:
    """Its environment: nothing of the bench's own."""
    return {
        "HOME": places["scratch"],
        "PATH": os.pathsep.join((places["bin"], os.defpath)),
        "NO_PROXY": "*",
        "DO_NOT_TRACK": "1",
        "PYTHONWARNINGS": "ignore",
        **{name: value.format(**places) for name, value in contestant.variables.items()},
    }


def filled(texts: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """The texts with their places filled in."""
    return [text.format(**places) for text in texts]
