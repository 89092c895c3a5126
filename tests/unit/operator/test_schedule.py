"""Off-hours windows: wall clocks, nights, weeks, and the two days on which the clock jumps."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from psm_operator.api.schedule import Schedule
from psm_operator.decide.schedule import last_pause_end, next_change, window_at

NIGHTS = {"start": "20:00", "end": "07:00", "days": ["Mon", "Tue", "Wed", "Thu", "Fri"]}


def schedule(*hours: dict[str, Any], zone: str = "Asia/Singapore") -> Schedule:
    return Schedule.model_validate({"timezone": zone, "offHours": list(hours)})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-11-16T11:59:59", False),
        ("2026-11-16T12:00:00", True),
        ("2026-11-16T22:59:59", True),
        ("2026-11-16T23:00:00", False),
        ("2026-11-20T15:00:00", True),
        ("2026-11-20T22:00:00", True),
        ("2026-11-21T15:00:00", False),
    ],
    ids=[
        "a second before Monday 20:00",
        "Monday 20:00",
        "a second before Tuesday 07:00",
        "Tuesday 07:00",
        "Friday night",
        "Saturday morning, of the window that began on Friday",
        "Saturday night",
    ],
)
def test_a_night_begins_on_its_days_and_ends_on_the_next_morning(now: str, holds: bool) -> None:  # noqa: FBT001  # a table's column
    assert (window_at(schedule(NIGHTS), utc(now)) is not None) is holds


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ({"start": "23:00", "end": "05:00", "days": ["Sat"]}, "2026-03-28T22:00:00", "2026-03-29T03:00:00"),
        ({"start": "23:00", "end": "05:00", "days": ["Sat"]}, "2026-10-24T21:00:00", "2026-10-25T04:00:00"),
        ({"start": "02:30", "end": "05:00", "days": ["Sun"]}, "2026-03-29T01:30:00", "2026-03-29T03:00:00"),
        ({"start": "02:30", "end": "05:00", "days": ["Sun"]}, "2026-10-25T00:30:00", "2026-10-25T04:00:00"),
    ],
    ids=[
        "the night in which an hour is missing lasts five hours",
        "the night in which an hour comes twice lasts seven",
        "a start that the clock skips counts as if it had not been skipped",
        "a start that comes twice is the first",
    ],
)
def test_summer_time_moves_windows_as_the_clock_on_the_wall_does(window: dict[str, Any], start: str, end: str) -> None:
    found = window_at(schedule(window, zone="Europe/Berlin"), utc(start))
    assert found is not None
    assert (found.start, found.end) == (utc(start), utc(end))


def test_where_windows_overlap_the_fewest_replicas_count() -> None:
    evening = {"start": "18:00", "end": "23:00", "replicas": 2}
    made = schedule(evening, NIGHTS, zone="UTC")
    at = [window_at(made, utc(f"2026-11-16T{hour}:00")) for hour in ("19:00", "21:00", "23:30")]
    assert [window.replicas if window else None for window in at] == [2, 0, 0]


def test_without_a_schedule_nothing_ever_changes() -> None:
    now = utc("2026-11-16T12:00:00")
    assert (window_at(None, now), next_change(None, now), last_pause_end(None, now)) == (None, None, None)


def test_a_window_with_replicas_is_no_pause() -> None:
    made = schedule({"start": "20:00", "end": "07:00", "replicas": 1}, zone="UTC")
    assert last_pause_end(made, utc("2026-11-16T12:00:00")) is None
    assert last_pause_end(schedule(NIGHTS, zone="UTC"), utc("2026-11-18T12:00:00")) == utc("2026-11-18T07:00:00")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Asia/", "asia singapore"])
def test_a_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        schedule(NIGHTS, zone=zone)


@given(
    zone=st.sampled_from(["UTC", "Asia/Singapore", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    now=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)),  # noqa: DTZ001  # hypothesis wants naive bounds
    start=st.times(),
    end=st.times(),
)
def test_nothing_changes_before_the_next_change(zone: str, now: datetime, start: Any, end: Any) -> None:
    """What holds now holds until just before `next_change`, whatever the clock does in between; and it comes within a week."""
    if f"{start:%H:%M}" == f"{end:%H:%M}":
        return
    made = schedule({"start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}, zone=zone)
    moment = now.replace(tzinfo=UTC)
    change = next_change(made, moment)
    assert change is not None
    assert (change - moment).days < 2
    last = moment + (change - moment) * 0.999999
    assert (window_at(made, moment) is None) == (window_at(made, last) is None)
    assert (window_at(made, moment) is None) != (window_at(made, change) is None)
