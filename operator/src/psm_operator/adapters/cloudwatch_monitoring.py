"""Dashboards and alarms in CloudWatch, and a look at the SNS topic that alarms tell. Implements `ports.Monitoring`.

Tags of an alarm are read once for each state of it, since DescribeAlarms does not give them: a look at what is as it was
costs two calls. Always the operator's own credentials, never a role of a model: the metrics are those of its cluster.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from psm_operator.adapters.arn import Arn
from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.trouble import AWS_ERRORS, Trouble, code_of, denial_advice, network_advice, trouble_of
from psm_operator.api.conditions import Reason
from psm_operator.decide.monitoring import (
    DeleteAlarms,
    DeleteDashboard,
    Found,
    FoundAlarm,
    FoundDashboard,
    Owner,
    Place,
    PutAlarm,
    PutDashboard,
    Step,
    TagAlarm,
)
from psm_operator.errors import Retryable
from psm_operator.ports import Clock

T = TypeVar("T")

PAGE: Final = 100
"""The service's own maximum."""

THROTTLED_S: Final = 30.0
"""How long to wait at least when asked to slow down; the SDK has waited and tried again already."""

TOPIC_KNOWN: Final = timedelta(minutes=10)
TOPIC_MISSING: Final = timedelta(minutes=1)
"""For how long an answer about a topic holds, for all its models: SNS may have no way to it at all (no VPC endpoint), and
then every question costs the time that its connection is waited for."""

REMEMBERED: Final = 20_000
"""Alarms whose tags are remembered: of four thousand models."""


class CloudWatchMonitoring:
    """The real one.

    Args:
        clients: of its own threads, so that reads of the registry never wait for it.
    """

    def __init__(self, clients: AwsClients, *, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._topics: dict[tuple[str, Place], tuple[datetime, str]] = {}
        self._tags: dict[tuple[str, Any], Mapping[str, str]] = {}

    async def find(self, owner: Owner, place: Place) -> Found:
        """DescribeAlarms and GetDashboard, and the tags of alarms that are new or changed."""

        def look(client: Any) -> Found:
            pages = client.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=f"{owner.stem}-", AlarmTypes=["MetricAlarm"], PaginationConfig={"PageSize": PAGE}
            )
            rows = [row for page in pages for row in page.get("MetricAlarms") or []]
            found = tuple(FoundAlarm(row["AlarmName"], row, self._tags_of(client, row)) for row in rows)
            return Found(found, _dashboard(client, owner.stem))

        return await self._call(place, look, "cloudwatch:DescribeAlarms, ListTagsForResource and GetDashboard")

    async def carry_out(self, step: Step, place: Place) -> None:
        """One write."""
        match step:
            case PutAlarm(request=request, tags=tags):
                await self._call(
                    place,
                    lambda client: client.put_metric_alarm(**request, Tags=_listed(tags)),
                    f"cloudwatch:PutMetricAlarm and TagResource on alarm:{request['AlarmName']}",
                )
            case TagAlarm(name=name, tags=tags):
                await self._call(place, lambda client: self._tag(client, name, tags), "cloudwatch:TagResource")
            case DeleteAlarms(names=names):
                await self._call(
                    place, lambda client: client.delete_alarms(AlarmNames=list(names)), "cloudwatch:DeleteAlarms"
                )
            case PutDashboard(name=name, body=body):
                await self._call(
                    place,
                    lambda client: client.put_dashboard(DashboardName=name, DashboardBody=body),
                    f"cloudwatch:PutDashboard on dashboard/{name}",
                )
            case DeleteDashboard(name=name):
                await self._call(place, lambda client: _delete_dashboard(client, name), "cloudwatch:DeleteDashboards")

    async def topic_trouble(self, topic: str, place: Place) -> str:
        """GetTopicAttributes; that it may not or cannot be asked is no trouble: CloudWatch may tell it all the same."""
        arn = Arn.parse(topic)
        if arn is None or arn.region != place.region:
            return f"topic {topic} is not in region {place.region}, where the alarms are; name one of that region"
        now = self._clock.now()
        until, known = self._topics.get((topic, place), (now, ""))
        if now < until:
            return known
        is_missing = await self._clients.call(lambda: self._is_missing(topic, place))
        told = f"topic {topic} does not exist; create it or correct spec.monitoring.cloudWatch.snsTopicARN"
        answer = told if is_missing else ""
        self._topics[topic, place] = (now + (TOPIC_MISSING if is_missing else TOPIC_KNOWN), answer)
        return answer

    def _is_missing(self, topic: str, place: Place) -> bool:
        try:
            self._clients.client("sns", place.region).get_topic_attributes(TopicArn=topic)
        except AWS_ERRORS as err:
            return trouble_of(err) is Trouble.MISSING
        return False

    async def _call(self, place: Place, function: Callable[[Any], T], needs: str) -> T:
        try:
            return await self._clients.call(lambda: function(self._clients.client("cloudwatch", place.region)))
        except AWS_ERRORS as err:
            raise _translated(err, place, needs) from err

    def _tags_of(self, client: Any, row: Mapping[str, Any]) -> Mapping[str, str]:
        key = (row["AlarmArn"], row.get("AlarmConfigurationUpdatedTimestamp"))
        known = self._tags.get(key)
        if known is not None and known:
            return known
        listed = client.list_tags_for_resource(ResourceARN=row["AlarmArn"]).get("Tags") or []
        tags = {tag["Key"]: tag["Value"] for tag in listed}
        if key[1] is not None:
            while len(self._tags) >= REMEMBERED:
                del self._tags[next(iter(self._tags))]
            self._tags[key] = tags
        return tags

    def _tag(self, client: Any, name: str, tags: Mapping[str, str]) -> None:
        for row in client.describe_alarms(AlarmNames=[name]).get("MetricAlarms") or []:
            client.tag_resource(ResourceARN=row["AlarmArn"], Tags=_listed(tags))
            self._tags.pop((row["AlarmArn"], row.get("AlarmConfigurationUpdatedTimestamp")), None)


def _translated(err: Exception, place: Place, needs: str) -> Retryable:
    reason, advice, wait_s = Reason.MONITORING_UNAVAILABLE, "", None
    match trouble_of(err):
        case Trouble.DENIED:
            reason = Reason.ACCESS_DENIED
            advice = denial_advice(err, needs).replace(", or to the role that spec.registry.roleARN names", "")
        case Trouble.THROTTLED:
            advice, wait_s = "CloudWatch asks to slow down; it is tried again by itself", THROTTLED_S
        case Trouble.REFUSED:
            reason = Reason.MONITORING_REFUSED
            is_full = code_of(err).startswith("LimitExceeded")
            advice = "raise the account's quota" if is_full else "correct spec.monitoring.cloudWatch"
        case Trouble.MISSING | Trouble.AWAY:
            advice = network_advice(err, place.region)
    message = f"CloudWatch in {place.region} could not be used ({code_of(err)}): {err}; {advice}"
    return Retryable(message, reason=reason, retry_after_s=wait_s)


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _dashboard(client: Any, name: str) -> FoundDashboard | None:
    try:
        return FoundDashboard(client.get_dashboard(DashboardName=name)["DashboardBody"])
    except AWS_ERRORS as err:
        if trouble_of(err) is Trouble.MISSING:
            return None
        raise


def _delete_dashboard(client: Any, name: str) -> None:
    try:
        client.delete_dashboards(DashboardNames=[name])
    except AWS_ERRORS as err:
        if trouble_of(err) is not Trouble.MISSING:
            raise
