"""Shared reads of CloudWatch: one task per account and region, whoever follows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from timers_by_hand import HandTimer, settle

from psm_operator.metric_polls import READ_TIMEOUT_S, Account, Readings, SharedMetricPolls
from psm_operator.values import MetricQuery, MetricReading, ObjectRef

REGION = "ap-southeast-1"
ROLE = "arn:aws:iam::222222222222:role/reader"
A, B, C = (ObjectRef("mlops", name) for name in "abc")
LATENCY = MetricQuery("psm", "latency", "p95", 60)
ERRORS = MetricQuery("psm", "errors", "Sum", 60)
START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass
class Source:
    """A source whose datapoints a test writes; `fault` is raised, `error` is what every reading says."""

    values: dict[MetricQuery, MetricReading] = field(default_factory=dict)
    asked: list[tuple[Account, frozenset[MetricQuery]]] = field(default_factory=list)
    throttles: bool = False
    fault: Exception | None = None

    def write(self, query: MetricQuery, value: str, minutes: int = 0) -> None:
        """One more datapoint."""
        self.values[query] = MetricReading(Decimal(value), START + timedelta(minutes=minutes))

    async def read(self, account: Account, queries: frozenset[MetricQuery]) -> Readings:
        """What was written; nothing where nothing was."""
        self.asked.append((account, queries))
        if self.fault is not None:
            raise self.fault
        if self.throttles:
            return Readings(dict.fromkeys(queries, MetricReading(None, None, "throttled")), is_throttled=True)
        return Readings({query: self.values.get(query, MetricReading(None, None)) for query in queries})


@dataclass
class Bench:
    """Polls under test."""

    polls: SharedMetricPolls
    source: Source
    timer: HandTimer
    told: list[frozenset[ObjectRef]]

    def watch(self, ref: ObjectRef, *queries: MetricQuery, interval_s: float = 60, role_arn: str = "") -> None:
        """Declare what a model wants."""
        self.polls.watch(ref, REGION, role_arn, frozenset(queries), interval_s)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """With two metrics that have a datapoint each."""
    timer, source = HandTimer(), Source()
    told: list[frozenset[ObjectRef]] = []
    source.write(LATENCY, "120")
    source.write(ERRORS, "0")
    polls = SharedMetricPolls(source, timer=timer, on_poll=told.append)
    yield Bench(polls, source, timer, told)
    await polls.close()


async def test_what_was_not_read_yet_is_absent_and_then_there() -> None:
    """Within a second; the follower is told."""
    async with bench() as b:
        b.watch(A, LATENCY)
        assert b.polls.readings(A) == {}
        await b.timer.advance(1)
        assert b.polls.readings(A) == {LATENCY: MetricReading(Decimal(120), START)}
        assert b.told == [{A}]


async def test_reads_do_not_grow_with_the_number_of_models() -> None:
    """A restart with 200 models gives one read, and then one per interval, of the union of their queries."""
    async with bench() as b:
        for number in range(200):
            b.watch(ObjectRef("mlops", f"m{number}"), LATENCY if number % 2 else ERRORS)
        await b.timer.advance(1)
        assert b.source.asked == [(Account(REGION, ""), frozenset({LATENCY, ERRORS}))]
        await b.timer.advance(600)
        assert len(b.source.asked) == 11


async def test_roles_and_regions_are_read_apart() -> None:
    """Each with its own credentials."""
    async with bench() as b:
        b.watch(A, LATENCY)
        b.watch(B, LATENCY, role_arn=ROLE)
        await b.timer.advance(1)
        assert {account for account, _ in b.source.asked} == {Account(REGION, ""), Account(REGION, ROLE)}


async def test_the_shortest_interval_counts_and_never_below_fifteen_seconds() -> None:
    """One impatient follower hastens for all."""
    async with bench() as b:
        b.watch(A, LATENCY, interval_s=300)
        await b.timer.advance(2)
        b.watch(B, LATENCY, interval_s=1)
        await b.timer.advance(13)
        assert len(b.source.asked) == 1
        await b.timer.advance(1)
        assert len(b.source.asked) == 2
        await b.timer.advance(30)
        assert len(b.source.asked) == 4


async def test_a_new_query_is_read_at_once_and_a_repeated_one_changes_nothing() -> None:
    """Every pass declares again."""
    async with bench() as b:
        b.watch(A, LATENCY)
        await b.timer.advance(2)
        for _ in range(10):
            b.watch(A, LATENCY)
            await b.timer.advance(1)
        assert len(b.source.asked) == 1
        b.watch(A, LATENCY, ERRORS)
        await b.timer.advance(1)
        assert b.source.asked[1:] == [(Account(REGION, ""), frozenset({LATENCY, ERRORS}))]


async def test_only_those_with_news_are_told() -> None:
    """A datapoint that is as it was is no news; an error is told every time, for somebody counts it."""
    async with bench() as b:
        b.watch(A, LATENCY)
        b.watch(B, ERRORS)
        b.watch(C, LATENCY, ERRORS)
        await b.timer.advance(1)
        assert b.told == [{A, B, C}]
        await b.timer.advance(60)
        assert b.told == [{A, B, C}]
        b.source.write(LATENCY, "120", minutes=1)
        await b.timer.advance(60)
        assert b.told[1:] == [{A, C}]
        b.source.values[ERRORS] = MetricReading(None, None, "denied")
        await b.timer.advance(120)
        assert b.told[2:] == [{B, C}, {B, C}]


async def test_a_query_that_nobody_wants_any_more_is_not_read() -> None:
    """Nor an account that nobody follows."""
    async with bench() as b:
        b.watch(A, LATENCY)
        b.watch(B, ERRORS)
        await b.timer.advance(1)
        b.watch(B)
        assert b.polls.readings(B) == {}
        await b.timer.advance(60)
        assert b.source.asked[-1][1] == {LATENCY}
        b.polls.unwatch(A)
        b.polls.unwatch(A)
        asked = len(b.source.asked)
        await b.timer.advance(600)
        assert len(b.source.asked) == asked


async def test_a_model_that_moves_to_another_account_leaves_the_first() -> None:
    """The role was added to its spec."""
    async with bench() as b:
        b.watch(A, LATENCY)
        await b.timer.advance(1)
        b.watch(A, LATENCY, role_arn=ROLE)
        assert b.polls.readings(A) == {}
        await b.timer.advance(61)
        assert {account.role_arn for account, _ in b.source.asked[1:]} == {ROLE}


async def test_when_throttled_it_reads_less_often_whatever_followers_ask() -> None:
    """Then as before."""
    async with bench() as b:
        b.source.throttles = True
        b.watch(A, LATENCY, interval_s=60)
        await b.timer.advance(2)
        b.watch(B, ERRORS, interval_s=15)
        await b.timer.advance(27)
        assert len(b.source.asked) == 1
        await b.timer.advance(2)
        assert len(b.source.asked) == 2
        assert b.polls.readings(A)[LATENCY].error == "throttled"
        await b.timer.advance(1000)
        throttled = len(b.source.asked)
        assert throttled <= 7
        b.source.throttles = False
        await b.timer.advance(300)
        assert b.polls.readings(A)[LATENCY].value == 120
        asked = len(b.source.asked)
        await b.timer.advance(15)
        assert len(b.source.asked) == asked + 1


async def test_a_bug_in_a_read_is_an_error_and_not_the_end() -> None:
    """The next read is as good as any."""
    async with bench() as b:
        b.source.fault = RuntimeError("boom")
        b.watch(A, LATENCY)
        await b.timer.advance(1)
        assert "boom" in b.polls.readings(A)[LATENCY].error
        b.source.fault = None
        await b.timer.advance(60)
        assert b.polls.readings(A)[LATENCY].value == 120


@pytest.mark.parametrize("fault", [TimeoutError()], ids=["takes too long"])
async def test_a_read_that_hangs_is_given_up(fault: Exception) -> None:
    """The error says for how long it was waited."""
    async with bench() as b:
        b.source.fault = fault
        b.watch(A, LATENCY)
        await b.timer.advance(1)
        assert f"took longer than {READ_TIMEOUT_S:g} s" in b.polls.readings(A)[LATENCY].error
        await settle()
