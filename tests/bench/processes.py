"""What the operating system says of a process and of those that it started."""

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far, user and system."""
    return sum(_stat(pid)[11:13]) / TICKS_PER_S


def born(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: tells it from a later one of the same number; None if it ended."""
    try:
        return _stat(pid)[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def memory_mib(pid: int, name: str = "VmRSS") -> float:
    """Memory of a process by the name that /proc/<pid>/status has for it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[0]) / 1024


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            children[_stat(int(folder.name))[1]].append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def tree_cpu_seconds(root: int) -> float:
    """CPU seconds of a process and its descendants so far, those that ended and were waited for included."""
    total = 0
    for pid in tree(root):
        try:
            total += sum(_stat(pid)[11:15])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / TICKS_PER_S


def tree_memory_mib(root: int) -> float:
    """Resident memory of a process and its descendants; what they share counts for each."""
    total = 0.0
    for pid in tree(root):
        try:
            total += memory_mib(pid)
        except (FileNotFoundError, ProcessLookupError, IndexError):
            continue  # it ended meanwhile
    return total


def _stat(pid: int) -> list[int]:
    """The numbers of /proc/<pid>/stat from the state on, which reads as 0; the name before it may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]
