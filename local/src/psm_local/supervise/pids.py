"""Processes by number and start time, so that a reused number is never mistaken for ours."""

import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessId:
    """One process of this machine: its number and when it started."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal if this very process still runs."""
        if self.is_alive:
            os.kill(self.pid, number)


def process_id(pid: int) -> ProcessId:
    """Return the identity of a process that runs now; one that does not gets a start time nothing equals."""
    return ProcessId(pid=pid, started=start_time(pid) or "gone")


def start_time(pid: int) -> str | None:
    """Return when a process started, in the kernel's own words; None when it does not run."""
    stat = Path(f"/proc/{pid}/stat")
    if sys.platform != "linux":
        return _start_time_by_ps(pid)
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], fields[19]
    return None if state in {"Z", "X"} else ticks


def _start_time_by_ps(pid: int) -> str | None:
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def children(pid: int) -> list[int]:
    """Return the direct children of a process (Linux)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
