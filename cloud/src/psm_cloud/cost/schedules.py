"""How many nodes a group has on average when schedules of the week change its size. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from psm_cloud.cost.resources import Planned, Resource, key_of
from psm_cloud.errors import CloudError

DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
WEEK_HOURS: Final = 7 * 24
MINUTES: Final = 60


@dataclass(frozen=True, order=True)
class Change:
    """From this minute of the week, which begins on Sunday at midnight, the group has this many nodes."""

    minute: int
    nodes: int


def average_nodes(group: Resource, plan: Planned) -> Decimal:
    """Return the mean number of nodes over a week, without what an autoscaler adds."""
    scaling = (group.values.get("scaling_config") or [{}])[0]
    desired = int(scaling.get("desired_size") or 0)
    changes = sorted(change for found in schedules_of(group, plan) for change in _changes(found))
    return average(desired, changes)


def average(desired: int, changes: Iterable[Change]) -> Decimal:
    """Return the mean over the week; before the week's first change the last one of the week before holds."""
    ordered = sorted(changes)
    if not ordered:
        return Decimal(desired)
    total = 0
    minute, nodes = 0, ordered[-1].nodes
    for change in (*ordered, Change(WEEK_HOURS * MINUTES, 0)):
        total += (change.minute - minute) * nodes
        minute, nodes = change.minute, change.nodes
    return Decimal(total) / (WEEK_HOURS * MINUTES)


def schedules_of(group: Resource, plan: Planned) -> Iterator[Resource]:
    """Yield the schedules whose address, or whose call, names the group's key or name."""
    names = {str(group.values.get("node_group_name") or ""), key_of(group.address)} - {""}
    for found in plan.of("aws_autoscaling_schedule", "aws_scheduler_schedule"):
        words = set(re.findall(r"[\w-]+", key_of(found.address))) | set(key_of(found.address).split("-"))
        called = _call(found).get("NodegroupName")
        if called in names or names & words:
            yield found


def _call(schedule: Resource) -> Mapping[str, Any]:
    for target in schedule.values.get("target") or ():
        try:
            read = json.loads(target.get("input") or "{}")
        except ValueError:
            continue  # an input of another kind of target, which changes no group
        if isinstance(read, dict):
            return read
    return {}


def _changes(schedule: Resource) -> Iterator[Change]:
    if schedule.type == "aws_autoscaling_schedule":
        nodes = schedule.values.get("desired_capacity")
        cron = str(schedule.values.get("recurrence") or "")
    else:
        nodes = (_call(schedule).get("ScalingConfig") or {}).get("DesiredSize")
        cron = _five_fields(str(schedule.values.get("schedule_expression") or ""))
    if nodes is None or int(nodes) < 0:
        return
    for minute in minutes_of_week(cron):
        yield Change(minute, int(nodes))


def _five_fields(expression: str) -> str:
    found = re.fullmatch(r"cron\((.+)\)", expression.strip())
    if not found:
        message = (
            f"cannot read the schedule {expression!r}: give cron(minutes hours day-of-month month day-of-week year)"
        )
        raise CloudError(message)
    fields = found.group(1).split()
    # EventBridge counts Sunday as 1, crontab as 0
    week = re.sub(r"\d", lambda digit: str(int(digit.group()) - 1), fields[4])
    return " ".join((*fields[:4], week))


def minutes_of_week(cron: str) -> list[int]:
    """Return when a crontab line of fixed times fires in a week.

    Raises:
        CloudError: It is not of the form `30 9 * * MON-FRI`.
    """
    fields = cron.split()
    fixed = len(fields) == 5 and fields[0].isdigit() and fields[1].isdigit()  # noqa: PLR2004  # fields of crontab
    if not fixed or fields[2] not in "*?" or fields[3] not in "*?":
        message = (
            f"cannot price the schedule {cron!r}: give one hour and minute on days of the week, as 0 9 * * MON-FRI"
        )
        raise CloudError(message)
    at = int(fields[1]) * MINUTES + int(fields[0])
    return [day * 24 * MINUTES + at for day in sorted(_weekdays(fields[4]))]


def _weekdays(field: str) -> set[int]:
    if field in {"*", "?"}:
        return set(range(7))
    days: set[int] = set()
    for part in field.upper().split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        days |= {day % 7 for day in range(begin, end + (7 if end < begin else 0) + 1)}
    return days


def _day(text: str) -> int:
    return DAYS.index(text) if text in DAYS else int(text) % 7
