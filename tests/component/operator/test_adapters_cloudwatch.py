"""CloudWatch on the emulator: the newest complete datapoint of many queries in few calls, and what goes wrong."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.cloudwatch import (
    MAX_DATAPOINTS,
    MAX_QUERIES,
    REFUSED_FOR,
    SETTLE,
    CloudWatchMetrics,
    parts_of,
    reading_of,
    start_of,
)
from psm_operator.adapters.memory import MemoryClock
from psm_operator.metric_polls import Account
from psm_operator.values import MetricQuery, MetricReading

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
ROLE = "arn:aws:iam::222222222222:role/reader"
HERE = Account(REGION, "")
NOON = datetime(2025, 6, 1, 12, 0, 30, tzinfo=UTC)
ACCURACY = MetricQuery("psm", "live_accuracy", "Average", 60)
BY_MODEL = MetricQuery("psm", "live_accuracy", "Average", 300, (("model", "uk"), ("shop", "7")))


class Lab:
    """CloudWatch with a clock that stands at noon."""

    def __init__(self, clients: AwsClients) -> None:
        self.clients = clients
        self.clock = MemoryClock(NOON)
        self.source = CloudWatchMetrics(clients, clock=self.clock)

    def put(self, query: MetricQuery, at: datetime, *values: float, role_arn: str = "") -> None:
        """Samples of one metric at one moment."""
        dimensions = [{"Name": name, "Value": value} for name, value in query.dimensions]
        samples = [
            {"MetricName": query.metric_name, "Dimensions": dimensions, "Timestamp": at, "Value": value}
            for value in values
        ]
        client: Any = self.clients.client("cloudwatch", REGION, role_arn)
        client.put_metric_data(Namespace=query.namespace, MetricData=samples)

    async def read(self, *queries: MetricQuery, account: Account = HERE) -> dict[MetricQuery, MetricReading]:
        """One read."""
        return dict((await self.source.read(account, frozenset(queries))).by_query)


@pytest.fixture
def lab(account: AwsClients) -> Lab:
    """An account without metrics."""
    return Lab(account)


async def test_the_newest_complete_datapoint_is_read(lab: Lab) -> None:
    """One whose period is not over, or ended a moment ago, would change when it is looked at again."""
    lab.put(ACCURACY, datetime(2025, 6, 1, 11, 56, 10, tzinfo=UTC), 0.5)
    lab.put(ACCURACY, datetime(2025, 6, 1, 11, 57, 10, tzinfo=UTC), 0.8, 0.82)
    lab.put(ACCURACY, datetime(2025, 6, 1, 11, 59, 10, tzinfo=UTC), 0.1)
    lab.put(ACCURACY, datetime(2025, 6, 1, 12, 0, 10, tzinfo=UTC), 0.2)
    assert await lab.read(ACCURACY) == {
        ACCURACY: MetricReading(Decimal("0.81"), datetime(2025, 6, 1, 11, 57, tzinfo=UTC))
    }
    lab.clock.advance(SETTLE.total_seconds())
    assert (await lab.read(ACCURACY))[ACCURACY].value == Decimal("0.1")


async def test_dimensions_and_periods_are_the_querys_own(lab: Lab) -> None:
    """In one call; a metric of other dimensions is another metric."""
    lab.put(BY_MODEL, datetime(2025, 6, 1, 11, 52, tzinfo=UTC), 0.7)
    lab.put(BY_MODEL, datetime(2025, 6, 1, 11, 54, tzinfo=UTC), 0.9)
    lab.put(BY_MODEL, datetime(2025, 6, 1, 11, 57, tzinfo=UTC), 0.1)  # of a period that is not over
    other = MetricQuery("psm", "live_accuracy", "Average", 300, (("model", "sg"), ("shop", "7")))
    lab.put(other, datetime(2025, 6, 1, 11, 54, tzinfo=UTC), 0.1)
    found = await lab.read(BY_MODEL, ACCURACY, other)
    assert found[BY_MODEL] == MetricReading(Decimal("0.8"), datetime(2025, 6, 1, 11, 50, tzinfo=UTC))
    assert found[other].value == Decimal("0.1")


async def test_no_datapoint_is_no_value_and_no_error(lab: Lab) -> None:
    """Neither is one of yesterday, which says nothing of what serves now."""
    assert await lab.read(ACCURACY) == {ACCURACY: MetricReading(None, None)}
    lab.put(ACCURACY, NOON - timedelta(hours=2), 0.8)
    assert await lab.read(ACCURACY) == {ACCURACY: MetricReading(None, None)}
    long = MetricQuery("psm", "live_accuracy", "Average", 3600)
    assert (await lab.read(ACCURACY, long))[ACCURACY] == MetricReading(None, None)
    assert (await lab.read(ACCURACY, long))[long].value == Decimal("0.8")


async def test_a_thousand_models_cost_two_calls(lab: Lab, registry: EmulatorControl) -> None:
    """500 queries each."""
    queries = [MetricQuery("psm", "latency", "Average", 60, (("model", f"m{n}"),)) for n in range(2 * MAX_QUERIES)]
    lab.put(queries[0], NOON - timedelta(minutes=3), 12)
    lab.put(queries[-1], NOON - timedelta(minutes=3), 13)
    found = await lab.read(*queries)
    assert [found[query].value for query in (queries[0], queries[-1])] == [Decimal(12), Decimal(13)]
    assert len(found) == 2 * MAX_QUERIES
    assert registry.calls()["GetMetricData"] == 2


async def test_metrics_of_another_account_are_read_with_its_role(lab: Lab) -> None:
    """And not without."""
    lab.put(ACCURACY, NOON - timedelta(minutes=4), 0.66, role_arn=ROLE)
    assert (await lab.read(ACCURACY, account=Account(REGION, ROLE)))[ACCURACY].value == Decimal("0.66")
    assert await lab.read(ACCURACY) == {ACCURACY: MetricReading(None, None)}


@pytest.mark.parametrize(
    ("faults", "complaint"),
    [
        ({"refused": {"GetMetricData": "AccessDenied"}}, "allow cloudwatch:GetMetricData"),
        ({"refused": {"GetMetricData": "InternalServiceError"}}, "the service has trouble"),
        ({"outage": True}, "(ServiceUnavailable)"),
        ({"refused": {"AssumeRole": "AccessDenied"}}, f"role {ROLE} cannot be assumed"),
    ],
    ids=["denied", "trouble", "away", "no role"],
)
async def test_what_cannot_be_read_is_an_error_that_names_the_place(
    lab: Lab, registry: EmulatorControl, faults: dict[str, Any], complaint: str
) -> None:
    """An old value is not served as if it were news; healed at the next read."""
    there = Account(REGION, ROLE) if "AssumeRole" in faults.get("refused", {}) else HERE
    lab.put(ACCURACY, NOON - timedelta(minutes=4), 0.8, role_arn="")
    registry.set_faults(**faults)
    reading = (await lab.read(ACCURACY, account=there))[ACCURACY]
    assert reading.value is None
    assert complaint in reading.error
    assert registry.url in reading.error
    registry.set_faults()
    assert (await lab.read(ACCURACY, account=there))[ACCURACY].error == ""


async def test_a_throttled_read_says_so_and_asks_no_more(lab: Lab, registry: EmulatorControl) -> None:
    """The other parts of the same read are not even tried."""
    registry.set_faults(refused={"GetMetricData": "ThrottlingException"})
    queries = frozenset(MetricQuery("psm", f"m{n}", "Average", 60) for n in range(2 * MAX_QUERIES))
    read = await lab.source.read(HERE, queries)
    assert read.is_throttled
    assert read.by_query.keys() == queries
    assert all("slow down" in reading.error for reading in read.by_query.values())
    assert registry.calls()["GetMetricData"] == 1


async def test_one_query_that_is_not_understood_spoils_no_other(lab: Lab, registry: EmulatorControl) -> None:
    """CloudWatch refuses the whole call for it: it is found by halving, and left out for a while."""
    queries = [MetricQuery("psm", f"m{n}", "Average", 60) for n in range(40)]
    bad = MetricQuery("psm", "mistyped", "Average", 60)
    lab.put(queries[7], NOON - timedelta(minutes=4), 7)
    registry.set_faults(refused={"GetMetricData": "ValidationError"}, naming="mistyped")
    found = await lab.read(*queries, bad)
    assert found[queries[7]].value == 7
    assert [query for query, reading in found.items() if reading.error] == [bad]
    assert "psm/mistyped (Average) is refused" in found[bad].error
    assert "correct cloudWatch of spec.analysis.metrics" in found[bad].error
    spent = registry.calls()["GetMetricData"]
    assert spent <= 13
    again = await lab.read(*queries, bad)
    assert again[bad] == found[bad]
    assert registry.calls()["GetMetricData"] == spent + 1
    registry.set_faults()
    lab.clock.advance(REFUSED_FOR.total_seconds() + 1)
    assert (await lab.read(bad))[bad] == MetricReading(None, None)


async def test_every_page_is_read(lab: Lab) -> None:
    """The emulator gives one page, so two are put together from its words: the newest datapoint counts, wherever it is."""
    other = MetricQuery("psm", "other", "Average", 60)
    with Stubber(lab.clients.client("cloudwatch", REGION)) as pages:
        asked = dict.fromkeys(("MetricDataQueries", "StartTime", "EndTime", "ScanBy"), ANY)
        first = {"MetricDataResults": [result("q0", {3: 0.5}, "PartialData")], "NextToken": "more"}
        pages.add_response("get_metric_data", first, asked)
        last = {"MetricDataResults": [result("q0", {4: 0.4}), result("q1", {2: 0.9})]}
        pages.add_response("get_metric_data", last, {**asked, "NextToken": "more"})
        found = await lab.read(ACCURACY, other)
        pages.assert_no_pending_responses()
    assert [found[query].value for query in (ACCURACY, other)] == [Decimal("0.5"), Decimal("0.9")]


def result(name: str, values: dict[int, float], status: str = "Complete") -> dict[str, Any]:
    """One query's result: minutes before noon -> value."""
    noon = NOON.replace(second=0)
    return {
        "Id": name,
        "Timestamps": [noon - timedelta(minutes=minutes) for minutes in values],
        "Values": list(values.values()),
        "StatusCode": status,
        "Messages": [{"Code": "Why", "Value": "no rights"}] if status == "Forbidden" else [],
    }


