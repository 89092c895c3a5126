"""Logs, alarms, dashboards, the audit trail, queues."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from psm_cloud.cost.bill import Facts, Line
from psm_cloud.cost.resources import Resource

DAYS_OF_MONTH: Final = Decimal("30.4")
ARCHIVED_SHARE: Final = Decimal("0.15")
"""What is kept of a gigabyte that came in: CloudWatch keeps logs compressed; AWS' own examples count with 0.15."""
FOREVER_DAYS: Final = Decimal(117 * 7)
"""A log group without retention is priced as it is after the 117 weeks of the lake."""

LOGS: Final = (
    ("flow", "flow_log_gb"),
    ("/application", "pod_log_gb"),
    ("/predictor", "predictor_metrics_gb"),
    ("/performance", "performance_log_gb"),
    ("/dataplane", "node_log_gb"),
    ("/host", "node_log_gb"),
    ("/aws/eks/", "control_plane_log_gb"),
    ("control_plane", "control_plane_log_gb"),
    ("sagemaker", "training_log_gb"),
    ("training", "training_log_gb"),
)
"""A word of a log group's name, else of its address, and the amount of the usage that says what comes in a month."""


def log_group(found: Resource, facts: Facts) -> Iterator[Line]:
    """What comes in and what is kept for as long as its retention says."""
    gigabytes = facts.usage[_amount(found)]
    retention = Decimal(found.values.get("retention_in_days") or 0) or FOREVER_DAYS
    kept = gigabytes * ARCHIVED_SHARE * retention / DAYS_OF_MONTH
    yield facts.line("logs", "logs, ingested", found.address, gigabytes, "logs.ingest_gb")
    yield facts.line("logs", "logs, kept", found.address, kept, "logs.keep_gb_month")


def _amount(group: Resource) -> str:
    for text in (str(group.values.get("name") or ""), group.address):
        for word, amount in LOGS:
            if word in text:
                return amount
    return "other_log_gb"


def alarm(found: Resource, facts: Facts) -> Iterator[Line]:
    """Paid by the metrics that it reads; the free ones of an account are not counted, others may use them."""
    queries = found.values.get("metric_query") or ()
    metrics = sum(1 for query in queries if query.get("metric")) or 1
    yield facts.line("alarms and dashboards", "alarms", found.address, Decimal(metrics), "cloudwatch.alarm_month")


def dashboard(found: Resource, facts: Facts) -> Iterator[Line]:
    """Paid each, beyond three free ones of an account that are not counted."""
    yield facts.line("alarms and dashboards", "dashboards", found.address, Decimal(1), "cloudwatch.dashboard_month")


def trail(found: Resource, facts: Facts) -> Iterator[Line]:
    """The first trail's management events are free; events of objects are not."""
    events = facts.usage["object_events"]
    yield facts.line("logs", "audit trail, object events", found.address, events, "cloudtrail.data_event")


def queue(found: Resource, facts: Facts) -> Iterator[Line]:
    """Long polls of twenty seconds are most of the requests."""
    share = facts.usage["queue_requests"] / len(facts.plan.of("aws_sqs_queue"))
    yield facts.line("alarms and dashboards", "queue requests", found.address, share, "sqs.request")


RULES: Final[Mapping[str, Any]] = {
    "aws_cloudwatch_log_group": log_group,
    "aws_cloudwatch_metric_alarm": alarm,
    "aws_cloudwatch_composite_alarm": alarm,
    "aws_cloudwatch_dashboard": dashboard,
    "aws_cloudtrail": trail,
    "aws_sqs_queue": queue,
}
