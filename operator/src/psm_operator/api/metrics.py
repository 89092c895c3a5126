"""`spec.analysis.metrics`: what a version must measure up to, and where the numbers come from."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from psm_operator.api.base import ApiModel
from psm_operator.api.quantities import DecimalText
from psm_operator.api.schema import map_by, rules


class Against(StrEnum):
    """What a regression is measured against."""

    STABLE = "Stable"


class MetricSource(StrEnum):
    """Where a metric's value comes from."""

    REGISTRY = "Registry"
    CLOUD_WATCH = "CloudWatch"


class Threshold(ApiModel):
    """An absolute bound."""

    min: DecimalText | None = Field(default=None, description='Least value that passes, as text like "0.75".')
    max: DecimalText | None = Field(default=None, description='Greatest value that passes, as text like "200".')


class MaxRegression(ApiModel):
    """How much worse than another version is allowed."""

    absolute: DecimalText = Field(
        description='How much lower than the other version\'s value still passes, as text like "0.02".'
    )
    against: Against = Field(
        default=Against.STABLE, description="The version compared with: Stable, the last one that finished its soak."
    )


class Dimension(ApiModel):
    """One dimension of a CloudWatch metric."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(description="Dimension name.")
    value: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = Field(description="Dimension value.")


class CloudWatchMetric(ApiModel):
    """One metric of CloudWatch, in the words of GetMetricData."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.period % 60 == 0", "cloudWatch.period must be a multiple of 60"))
    )

    namespace: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="CloudWatch namespace of the metric."
    )
    metric_name: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="CloudWatch name of the metric."
    )
    statistic: Annotated[
        str,
        StringConstraints(
            max_length=16, pattern=r"^(Average|Sum|Minimum|Maximum|SampleCount|p[0-9]{1,2}(\.[0-9]{1,2})?)$"
        ),
    ] = Field(description="How a period's values become one: Average, Sum, Minimum, Maximum, SampleCount or p95.")
    period: Annotated[int, Field(ge=60, le=86400)] = Field(
        description="Seconds per datapoint, a multiple of 60; each datapoint is judged once."
    )
    dimensions: tuple[Dimension, ...] = Field(
        default=(),
        max_length=30,
        description="Dimensions of the metric, all of them.",
        json_schema_extra=map_by("name"),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.period % 60:
            raise ValueError("cloudWatch.period must be a multiple of 60")
        names = [dimension.name for dimension in self.dimensions]
        if len(set(names)) != len(names):
            raise ValueError("cloudWatch.dimensions names a dimension twice")
        return self


class AnalysisMetric(ApiModel):
    """One metric and what it must be. Without threshold and maxRegression it is only shown."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.cloudWatch) == (has(self.source) && self.source == 'CloudWatch')",
                "set cloudWatch if, and only if, source is CloudWatch",
            ),
            (
                "!(has(self.cloudWatch) && has(self.maxRegression))",
                "maxRegression compares registered metrics: a CloudWatch metric has a threshold",
            ),
        ),
    )

    name: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")] = Field(
        description="Metric name. Source Registry: the package's metadata psm.live.<name>, else the evaluation JSON that the "
        "package names, else the metadata psm.<name>."
    )
    source: MetricSource = Field(
        default=MetricSource.REGISTRY,
        description="Registry: what the model package says, before and while it serves. CloudWatch: what is measured "
        "while it serves. Unset: Registry.",
    )
    cloud_watch: CloudWatchMetric | None = Field(
        default=None, description="The metric of CloudWatch, read in the region and with the role of the registry."
    )
    threshold: Threshold | None = Field(default=None, description="An absolute bound.")
    max_regression: MaxRegression | None = Field(
        default=None, description="How much worse than the stable version is allowed."
    )

    @model_validator(mode="after")
    def _source_is_described(self) -> Self:
        if (self.cloud_watch is not None) != (self.source is MetricSource.CLOUD_WATCH):
            raise ValueError("set cloudWatch if, and only if, source is CloudWatch")
        if self.cloud_watch is not None and self.max_regression is not None:
            raise ValueError("maxRegression compares registered metrics: a CloudWatch metric has a threshold")
        return self


DEFAULT_METRICS = (
    AnalysisMetric(
        name="accuracy",
        threshold=Threshold.model_validate({"min": "0.75"}),
        max_regression=MaxRegression.model_validate({"absolute": "0.02"}),
    ),
    AnalysisMetric(name="macro_f1", threshold=Threshold.model_validate({"min": "0.70"})),
    AnalysisMetric(name="precision_min_class", threshold=Threshold.model_validate({"min": "0.65"})),
)
"""The product's KPIs."""
