"""`spec.schedule`: hours in which fewer replicas are wanted, in the clock of a place."""

import re
from datetime import time
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from psm_operator.api.base import ApiModel
from psm_operator.api.schema import rules

CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
ZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"

PLACELESS_PATTERN = r"^(Local|localtime|posixrules|Factory)$|^(posix|right)/"
"""Files beside the time zones of a machine: its own clock, which differs between API server and operator, and other counts."""

ClockText = Annotated[str, StringConstraints(max_length=5, pattern=CLOCK_PATTERN)]
"""Hour and minute on a wall clock, as in `07:30`."""


class Day(StrEnum):
    """A day of the week."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


WEEK = tuple(Day)
"""In the order of `datetime.weekday`."""


class OffHours(ApiModel):
    """One window that returns every week."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.start != self.end", "an off-hours window must end at another time than it starts")
        )
    )

    start: ClockText = Field(description='When it begins, on the clock of `timezone`, like "20:00".')
    end: ClockText = Field(
        description='When it ends, like "07:00"; not later than `start` means on the next day. A time that the clock '
        "skips in spring counts as if it had not been skipped; of a time that comes twice in autumn the first counts."
    )
    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = Field(
        default=WEEK, description="Days on which it begins. Unset: every day."
    )
    replicas: Annotated[int, Field(ge=0, le=1000)] = Field(default=0, description="Replicas inside the window.")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.start == self.end:
            raise ValueError("an off-hours window must end at another time than it starts")
        return self

    @property
    def start_time(self) -> time:
        """`start` as a time of day."""
        return time.fromisoformat(self.start)

    @property
    def end_time(self) -> time:
        """`end` as a time of day."""
        return time.fromisoformat(self.end)


class Schedule(ApiModel):
    """Hours in which fewer replicas, or none, are wanted. Where windows overlap, the fewest replicas count."""

    timezone: Annotated[str, StringConstraints(max_length=64, pattern=ZONE_PATTERN)] = Field(
        description="IANA time zone whose clock the windows follow, such as Asia/Singapore.",
        json_schema_extra=rules(
            (
                "timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
                "schedule.timezone must be an IANA time zone such as Asia/Singapore",
            ),
            (
                f"!self.matches('{PLACELESS_PATTERN}')",
                "schedule.timezone must be an IANA time zone such as Asia/Singapore, not the clock of some machine",
            ),
        ),
    )
    off_hours: Annotated[tuple[OffHours, ...], Field(min_length=1, max_length=16)] = Field(
        description="Windows with fewer replicas. A roll-out or rollback under way is finished first."
    )

    @property
    def zone(self) -> ZoneInfo:
        """`timezone` with its rules."""
        return ZoneInfo(self.timezone)

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        message = f"schedule.timezone must be an IANA time zone such as Asia/Singapore, not {self.timezone!r}"
        if re.search(PLACELESS_PATTERN, self.timezone):
            raise ValueError(message)
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            raise ValueError(message) from err
        return self
