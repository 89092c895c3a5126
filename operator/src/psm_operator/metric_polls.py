"""Reads of CloudWatch shared by every model of an account and region: AWS calls do not grow with the number of models.

One task per (region, role) reads every query that a follower wants, at the shortest interval that any asked for, and
hands the models whose readings changed to `on_poll`. `readings` answers from memory. What cannot be read is an error at
once: an old value is never served as if it were news.

When an account is read
- A query that was not read yet: within `GATHER_S`, together with those that come meanwhile, as after a restart.
- Then: every interval; CloudWatch has nothing finer than a minute for most, and below `MIN_INTERVAL_S` nobody reads.
- When throttled: the interval doubled up to `THROTTLED_CAP_S`, whatever followers ask.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from psm_operator.due import Due
from psm_operator.timers import Timer
from psm_operator.values import MetricQuery, MetricReading, ObjectRef

log = logging.getLogger(__name__)

MIN_INTERVAL_S = 15.0
GATHER_S = 1.0
THROTTLED_CAP_S = 300.0

READ_TIMEOUT_S = 60.0
"""A read that takes longer is given up: an error must surface within one interval."""


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """Whose metrics, and where: what reads are shared by."""

    region: str
    role_arn: str

    def __str__(self) -> str:
        return f"{self.region} as {self.role_arn}" if self.role_arn else self.region


@dataclass(frozen=True, slots=True)
class Readings:
    """One read: every query that was asked for, with its value or why there is none."""

    by_query: Mapping[MetricQuery, MetricReading]
    is_throttled: bool = False


class MetricSource(Protocol):
    """Where metrics come from."""

    async def read(self, account: Account, queries: frozenset[MetricQuery]) -> Readings:
        """The newest complete datapoint of each query; errors are readings too."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What one model declared with `watch`."""

    account: Account
    queries: frozenset[MetricQuery]
    interval_s: float


@dataclass(slots=True)
class Followed:
    """Everything remembered of one account while somebody follows it."""

    account: Account
    due: Due
    followers: dict[ObjectRef, Interest] = field(default_factory=dict)
    readings: dict[MetricQuery, MetricReading] = field(default_factory=dict)
    started: float | None = None
    throttled: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def queries(self) -> frozenset[MetricQuery]:
        """Every query that a follower wants."""
        return frozenset().union(*(interest.queries for interest in self.followers.values()))

    @property
    def delay_s(self) -> float:
        """From the start of one read to the start of the next."""
        shortest_s = min(interest.interval_s for interest in self.followers.values())
        interval_s = max(MIN_INTERVAL_S, shortest_s)
        return float(max(interval_s, min(THROTTLED_CAP_S, interval_s * 2 ** min(self.throttled, 10))))


class SharedMetricPolls:
    """Implements `ports.LiveMetrics` over a `MetricSource`.

    Args:
        on_poll: told which models to look at again when a read brought them news.
    """

    def __init__(self, source: MetricSource, *, timer: Timer, on_poll: Callable[[frozenset[ObjectRef]], None]) -> None:
        self._source = source
        self._timer = timer
        self._on_poll = on_poll
        self._accounts: dict[Account, Followed] = {}
        self._interests: dict[ObjectRef, Interest] = {}

    # --- the port -------------------------------------------------------------------------------------------------

    def watch(
        self, ref: ObjectRef, region: str, role_arn: str, queries: frozenset[MetricQuery], interval_s: float
    ) -> None:
        """Declare what `ref` wants to know; replaces its last declaration, and nothing ends it."""
        interest = Interest(Account(region, role_arn), queries, interval_s)
        before = self._interests.get(ref)
        if interest == before:
            return
        if not queries or (before is not None and before.account != interest.account):
            self.unwatch(ref)
        if not queries:
            return
        known = self._accounts.get(interest.account) or self._follow(interest.account)
        self._interests[ref] = known.followers[ref] = interest
        if known.task is None:
            known.task = asyncio.create_task(self._read_on(known), name=f"metrics {known.account}")
        if known.started is not None and known.due.at < float("inf"):
            known.due.bring_forward(max(self._timer.time(), known.started + known.delay_s))
        if not known.throttled and queries - known.readings.keys():
            known.due.bring_forward(self._timer.time() + GATHER_S)

    def unwatch(self, ref: ObjectRef) -> None:
        """`ref` is gone, or wants nothing any more; an account nobody follows is no longer read."""
        interest = self._interests.pop(ref, None)
        if interest is None:
            return
        known = self._accounts[interest.account]
        del known.followers[ref]
        if not known.followers:
            del self._accounts[interest.account]
            if known.task is not None:
                known.task.cancel()

    def readings(self, ref: ObjectRef) -> Mapping[MetricQuery, MetricReading]:
        """What was read last; a query that was not read yet is absent."""
        interest = self._interests.get(ref)
        if interest is None:
            return MappingProxyType({})
        read = self._accounts[interest.account].readings
        return MappingProxyType({query: read[query] for query in interest.queries if query in read})

    async def close(self) -> None:
        """Stop every read."""
        tasks = [known.task for known in self._accounts.values() if known.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- how ------------------------------------------------------------------------------------------------------

    def _follow(self, account: Account) -> Followed:
        known = Followed(account, Due(self._timer, self._timer.time() + GATHER_S))
        self._accounts[account] = known
        return known

    async def _read_on(self, known: Followed) -> None:
        while True:
            await known.due.come()
            known.started = self._timer.time()
            known.due.at = float("inf")
            before = known.readings
            known.readings = await self._read(known)
            known.due.bring_forward(max(self._timer.time(), known.started + known.delay_s))
            news = {query for query, reading in known.readings.items() if reading != before.get(query) or reading.error}
            told = frozenset(ref for ref, interest in known.followers.items() if news & interest.queries)
            if told:
                self._on_poll(told)

    async def _read(self, known: Followed) -> dict[MetricQuery, MetricReading]:
        queries = known.queries
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                read = await self._source.read(known.account, queries)
        except TimeoutError:
            why = f"reading CloudWatch in {known.account} took longer than {READ_TIMEOUT_S:g} s; check the network path to it"
        except Exception as err:  # the edge of the process: a bug in one read must not end all reading
            log.exception(
                "a read of CloudWatch failed unexpectedly; this is a bug", extra={"account": str(known.account)}
            )
            why = f"reading CloudWatch in {known.account} failed: {err!r}"
        else:
            known.throttled = known.throttled + 1 if read.is_throttled else 0
            return dict(read.by_query)
        return dict.fromkeys(queries, MetricReading(None, None, why))
