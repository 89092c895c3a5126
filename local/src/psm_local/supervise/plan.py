"""The declaration of what an instance runs: processes, what they need and how to see that they are ready.

Written to a file by the starter and read by the keeper, so every value is plain JSON.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ReadyKind = Literal["http", "socket", "command", "instance", "exit", "none"]


@dataclass(frozen=True)
class Ready:
    """How to see that a process is ready.

    Kinds: `http` a GET of `target` (of each, where it names several) answers 2xx; `socket` a connection to `target`
    (host:port, or the path of a UNIX socket) succeeds; `command` the program `argv` exits 0; `instance` the process is
    a keeper itself and everything in its run folder `target` is ready; `exit` the process is a task and exits 0;
    `none` it is ready once started.
    """

    kind: ReadyKind = "none"
    target: str = ""
    ca_file: str = ""
    argv: tuple[str, ...] = ()
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Process:
    """One process of an instance."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()
    ready: Ready = field(default_factory=Ready)
    env: dict[str, str] = field(default_factory=dict)
    grace_s: float = 10.0
    """How long the process may take to end after SIGTERM before it is killed."""
    hints: tuple[str, ...] = ()
    """Paths of further logs whose end explains a failure."""
    restart: bool = True
    """Whether it is started again when it ends by itself after it was ready."""


@dataclass(frozen=True)
class Plan:
    """All processes of an instance, in starting order."""

    instance: str
    processes: tuple[Process, ...]
    afterwards: tuple[tuple[str, ...], ...] = ()
    """Programs to run when everything has ended, to remove what processes leave behind."""

    def __post_init__(self) -> None:
        """Refuse a plan whose processes need something that is not started before them."""
        seen: set[str] = set()
        for process in self.processes:
            missing = set(process.needs) - seen
            if missing:
                raise ValueError(f"{process.name} needs {', '.join(sorted(missing))}, which no earlier process brings")
            if process.name in seen:
                raise ValueError(f"two processes of one plan are named {process.name}")
            seen.add(process.name)

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read a plan that `save` wrote."""
        raw = json.loads(path.read_text())
        return cls(
            instance=raw["instance"],
            processes=tuple(_process(item) for item in raw["processes"]),
            afterwards=tuple(tuple(argv) for argv in raw["afterwards"]),
        )


def _process(raw: dict[str, Any]) -> Process:
    ready = Ready(**{**raw["ready"], "argv": tuple(raw["ready"]["argv"])})
    return Process(
        name=raw["name"],
        argv=tuple(raw["argv"]),
        needs=tuple(raw["needs"]),
        ready=ready,
        env=raw["env"],
        grace_s=raw["grace_s"],
        hints=tuple(raw["hints"]),
        restart=raw["restart"],
    )
