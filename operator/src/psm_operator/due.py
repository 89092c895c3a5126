"""A moment that one task waits for and that others may bring forward: what shared polls are timed by."""

import asyncio
from dataclasses import dataclass, field

from psm_operator.timers import Timer


@dataclass(slots=True)
class Due:
    """When something is to be done next.

    Attributes:
        at: on the timer's clock, in seconds.
    """

    timer: Timer
    at: float
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def bring_forward(self, at: float) -> None:
        """Be due at `at` if that is earlier."""
        if at < self.at:
            self.at = at
            self._moved.set()

    async def come(self) -> None:
        """Wait until it is due, however often that changes."""
        while (left := self.at - self.timer.time()) > 0:
            self._moved.clear()
            handle = self.timer.call_later(left, self._moved.set)
            try:
                await self._moved.wait()
            finally:
                handle.cancel()
