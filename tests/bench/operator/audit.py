"""Who asked the API server for what, from its audit log."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from bench.operator.lab import AGENT

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
OURS: Final = ("psm-operator", "kopf", "OpenAPI-Generator")
"""How contestants' clients name themselves; Kubernetes' own components have other names."""


class ObjectReference(msgspec.Struct):
    """What was asked for."""

    resource: str = ""
    subresource: str = ""


class Line(msgspec.Struct, rename="camel"):
    """One request."""

    verb: str
    stage: str = ""
    user_agent: str = ""
    object_ref: ObjectReference | None = None


LINE: Final = msgspec.json.Decoder(Line)


@dataclass(frozen=True)
class Requests:
    """Requests of the contestants in some time: (verb, resource) -> how many."""

    counts: Counter[tuple[str, str]]

    @property
    def lease_writes(self) -> int:
        """Renewals and the like: the heartbeat of the election."""
        return sum(n for (verb, what), n in self.counts.items() if verb in WRITES and what == "leases")

    @property
    def writes(self) -> int:
        """Everything written but the lease."""
        return sum(n for (verb, what), n in self.counts.items() if verb in WRITES and what != "leases")

    @property
    def reads(self) -> int:
        """Gets, lists and watches, the lease aside."""
        return sum(n for (verb, what), n in self.counts.items() if verb not in WRITES and what != "leases")

    def named(self) -> dict[str, int]:
        """For the results file, most first."""
        return {f"{verb} {what}": count for (verb, what), count in self.counts.most_common()}


@dataclass(frozen=True)
class AuditLog:
    """The API server's log, which grows."""

    path: Path

    def here(self) -> int:
        """The place reached by now."""
        return self.path.stat().st_size

    def since(self, place: int) -> Requests:
        """What contestants asked for since then."""
        counts: Counter[tuple[str, str]] = Counter()
        with self.path.open("rb") as log:
            log.seek(place)
            for line in log:
                if not line.endswith(b"\n") or AGENT.encode() in line:
                    continue
                request = LINE.decode(line)
                if not request.user_agent.startswith(OURS) or request.object_ref is None:
                    continue
                what = request.object_ref
                counts[request.verb, "/".join(filter(None, (what.resource, what.subresource)))] += 1
        return Requests(counts)
