"""CloudWatch's dashboards and alarms as dicts, with the verbs by which a test plays people and faults.

Passes the same tests as the real adapter (tests/component/operator/test_adapters_monitoring.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

from psm_operator.decide.monitoring import (
    DeleteAlarms,
    DeleteDashboard,
    Found,
    FoundAlarm,
    FoundDashboard,
    Owner,
    Place,
    PutAlarm,
    PutDashboard,
    Step,
    TagAlarm,
)
from psm_operator.values import ObjectRef


class MemoryMonitoring:
    """CloudWatch and SNS of one account and region.

    Attributes:
        alarms: by name.
        tags: of alarms, by their name.
        dashboards: bodies by name.
        topics: ARNs that exist.
        writes: one line per write, oldest first.
        before_call: called with the method's name before every call; what it raises, the call raises.
    """

    def __init__(self) -> None:
        self.alarms: dict[str, Mapping[str, Any]] = {}
        self.tags: dict[str, Mapping[str, str]] = {}
        self.dashboards: dict[str, str] = {}
        self.topics: set[str] = set()
        self.writes: list[str] = []
        self.before_call: Callable[[str], None] = lambda _: None

    async def find(self, owner: Owner, place: Place) -> Found:  # noqa: ARG002  # the port's signature
        """What exists under names of ours."""
        self.before_call("find")
        names = sorted(name for name in self.alarms if name.startswith(f"{owner.stem}-"))
        found = tuple(FoundAlarm(name, self.alarms[name], self.tags.get(name, {})) for name in names)
        body = self.dashboards.get(owner.stem)
        return Found(found, FoundDashboard(body) if body is not None else None)

    async def carry_out(self, step: Step, place: Place) -> None:  # noqa: ARG002  # the port's signature
        """One write; an alarm that exists keeps its tags."""
        self.before_call("carry_out")
        match step:
            case PutAlarm(request=request, tags=tags):
                name = request["AlarmName"]
                self.tags.setdefault(name, dict(tags))
                self.alarms[name] = dict(request)
                self.writes.append(f"put alarm {name}")
            case TagAlarm(name=name, tags=tags):
                self.tags[name] = {**self.tags.get(name, {}), **tags}
                self.writes.append(f"tag alarm {name}")
            case DeleteAlarms(names=names):
                for name in names:
                    self.alarms.pop(name, None)
                    self.tags.pop(name, None)
                self.writes.append(f"delete alarms {' '.join(names)}")
            case PutDashboard(name=name, body=body):
                self.dashboards[name] = body
                self.writes.append(f"put dashboard {name}")
            case DeleteDashboard(name=name):
                self.dashboards.pop(name, None)
                self.writes.append(f"delete dashboard {name}")

    async def topic_trouble(self, topic: str, place: Place) -> str:  # noqa: ARG002  # the port's signature
        """Whether the topic exists."""
        self.before_call("topic_trouble")
        return "" if topic in self.topics else f"topic {topic} does not exist; create it"

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of anybody."""
        return not (self.alarms or self.dashboards)


class NoMonitoring:
    """Keeps nothing: for tests and dry runs of everything else."""

    def follow(self, ref: ObjectRef, generation: str, wish: str) -> None:
        """Nobody looks after it."""

    def view(self, ref: ObjectRef) -> None:
        """Nobody looked."""

    def forget(self, ref: ObjectRef) -> None:
        """Nothing was remembered."""
