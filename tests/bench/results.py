"""The results file of a benchmark: written anew after every figure, so that a run that is cut short keeps what it has."""

import contextlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).parents[2]
FAILURES: Final[tuple[type[Exception], ...]] = (RuntimeError, OSError)
"""What may keep a phase from its end."""


@dataclass
class Results:
    """Everything measured so far.

    Attributes:
        path: The file.
        failures: What may keep a phase from its end.
        runs: one entry per key, such as a number of models.
        figures: everything else, by key.
    """

    path: Path
    failures: tuple[type[Exception], ...] = FAILURES
    runs: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self, key: Mapping[str, Any], **figures: Any) -> None:
        """Add figures about one run, which its key tells from the others."""
        self.runs.setdefault(tuple(key.values()), dict(key)).update(figures)
        self._write()

    def set(self, **figures: Any) -> None:
        """Add figures."""
        self.figures.update(figures)
        self._write()

    @contextlib.contextmanager
    def phase(self, what: str) -> Iterator[None]:
        """A phase that does not reach its end is noted, and the others go on."""
        try:
            yield
        except self.failures as err:
            self.figures.setdefault("errors", []).append(f"{what}: {err}")
            self._write()

    @property
    def errors(self) -> list[str]:
        """What did not reach its end."""
        return list(self.figures.get("errors", ()))

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return {"runs": [self.runs[key] for key in sorted(self.runs)], **self.figures}

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.as_json(), indent=1) + "\n")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def machine() -> dict[str, object]:
    """What all this runs on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": os.cpu_count(), "memory_gib": round(memory), "python": platform.python_version()}


def say(line: str) -> None:
    """Tell how far things are."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)  # noqa: T201  # the command's voice
