import dataclasses

import pytest

from psm_predictor.errors import SettingsError
from psm_predictor.settings import LiveSettings, PackageRef, parse

NEEDED = {
    "PSM_MODEL_DATA_URL": "s3://b/k",
    "PSM_MODEL_SHA256": "ab" * 32,
    "PSM_MODEL_PACKAGE_ARN": "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/3",
    "PSM_MODEL_PACKAGE_VERSION": "3",
}


def test_defaults_are_an_hour_a_day_and_a_few_megabytes() -> None:
    """Changing a default is a change of behaviour: it shows here."""
    assert dataclasses.astuple(parse(NEEDED).live) == (3600, 32_768, 10_000, 86_400, False, "", False)


def test_every_setting_has_a_variable() -> None:
    """Each field can be set from outside."""
    variables = {
        "PSM_DRIFT_WINDOW_S": "60",
        "PSM_FEEDBACK_MEMORY": "2",
        "PSM_FEEDBACK_LABELS": "3",
        "PSM_FEEDBACK_WINDOW_S": "4",
        "PSM_EMF": "1",
        "PSM_MODEL_NAME": "psm/mlops/uk-grocery",
        "PSM_PREDICTION_LOG": "1",
    }
    everything = LiveSettings(60, 2, 3, 4, emf=True, model_name="psm/mlops/uk-grocery", prediction_log=True)
    assert parse({**NEEDED, **variables}).live == everything


@pytest.mark.parametrize(
    ("name", "value"),
    [("PSM_DRIFT_WINDOW_S", "59"), ("PSM_FEEDBACK_MEMORY", "0"), ("PSM_EMF", "yes"), ("PSM_PREDICTION_LOG", "2")],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    """A window of no time would never hold anything; a switch is 0 or 1."""
    with pytest.raises(SettingsError, match=name):
        parse({**NEEDED, name: value})


@pytest.mark.parametrize(
    ("arn", "group"),
    [(NEEDED["PSM_MODEL_PACKAGE_ARN"], "price-sensitivity"), ("arn:x", "arn:x")],
    ids=["an ARN", "another text"],
)
def test_the_group_is_the_arns(arn: str, group: str) -> None:
    """What metrics and log lines are told apart by."""
    assert PackageRef("file:///x", "ab" * 32, arn, 1).group == group
