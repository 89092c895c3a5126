"""Puts the pipeline, its schedule and its alarms into an account; running it again changes what differs."""

import json
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from psm_training.errors import PipelineError
from psm_training.registry import CLIENT_CONFIG
from psm_training.sagemaker.observed import OBJECTIVES, RUN_OBJECTIVE_S
from psm_training.sagemaker.requests import Json

PIPELINE_METRICS: Final = "AWS/Sagemaker/ModelBuildingPipeline"
"""SageMaker's own metrics of pipelines, spelled as AWS does."""

SCHEDULER_METRICS: Final = "AWS/Scheduler"

STEP_ALARMS: Final = {
    "Validate": ("ingest", "validate", "split", "validate-gold"),
    "Features": ("features",),
    "Train": ("train", "evaluate"),
    "Evaluate": ("evaluate", "package"),
    "Register": ("register",),
}
"""Step of the pipeline -> steps of psm-train in it."""

STARTUP_S: Final = 600
"""Seconds that SageMaker may take to bring a machine and an image, beside the step's own."""


def schedule(name: str, pipeline_arn: str, role: str, expression: str, timezone: str) -> Json:
    """CreateSchedule of EventBridge Scheduler: starts the pipeline.

    Args:
        name: Of the schedule.
        pipeline_arn: What it starts.
        role: That scheduler.amazonaws.com assumes; needs sagemaker:StartPipelineExecution.
        expression: Such as cron(0 3 ? * MON *).
        timezone: Of the expression.
    """
    return {
        "Name": name,
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": timezone,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": {
            "Arn": pipeline_arn,
            "RoleArn": role,
            "SageMakerPipelineParameters": {"PipelineParameterList": []},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10},
        },
    }


def alarms(pipeline: str, topic: str) -> list[Json]:
    """PutMetricAlarm of everything that has an objective: the execution, each step, and the schedule itself."""
    whole = {"PipelineName": pipeline}
    found = [
        _alarm(f"{pipeline}-failed", "ExecutionFailed", whole, topic),
        _alarm(f"{pipeline}-not-started", "TargetErrorCount", {"ScheduleGroup": "default"}, topic),
        _alarm(f"{pipeline}-slow", "ExecutionDuration", whole, topic, longest_s=RUN_OBJECTIVE_S),
    ]
    for step, parts in STEP_ALARMS.items():
        seconds = STARTUP_S + sum(OBJECTIVES[part] for part in parts)
        name = f"{pipeline}-{step.lower()}-slow"
        found.append(_alarm(name, "StepDuration", {**whole, "StepName": step}, topic, longest_s=seconds))
    return found


def _alarm(name: str, metric: str, dimensions: dict[str, str], topic: str, longest_s: int | None = None) -> Json:
    """One datapoint is enough: of a count, or of a duration (in milliseconds) of at least `longest_s`."""
    return {
        "AlarmName": name,
        "AlarmDescription": f"{metric} of {', '.join(dimensions.values())}; see docs/training-on-aws.md",
        "Namespace": PIPELINE_METRICS if "PipelineName" in dimensions else SCHEDULER_METRICS,
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Statistic": "Sum" if longest_s is None else "Maximum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 1.0 if longest_s is None else 1000.0 * longest_s,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [topic],
    }


class Account:
    """One account and region, as far as the pipeline needs it."""

    def __init__(self, region: str | None) -> None:
        if region is None:
            raise PipelineError("no AWS region; set AWS_REGION or pass --region")
        self._clients = {
            name: boto3.client(name, region_name=region, config=CLIENT_CONFIG)
            for name in ("sagemaker", "scheduler", "cloudwatch")
        }

    def upsert_pipeline(self, name: str, definition: Json, role: str) -> str:
        """Creates the pipeline, or gives it this definition; returns its ARN."""
        request = {"PipelineName": name, "PipelineDefinition": json.dumps(definition), "RoleArn": role}
        try:
            self.call("sagemaker", "describe_pipeline", PipelineName=name)
        except PipelineError as err:
            if _code(err) not in NOT_THERE:
                raise
            return str(self.call("sagemaker", "create_pipeline", **request)["PipelineArn"])
        return str(self.call("sagemaker", "update_pipeline", **request)["PipelineArn"])

    def upsert_schedule(self, request: Json) -> str:
        """Creates the schedule, or makes it this one; returns its ARN."""
        try:
            self.call("scheduler", "get_schedule", Name=request["Name"])
        except PipelineError as err:
            if _code(err) not in NOT_THERE:
                raise
            return str(self.call("scheduler", "create_schedule", **request)["ScheduleArn"])
        return str(self.call("scheduler", "update_schedule", **request)["ScheduleArn"])

    def put_alarms(self, requests: list[Json]) -> list[str]:
        """Creates the alarms or makes them these; returns their names."""
        for request in requests:
            self.call("cloudwatch", "put_metric_alarm", **request)
        return [str(request["AlarmName"]) for request in requests]

    def call(self, service: str, operation: str, **request: Any) -> Any:
        """One call.

        Raises:
            PipelineError: It failed.
        """
        try:
            return getattr(self._clients[service], operation)(**request)
        except (ClientError, BotoCoreError) as err:
            raise PipelineError(f"could not {operation.replace('_', ' ')}: {err}") from err


NOT_THERE: Final = frozenset({"ResourceNotFound", "ResourceNotFoundException", "ValidationException"})
"""How the two services say that something does not exist; creating it tells whether it was that."""


def _code(error: PipelineError) -> str:
    """The service's code of the error behind ours."""
    cause = error.__cause__
    return str(cause.response["Error"]["Code"]) if isinstance(cause, ClientError) else ""
