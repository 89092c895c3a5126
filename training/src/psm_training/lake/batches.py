"""Cuts a table into batches: memory depends on BATCH_ROWS and not on how much there is.

Several small weeks go together, a large week region by region.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

BATCH_ROWS: Final = 200_000
"""Lines that are sorted and written at once: about 50 MB."""

Partitions = Mapping[tuple[int, str], int]
"""Rows of each week and region."""


@dataclass(frozen=True)
class Batch:
    """Whole weeks from first to last, or some regions of one."""

    first: int
    last: int
    regions: tuple[str, ...] | None = None

    def has(self, week: int, region: str) -> bool:
        """Whether a partition belongs to it."""
        return self.first <= week <= self.last and (self.regions is None or region in self.regions)


def batches(partitions: Partitions, limit: int = BATCH_ROWS) -> Iterator[Batch]:
    """Cuts partitions into batches of about `limit` rows, in order."""
    by_week: dict[int, dict[str, int]] = defaultdict(dict)
    for (week, region), rows in sorted(partitions.items()):
        by_week[week][region] = rows
    first, before, held = 0, 0, 0
    for week, regions in by_week.items():
        rows = sum(regions.values())
        if held and held + rows > limit:
            yield Batch(first, before)
            held = 0
        if rows > limit:
            yield from (Batch(week, week, chosen) for chosen in _regions(regions, limit))
            continue
        first, before, held = (first if held else week), week, held + rows
    if held:
        yield Batch(first, before)


def _regions(regions: Mapping[str, int], limit: int) -> Iterator[tuple[str, ...]]:
    chosen: list[str] = []
    held = 0
    for region, rows in regions.items():
        if chosen and held + rows > limit:
            yield tuple(chosen)
            chosen, held = [], 0
        chosen.append(region)
        held += rows
    yield tuple(chosen)
