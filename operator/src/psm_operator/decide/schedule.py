"""PURE. Which off-hours window holds at a moment, and when that changes.

A window is written on a wall clock and becomes a span of real time through the zone's rules (PEP 495, fold=0): across a
change to or from summer time it is an hour shorter or longer, as the clock on the wall says.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from psm_operator.api.schedule import WEEK, Schedule

LOOK_AROUND = timedelta(days=8)
"""A window returns every week, and lasts less than a day and an hour: this far back and ahead there is each of them."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One occurrence: from `start` until just before `end`, both in UTC."""

    start: datetime
    end: datetime
    replicas: int


def occurrences(schedule: Schedule, now: datetime) -> Iterator[Window]:
    """Every window that touches the days around `now`."""
    zone = schedule.zone
    first = (now - LOOK_AROUND).astimezone(zone).date()
    for number in range(2 * LOOK_AROUND.days + 1):
        day = first + timedelta(days=number)
        for hours in schedule.off_hours:
            if WEEK[day.weekday()] in hours.days:
                last = day if hours.end_time > hours.start_time else day + timedelta(days=1)
                yield Window(
                    _instant(day, hours.start_time, zone), _instant(last, hours.end_time, zone), hours.replicas
                )


def window_at(schedule: Schedule | None, now: datetime) -> Window | None:
    """The window that holds at `now`; of several the one with the fewest replicas, of those the one that ends last."""
    if schedule is None:
        return None
    holding = [window for window in occurrences(schedule, now) if window.start <= now < window.end]
    return min(holding, key=lambda window: (window.replicas, -window.end.timestamp()), default=None)


def next_change(schedule: Schedule | None, now: datetime) -> datetime | None:
    """When a window next begins or ends; None without a schedule."""
    if schedule is None:
        return None
    moments = (moment for window in occurrences(schedule, now) for moment in (window.start, window.end))
    return min((moment for moment in moments if moment > now), default=None)


def last_pause_end(schedule: Schedule | None, now: datetime) -> datetime | None:
    """When a window without any replica last ended; None if none did within the days around."""
    if schedule is None:
        return None
    ends = (window.end for window in occurrences(schedule, now) if window.replicas == 0)
    return max((end for end in ends if end <= now), default=None)


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)
