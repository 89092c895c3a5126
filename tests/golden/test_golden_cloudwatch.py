"""The dashboard and alarms of a model with a past, as CloudWatch gets them."""

import json
from collections.abc import Callable

from cloudwatch_story import TOLD, told

from psm_operator.decide.monitoring import Wanted


def test_the_dashboard_is_as_reviewed(golden: Callable[[str, str], None]) -> None:
    """Charts, limits, version changes as vertical lines, and whose it is."""
    body = json.loads(str(told().dashboard))
    golden("cloudwatch/dashboard.json", json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def test_the_alarms_are_as_reviewed(golden: Callable[[str, str], None]) -> None:
    """Every argument of PutMetricAlarm."""
    wanted: Wanted = told()
    alarms = [{**alarm, "Tags": dict(wanted.tags)} for alarm in wanted.alarms]
    golden("cloudwatch/alarms.json", json.dumps(alarms, indent=2, sort_keys=True) + "\n")


def test_the_same_past_gives_the_same_body() -> None:
    """Byte for byte: a body that differs is written again."""
    assert told() == TOLD
    assert told().fingerprint == TOLD.fingerprint
