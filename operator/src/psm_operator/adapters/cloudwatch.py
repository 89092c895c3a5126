"""Metrics from CloudWatch: the newest complete datapoint of many queries, in as few GetMetricData calls as can be.

A call takes 500 queries and answers at most 100,800 datapoints, so queries of like periods share calls. CloudWatch
refuses a whole call for one query it does not understand: such a call is halved until the query is found, and that one
is asked again only after a while. Called by `metric_polls`; raises nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.roles import RoleNotAssumable
from psm_operator.adapters.trouble import AWS_ERRORS, Trouble, code_of, denial_advice, network_advice, trouble_of
from psm_operator.metric_polls import Account, Readings
from psm_operator.ports import Clock
from psm_operator.values import MetricQuery, MetricReading

MAX_QUERIES: Final = 500
MAX_DATAPOINTS: Final = 100_800
"""The service's own limits of one call."""

SETTLE: Final = timedelta(seconds=60)
"""How long after a period's end its datapoint is believed: agents send a minute's samples up to a minute late."""

LOOK_BACK_PERIODS: Final = 3
LOOK_BACK_S: Final = 900
"""A newest datapoint older than both is none: it says nothing of what serves now."""

REFUSED_FOR: Final = timedelta(minutes=10)
"""How long a query that CloudWatch does not understand is not asked again; finding it costs about 2 log2(n) calls."""

NO_DATA: Final = MetricReading(None, None)


class CloudWatchMetrics:
    """Implements `metric_polls.MetricSource`."""

    def __init__(self, clients: AwsClients, *, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._refused: dict[tuple[Account, MetricQuery], tuple[datetime, str]] = {}

    async def read(self, account: Account, queries: frozenset[MetricQuery]) -> Readings:
        """The newest complete datapoint of each query; errors are readings too."""
        now = self._clock.now()
        self._refused = {key: entry for key, entry in self._refused.items() if entry[0] > now}
        refused = {query: self._refused[account, query][1] for query in queries if (account, query) in self._refused}
        reading = Reading(account, _floored(now - SETTLE, 60))
        await self._clients.call(lambda: self._read(reading, sorted(queries - refused.keys(), key=_by_period)))
        for query, why in reading.refused.items():
            self._refused[account, query] = (now + REFUSED_FOR, why)
        errors = {query: MetricReading(None, None, why) for query, why in refused.items()}
        return Readings(reading.found | errors, is_throttled=reading.is_throttled)

    def _read(self, reading: "Reading", queries: Sequence[MetricQuery]) -> None:
        """In a thread."""
        account = reading.account
        try:
            client = self._clients.client("cloudwatch", account.region, account.role_arn)
        except AWS_ERRORS as err:
            reading.fail(
                queries, f"no CloudWatch client for region {account.region}: {err}; check spec.registry.region"
            )
            return
        for part in parts_of(queries, reading.end):
            reading.read(client, part)


@dataclass(slots=True)
class Reading:
    """One read under way.

    Attributes:
        end: datapoints whose period ends later are not complete yet.
        refused: query -> why CloudWatch does not understand it.
    """

    account: Account
    end: datetime
    found: dict[MetricQuery, MetricReading] = field(default_factory=dict)
    refused: dict[MetricQuery, str] = field(default_factory=dict)
    is_throttled: bool = False

    def fail(self, queries: Sequence[MetricQuery], why: str) -> None:
        """None of these could be read."""
        self.found |= dict.fromkeys(queries, MetricReading(None, None, why))

    def read(self, client: Any, queries: Sequence[MetricQuery]) -> None:
        """One call, or several where CloudWatch refuses one; after a throttled one there is no other."""
        if self.is_throttled:
            self.fail(
                queries, self._told(client, "throttled", "CloudWatch asks to slow down; reads slow down by themselves")
            )
            return
        try:
            self.found |= self._asked(client, queries)
        except RoleNotAssumable as err:
            self.fail(queries, str(err))
        except AWS_ERRORS as err:
            self._refuse(client, queries, err)

    def _refuse(self, client: Any, queries: Sequence[MetricQuery], err: Exception) -> None:
        match trouble_of(err):
            case Trouble.THROTTLED:
                self.is_throttled = True
                self.read(client, queries)
            case Trouble.REFUSED if len(queries) > 1:
                half = len(queries) // 2
                self.read(client, queries[:half])
                self.read(client, queries[half:])
            case Trouble.REFUSED:
                why = self._told(
                    client, f"{queries[0]} is refused", f"{err}; correct cloudWatch of spec.analysis.metrics"
                )
                self.refused[queries[0]] = why
                self.fail(queries, why)
            case Trouble.DENIED:
                advice = denial_advice(err, "cloudwatch:GetMetricData (on *, it knows no resources)")
                self.fail(queries, self._told(client, code_of(err), f"{err}; {advice}"))
            case Trouble.MISSING | Trouble.AWAY:
                advice = network_advice(err, self.account.region)
                self.fail(queries, self._told(client, code_of(err), f"{err}; {advice}"))

    def _told(self, client: Any, what: str, more: str) -> str:
        return f"CloudWatch in {self.account} at {client.meta.endpoint_url} could not be read ({what}): {more}"

    def _asked(self, client: Any, queries: Sequence[MetricQuery]) -> dict[MetricQuery, MetricReading]:
        by_id = {f"q{number}": query for number, query in enumerate(queries)}
        found = dict.fromkeys(queries, NO_DATA)
        request = {
            "MetricDataQueries": [_metric_data_query(name, query) for name, query in by_id.items()],
            "StartTime": start_of(queries, self.end),
            "EndTime": self.end,
            "ScanBy": "TimestampDescending",
        }
        token: dict[str, str] = {}
        while True:
            page = client.get_metric_data(**request, **token)
            for result in page["MetricDataResults"]:
                query = by_id[result["Id"]]
                found[query] = _newer(found[query], reading_of(query, result, self.end))
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}


