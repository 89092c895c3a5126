"""The real Clock."""

from datetime import UTC, datetime


class SystemClock:
    """This machine's wall clock, in UTC."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)  # noqa: TID251  # the one real implementation of the Clock port
