"""Log groups, and the dashboards and alarms that the operator made for models."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from psm_cloud.teardown.adapters import tags_of, unless_gone
from psm_cloud.teardown.decide import Found, Kind
from psm_cloud.teardown.scope import Scope


class LogGroups:
    """Of agents and jobs."""

    kind = Kind.LOG_GROUP

    def __init__(self, logs: Any, scope: Scope) -> None:
        """Ask this logs client."""
        self._logs, self._scope = logs, scope

    def find(self) -> Iterator[Found]:
        """Yield every group with its tags."""
        for page in self._logs.get_paginator("describe_log_groups").paginate():
            for one in page["logGroups"]:
                arn = one["arn"].removesuffix(":*")
                tags = self._logs.list_tags_for_resource(resourceArn=arn).get("tags") or {}
                yield Found(self.kind, one["logGroupName"], one["logGroupName"], tags)

    def remove(self, found: Found) -> None:
        """Delete it with its streams."""
        try:
            self._logs.delete_log_group(logGroupName=found.id)
        except ClientError as err:
            unless_gone(err)


class Dashboards:
    """Of models; CloudWatch knows no tags of dashboards, so names decide."""

    kind = Kind.DASHBOARD

    def __init__(self, cloudwatch: Any, scope: Scope) -> None:
        """Ask this cloudwatch client."""
        self._cloudwatch, self._scope = cloudwatch, scope

    def find(self) -> Iterator[Found]:
        """Yield those of the environment."""
        pages = self._cloudwatch.get_paginator("list_dashboards").paginate(DashboardNamePrefix=self._scope.prefix)
        for page in pages:
            for one in page["DashboardEntries"]:
                yield Found(self.kind, one["DashboardName"], one["DashboardName"])

    def remove(self, found: Found) -> None:
        """Delete it."""
        try:
            self._cloudwatch.delete_dashboards(DashboardNames=[found.id])
        except ClientError as err:
            unless_gone(err)


class Alarms:
    """Of models."""

    kind = Kind.ALARM

    def __init__(self, cloudwatch: Any, scope: Scope) -> None:
        """Ask this cloudwatch client."""
        self._cloudwatch, self._scope = cloudwatch, scope

    def find(self) -> Iterator[Found]:
        """Yield those of the environment with their tags."""
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=self._scope.prefix)
        for page in pages:
            for one in page["MetricAlarms"]:
                told = self._cloudwatch.list_tags_for_resource(ResourceARN=one["AlarmArn"])
                yield Found(self.kind, one["AlarmName"], one["AlarmName"], tags_of(told["Tags"]))

    def remove(self, found: Found) -> None:
        """Delete it."""
        try:
            self._cloudwatch.delete_alarms(AlarmNames=[found.id])
        except ClientError as err:
            unless_gone(err)
