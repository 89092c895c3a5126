"""Counters cheap enough for the hot route: float64 slots in one shared mapping, a row per writer.

A writer (a worker process, or a worker's batch thread) adds to its own row without a lock; a scrape sums the rows, so
any worker answers for all of them. `telemetry` and `live.layout` give the slots their meaning.
"""

import mmap
from dataclasses import dataclass
from typing import Final, TypeAlias

LIVE: Final = 2048
"""First slot of the live numbers (`live.layout`); those before it are `telemetry`'s."""

SLOTS: Final = 8192
"""Slots of a row: 64 KiB, of which only the pages in use take memory; about 1500 are used with 48 features."""

_SLOT_BYTES: Final = 8

Row: TypeAlias = "memoryview[float]"
"""A writer's slots: `row[slot] += 1`."""


class CounterBlock:
    """Rows of slots in anonymous shared memory; made before workers are forked, so that they share it."""

    def __init__(self, rows: int) -> None:
        self._slots = memoryview(mmap.mmap(-1, rows * SLOTS * _SLOT_BYTES)).cast("d")
        self._rows = rows

    def row(self, number: int) -> Row:
        """The slots of one writer."""
        return self._slots[number * SLOTS : (number + 1) * SLOTS]

    def total(self, slot: int) -> float:
        """A slot's sum over all writers."""
        return float(sum(self._slots[slot::SLOTS]))

    def values(self, slot: int, rows: range) -> list[float]:
        """A slot of some writers, one by one."""
        return [float(self._slots[number * SLOTS + slot]) for number in rows]


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place among the workers of its pod.

    Attributes:
        block: The counters of all workers: one row for each worker's event loop, then one for each batch thread.
        predictions: Shared memory in which predictions wait for feedback (`live.memory`).
        number: The worker's, from 0.
        parent: Descriptor that reads end of file when the parent process dies; None without a parent.
    """

    block: CounterBlock
    predictions: mmap.mmap
    number: int
    parent: int | None = None
