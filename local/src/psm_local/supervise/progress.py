"""The lines by which a keeper tells its starter how far it is, and the end of a log."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_TAIL_LINES = 15
_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Event:
    """One step of an instance's start."""

    kind: Literal["ready", "running", "stopped", "failed"]
    process: str = ""
    seconds: float = 0.0
    detail: str = ""

    def line(self) -> str:
        """Return the event as one line of JSON."""
        return json.dumps(vars(self)) + "\n"

    @classmethod
    def parse(cls, line: str) -> "Event":
        """Read a line that `line` wrote."""
        return cls(**json.loads(line))


def tail(path: Path) -> str:
    """Return the last lines of a log."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:])
