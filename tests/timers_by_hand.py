"""Time that a test moves: implements `psm_operator.timers.Timer`."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVarTuple

Args = TypeVarTuple("Args")

TURNS = 50
"""Turns of the event loop after each step: enough for every task to come to its next wait."""


@dataclass(eq=False)
class HandArrangedCall:
    """A call in the future."""

    call: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Do not make it."""
        self.is_cancelled = True


@dataclass
class HandTimer:
    """A monotonic clock at rest."""

    now: float = 1000.0
    calls: list[tuple[float, int, HandArrangedCall]] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)

    def time(self) -> float:
        """Seconds since nothing in particular."""
        return self.now

    def call_later(self, delay: float, callback: Callable[[*Args], object], *args: *Args) -> HandArrangedCall:
        """Call `callback(*args)` when time has been moved by `delay`."""
        arranged = HandArrangedCall(lambda: callback(*args))
        heapq.heappush(self.calls, (self.now + delay, next(self.numbers), arranged))
        return arranged

    async def advance(self, seconds: float) -> None:
        """Move time on, making every call that falls due at its own moment."""
        end = self.now + seconds
        await settle()
        while self.calls and self.calls[0][0] <= end:
            self.now, _, arranged = heapq.heappop(self.calls)
            if not arranged.is_cancelled:
                arranged.call()
            await settle()
        self.now = end
        await settle()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
