"""A model with a past, and the dashboard and alarms that it is to have: for golden files, the schema and the picture."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from builders import UID, model_spec

from psm_operator.api.conditions import Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import HistoryEntry, HistoryResult, MetricValue, ModelStatus, Served
from psm_operator.decide.monitoring import MonitoringDefaults, Wanted, wanted_monitoring
from psm_operator.values import ObjectRef

REF: Final = ObjectRef("mlops", "uk-grocery")
TOPIC: Final = "arn:aws:sns:ap-southeast-1:123456789012:mlops-dev-alerts"
DEFAULTS: Final = MonitoringDefaults(
    prefix="mlops-dev",
    region="ap-southeast-1",
    cluster="mlops-dev",
    tags=MappingProxyType({"Project": "PriceSensitivityMLOps", "Environment": "dev"}),
)


def at(hour: int, minute: int = 0) -> datetime:
    """A moment of the story's day."""
    return datetime(2025, 6, 1, hour, minute, tzinfo=UTC)


def served(version: int, accuracy: str, since: datetime) -> Served:
    """A version that serves or served."""
    return Served(
        version=version,
        arn=f"arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/{version}",
        model_data_url=f"s3://mlops-dev-models/{version}/model.tar.gz",
        deployed_at=since,
        metrics=(MetricValue(name="accuracy", value=accuracy, verdict="Pass"),),
    )


def story() -> ModelStatus:
    """17 came at two, 18 at nine and was given up at half past eleven; 19 did not even begin."""
    first = served(17, "0.781", at(2))
    history = (
        HistoryEntry(version=19, result=HistoryResult.REJECTED, reason=Reason.VERIFICATION_FAILED, at=at(15)),
        HistoryEntry(
            version=18,
            result=HistoryResult.ROLLED_BACK,
            reason=Reason.METRIC_REGRESSION,
            from_=18,
            to=17,
            at=at(11, 30),
            served=served(18, "0.802", at(9)),
        ),
        HistoryEntry(version=18, result=HistoryResult.PROMOTED, reason=Reason.PROMOTED, from_=17, to=18, at=at(9, 5)),
        HistoryEntry(
            version=17, result=HistoryResult.PROMOTED, reason=Reason.PROMOTED, to=17, at=at(2, 5), served=first
        ),
    )
    return ModelStatus(current=first.model_copy(update={"deployed_at": at(11, 32)}), stable=first, history=history)


def spec() -> ModelSpec:
    """It asks for everything."""
    return model_spec(monitoring={"cloudWatch": {"enabled": True, "snsTopicARN": TOPIC}})


def told() -> Wanted:
    """What is to be in CloudWatch."""
    wanted = wanted_monitoring(REF, UID, spec(), story(), DEFAULTS)
    if wanted is None:
        raise AssertionError("the story asks for a dashboard")
    return wanted


TOLD: Final = told()
