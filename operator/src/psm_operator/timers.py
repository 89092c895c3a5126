"""The monotonic clock and timers of an event loop, as a Protocol: asyncio's own loop is one, a test's hand is another."""

from collections.abc import Callable
from typing import Protocol, TypeVarTuple

Args = TypeVarTuple("Args")


class TimerHandle(Protocol):
    """A call that has been arranged."""

    def cancel(self) -> None:
        """Do not make it."""


class Timer(Protocol):
    """What `asyncio.AbstractEventLoop` offers of time."""

    def time(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def call_later(self, delay: float, callback: Callable[[*Args], object], *args: *Args) -> TimerHandle:
        """Call `callback(*args)` in `delay` seconds."""