def parts_of(queries: Sequence[MetricQuery], end: datetime) -> Iterator[Sequence[MetricQuery]]:
    """Parts that one call can take: so many queries, and so many datapoints in the answer.

    Args:
        queries: the shortest period first, so that long looks back are not asked of short periods.
        end: of the time asked about.
    """
    part: list[MetricQuery] = []
    periods: Counter[int] = Counter()
    for query in queries:
        seconds = (end - start_of([query], end)).total_seconds()
        points = sum(count * (seconds // period_s + 1) for period_s, count in periods.items())
        if part and (len(part) == MAX_QUERIES or points + seconds // query.period_s + 1 > MAX_DATAPOINTS):
            yield part
            part, periods = [], Counter()
        part.append(query)
        periods[query.period_s] += 1
    if part:
        yield part


def start_of(queries: Sequence[MetricQuery], end: datetime) -> datetime:
    """How far back one call looks for these queries; a multiple of the longest period, which CloudWatch aligns to."""
    longest_s = max(query.period_s for query in queries)
    return _floored(end - _look_back(longest_s), longest_s)


def reading_of(query: MetricQuery, result: Mapping[str, Any], end: datetime) -> MetricReading:
    """The newest complete datapoint in one page of one query's result."""
    if result.get("StatusCode") in {"InternalError", "Forbidden"}:
        told = "; ".join(message.get("Value", "") for message in result.get("Messages") or [])
        return MetricReading(
            None, None, f"CloudWatch could not read {query} ({result['StatusCode']}): {told or 'no reason'}"
        )
    period, oldest = timedelta(seconds=query.period_s), end - _look_back(query.period_s)
    points = zip((at.astimezone(UTC) for at in result["Timestamps"]), result["Values"], strict=True)
    complete = [(at, value) for at, value in points if at + period <= end and at >= oldest]
    if not complete:
        return NO_DATA
    at, value = max(complete)
    return MetricReading(Decimal(repr(float(value))), at)


def _newer(one: MetricReading, other: MetricReading) -> MetricReading:
    if one.error or other.error:
        return one if one.error else other
    return max(one, other, key=lambda reading: reading.at or datetime.min.replace(tzinfo=UTC))


def _metric_data_query(name: str, query: MetricQuery) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in query.dimensions]
    metric = {"Namespace": query.namespace, "MetricName": query.metric_name, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": query.period_s, "Stat": query.statistic}}


def _by_period(query: MetricQuery) -> tuple[int, MetricQuery]:
    return query.period_s, query


def _look_back(period_s: int) -> timedelta:
    return timedelta(seconds=max(LOOK_BACK_PERIODS * period_s, LOOK_BACK_S))


def _floored(at: datetime, seconds: int) -> datetime:
    """The last multiple of `seconds` since 1970."""
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)
