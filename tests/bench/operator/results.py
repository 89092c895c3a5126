"""The results file: written anew after every phase, so that a run that is cut short keeps what it has."""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from psm_local.errors import LocalError

FAILURES: Final = (RuntimeError, OSError, LocalError, aiohttp.ClientError, BotoCoreError, ClientError)
"""What may keep a phase from its end."""


@dataclass
class Results:
    """Everything measured so far.

    Attributes:
        runs: one entry per number of models.
        figures: everything else, by key.
    """

    path: Path
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self, crs: int, **figures: Any) -> None:
        """Add figures about so many models."""
        self.runs.setdefault(crs, {"crs": crs}).update(figures)
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
        except FAILURES as err:
            self.figures.setdefault("errors", []).append(f"{what}: {err}")
            self._write()

    @property
    def errors(self) -> list[str]:
        """What did not reach its end."""
        return list(self.figures.get("errors", ()))

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return {"runs": [self.runs[crs] for crs in sorted(self.runs)], **self.figures}

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.as_json(), indent=1) + "\n")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
