"""What turns what CloudWatch has into what is wanted, and what is somebody else's and stays untouched."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psm_operator.decide.monitoring.model import OWNER_TAG, Found, FoundAlarm, Owner, Request, Wanted

COMPARED: Final = (
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "ExtendedStatistic",
    "EvaluateLowSampleCountPercentile",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "Metrics",
)
"""Fields of an alarm that a person could change, and that are put back."""


@dataclass(frozen=True, slots=True)
class PutAlarm:
    """Create an alarm, or put it right."""

    request: Request
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TagAlarm:
    """An alarm that exists keeps its tags when it is put: they are set apart."""

    name: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeleteAlarms:
    """Delete alarms of ours, in one call."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PutDashboard:
    """Create the dashboard, or put it right."""

    name: str
    body: str


@dataclass(frozen=True, slots=True)
class DeleteDashboard:
    """Delete the dashboard of ours."""

    name: str


Step = PutAlarm | TagAlarm | DeleteAlarms | PutDashboard | DeleteDashboard


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something under a name of ours is somebody else's."""

    what: str
    whose: str

    def __str__(self) -> str:
        return f"{self.what} is {self.whose}"


def steps(owner: Owner, wanted: Wanted | None, found: Found) -> tuple[tuple[Step, ...], tuple[Conflict, ...]]:
    """What to do, in order, and what cannot be done since it is not ours.

    Args:
        owner: whose things may be touched.
        wanted: None: nothing is to be left.
        found: what is there.
    """
    strange = {alarm.name: _whose(alarm.tags) for alarm in found.alarms if alarm.tags.get(OWNER_TAG) != owner.uid}
    ours = {alarm.name: alarm for alarm in found.alarms if alarm.name not in strange}
    requests = {request["AlarmName"]: request for request in (wanted.alarms if wanted is not None else ())}
    tags = wanted.tags if wanted is not None else {}
    todo: list[Step] = []
    for name, request in requests.items():
        if name not in strange:
            todo += _of_alarm(request, tags, ours.get(name))
    gone = tuple(name for name in ours if name not in requests)
    conflicts = [Conflict(f"alarm {name}", whose) for name, whose in strange.items() if name in requests]
    board, conflict = _of_dashboard(owner, wanted.dashboard if wanted is not None else None, found)
    return (*todo, *board, *((DeleteAlarms(gone),) if gone else ())), (*conflicts, *conflict)


def _of_alarm(request: Request, tags: Mapping[str, str], found: FoundAlarm | None) -> list[Step]:
    if found is None:
        return [PutAlarm(request, tags)]
    todo: list[Step] = [] if essence(request) == essence(found.request) else [PutAlarm(request, tags)]
    if not tags.items() <= found.tags.items():
        todo.append(TagAlarm(found.name, tags))
    return todo


def _of_dashboard(owner: Owner, body: str | None, found: Found) -> tuple[tuple[Step, ...], tuple[Conflict, ...]]:
    there = found.dashboard
    if there is not None and owner.sign not in _texts(there.body):
        conflict = Conflict(f"dashboard {owner.stem}", "somebody else's")
        return (), (conflict,) if body is not None else ()
    if body is not None and (there is None or _parsed(there.body) != _parsed(body)):
        return (PutDashboard(owner.stem, body),), ()
    if body is None and there is not None:
        return (DeleteDashboard(owner.stem),), ()
    return (), ()


def _whose(tags: Mapping[str, str]) -> str:
    uid = tags.get(OWNER_TAG)
    return f"another PriceSensitivityModel's, with uid {uid}" if uid else "somebody else's: it has no tag OwnerUid"


def essence(request: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm's fields as they compare: what CloudWatch leaves out, sorts or makes a float of does not matter."""
    picked = {name: _plain(request.get(name)) for name in COMPARED}
    return {name: value for name, value in picked.items() if value not in (None, [], {})}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {name: _plain(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part not in (None, [], {})}
    if isinstance(value, list | tuple):
        return sorted((_plain(part) for part in value), key=lambda part: json.dumps(part, sort_keys=True))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _texts(body: str) -> str:
    parsed = _parsed(body)
    widgets = parsed.get("widgets") if isinstance(parsed, dict) else None
    properties = [widget.get("properties") or {} for widget in widgets or [] if isinstance(widget, dict)]
    return "\n".join(str(each.get("markdown", "")) for each in properties)