def test_a_query_that_fails_alone_is_an_error_of_its_own() -> None:
    """StatusCode Forbidden and InternalError come inside a good answer."""
    reading = reading_of(ACCURACY, result("q0", {}, "Forbidden"), NOON)
    assert reading.error == "CloudWatch could not read psm/live_accuracy (Average) (Forbidden): no rights"
    assert "no reason" in reading_of(ACCURACY, result("q0", {}, "InternalError"), NOON).error
    assert reading_of(ACCURACY, result("q0", {5: 0.5}, "PartialData"), NOON).value == Decimal("0.5")


def test_parts_keep_within_the_services_limits() -> None:
    """Looking three days back for a daily metric is not done for every minute of 500 others."""
    queries = [MetricQuery("psm", f"m{n}", "Sum", period) for period in (60, 300, 86400) for n in range(400)]
    end = NOON.replace(second=0)
    parts = list(parts_of(queries, end))
    assert [query for part in parts for query in part] == queries
    assert len(parts) <= 4
    for part in parts:
        seconds = (end - start_of(part, end)).total_seconds()
        assert len(part) <= MAX_QUERIES
        assert sum(seconds // query.period_s for query in part) <= MAX_DATAPOINTS
        longest = max(query.period_s for query in part)
        assert start_of(part, end).timestamp() % longest == 0


async def test_a_region_that_cannot_be_is_an_error(account: AwsClients) -> None:
    """Before any call."""
    source = CloudWatchMetrics(AwsClients(AwsLimits(attempts=1)), clock=MemoryClock(NOON))
    read = await source.read(Account("not a region", ""), frozenset({ACCURACY}))
    assert "no CloudWatch client for region not a region" in read.by_query[ACCURACY].error
    account.close()
