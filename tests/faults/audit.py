"""What the API server's audit log says of who wrote what while who held a Lease."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_operator.values import Manifest

WRITES: Final = frozenset({"create", "update", "patch", "delete"})


@dataclass(frozen=True)
class Entry:
    """One request that the API server finished."""

    received: str
    finished: str
    who: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int

    @property
    def is_write(self) -> bool:
        """Whether it could change something."""
        return self.verb in WRITES

    @property
    def is_done(self) -> bool:
        """Whether the API server carried it out."""
        return self.code < 300  # HTTP


def entries(log: Path) -> list[Entry]:
    """Every finished request, in the order in which they were received."""
    *whole, _ = log.read_text().split("\n")  # what follows the last line's end is being written
    found = (_entry(json.loads(line)) for line in whole if '"ResponseComplete"' in line)
    return sorted(found, key=lambda entry: entry.received)


def _entry(line: Manifest) -> Entry:
    about: dict[str, Any] = line.get("objectRef") or {}
    user = line.get("impersonatedUser") or line.get("user") or {}
    return Entry(
        received=line["requestReceivedTimestamp"],
        finished=line["stageTimestamp"],
        who=user.get("username", ""),
        verb=line["verb"],
        resource=about.get("resource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=(line.get("responseStatus") or {}).get("code", 0),
    )


def writes_without_lease(log: Iterable[Entry], namespace: str) -> list[Entry]:
    """Writes to a namespace by an operator that was not the last to create or update the namespace's Lease before."""
    here = [entry for entry in log if entry.namespace == namespace and entry.is_write]
    turns = [
        entry for entry in here if entry.resource == "leases" and entry.verb in {"create", "update"} and entry.is_done
    ]
    turns.sort(key=lambda entry: entry.finished)
    operators = {turn.who for turn in turns}
    found = []
    for entry in here:
        before = [turn.who for turn in turns if turn.finished <= entry.received]
        if entry.resource != "leases" and entry.who in operators and before[-1:] != [entry.who]:
            found.append(entry)
    return found
