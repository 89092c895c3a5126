"""`spec.monitoring`: what watches a model from outside. Nothing here decides what is served."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints

from psm_operator.api.base import ApiModel
from psm_operator.api.quantities import DecimalText

TOPIC_PATTERN = r"^(arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256})?$"


class CloudWatchAlarms(ApiModel):
    """When CloudWatch is to raise an alarm. A 0 leaves an alarm out."""

    p95_latency_ms: Annotated[int, Field(ge=0, le=60000)] = Field(
        default=200,
        alias="p95LatencyMs",
        description="Milliseconds that 95 % of predictions may take; above it in three of five minutes is an alarm. 0: no alarm.",
    )
    error_rate_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=1,
        description="Percent of predictions that may fail with a status from 500 on; above it in three of five minutes is an "
        "alarm. 0: no alarm.",
    )
    accuracy_min: DecimalText = Field(
        default=Decimal("0.75"),
        description='Least live accuracy, as text like "0.75", in two of three hours with 100 labels or more. "0": no alarm.',
    )
    silent_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        default=10,
        description="Minutes without any word of a pod that are an alarm, at hours at which there are to be pods. 0: no alarm.",
    )


class CloudWatchMonitoring(ApiModel):
    """One CloudWatch dashboard and the alarms of this model, kept and removed by the operator."""

    enabled: bool = Field(
        default=False,
        description="Keep a dashboard and alarms, and let the predictor write its metrics for them into its log. Turning it "
        "on or off replaces the pods once, and while it is on a finalizer guards what is in AWS.",
    )
    dashboard: bool = Field(default=True, description="Keep the dashboard.")
    alarms: CloudWatchAlarms = Field(
        default=CloudWatchAlarms(), description="When CloudWatch is to raise an alarm. A 0 leaves an alarm out."
    )
    sns_topic_arn: Annotated[str, StringConstraints(max_length=400, pattern=TOPIC_PATTERN)] = Field(
        default="",
        alias="snsTopicARN",
        description="SNS topic told when an alarm is raised and when it ends. Empty: alarms show, and tell nobody.",
    )


class Monitoring(ApiModel):
    """What watches the model from outside."""

    cloud_watch: CloudWatchMonitoring = Field(
        default=CloudWatchMonitoring(), description="A CloudWatch dashboard and alarms of this model."
    )
