"""What CloudWatch is sent: the dashboard against its documented structure, alarms against the SDK's own model of them."""

import json
import re
from dataclasses import replace
from typing import Any

import botocore.session
import jsonschema
import numpy as np
import pytest
from botocore.validate import ParamValidator
from cloudwatch_schema import DASHBOARD_BODY
from cloudwatch_story import DEFAULTS, REF, at, served, spec, story, told

from psm_contract import cloudwatch
from psm_operator.api.conditions import Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import HistoryEntry, HistoryResult, ModelStatus, OffHoursStatus
from psm_operator.decide.monitoring import Found, FoundAlarm, PutAlarm, TagAlarm, Wanted, steps, wanted_monitoring
from psm_operator.decide.monitoring.dashboard import INSIGHTS, MOST_CHANGES
from psm_operator.decide.monitoring.model import OWNER_TAG, MonitoringDefaults
from psm_predictor.live.emf import EmfLines
from psm_predictor.live.figures import Figures
from psm_predictor.settings import PackageRef
from psm_predictor.telemetry import BOUNDS_S, Traffic

SHAPE = botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape


def wanted_of(status: ModelStatus, *, of: ModelSpec | None = None, defaults: MonitoringDefaults = DEFAULTS) -> Wanted:
    wanted = wanted_monitoring(REF, "uid", of or spec(), status, defaults)
    assert wanted is not None
    return wanted


def body_of(wanted: Wanted) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(str(wanted.dashboard))
    return body


def long_past() -> ModelStatus:
    rejected = HistoryEntry(version=1, result=HistoryResult.REJECTED, reason=Reason.METRIC_REGRESSION, at=at(1))
    entries = tuple(rejected.model_copy(update={"version": n}) for n in range(100))
    return story().model_copy(update={"history": entries})


PASTS = {"nothing yet": ModelStatus(), "a rollback": story(), "a hundred versions": long_past()}


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("defaults", [DEFAULTS, MonitoringDefaults()], ids=["all set", "nothing set"])
def test_a_dashboard_has_the_structure_that_cloudwatch_documents(past: str, defaults: MonitoringDefaults) -> None:
    body = body_of(wanted_of(PASTS[past], defaults=defaults))
    jsonschema.validate(body, DASHBOARD_BODY)
    taken = [
        (w["x"] + dx, w["y"] + dy) for w in body["widgets"] for dx in range(w["width"]) for dy in range(w["height"])
    ]
    assert len(taken) == len(set(taken)), "two widgets overlap"
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize(
    "spoilt",
    [
        {"properties": {"metrics": [["A", "B"]], "region": "here"}},
        {"properties": {"metrics": [["A", "B"]], "region": "eu-west-1", "titel": "x"}},
        {"properties": {"metrics": [[{"label": "no expression"}]], "region": "eu-west-1"}},
        {"properties": {"metrics": [], "region": "eu-west-1"}},
        {"type": "text"},
        {"x": 24},
    ],
    ids=[
        "a region that is none",
        "a mistyped property",
        "no expression",
        "no metric",
        "another type",
        "beyond the grid",
    ],
)
def test_the_schema_refuses_what_is_wrong(spoilt: dict[str, Any]) -> None:
    """Else the test above would show nothing."""
    body = body_of(told())
    body["widgets"][1] |= spoilt
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, DASHBOARD_BODY)


def test_every_expression_speaks_of_series_of_its_own_chart() -> None:
    for widget in body_of(told())["widgets"][1:]:
        options = [series[-1] for series in widget["properties"]["metrics"]]
        ids = [option["id"] for option in options if "id" in option]
        assert len(ids) == len(set(ids))
        used = {word for o in options for word in re.findall(r"\b[a-z]+\b", o.get("expression", ""))}
        assert used <= set(ids)


def line_of_everything() -> dict[str, Any]:
    """One line of a pod that has something to say of everything, as the predictor writes it."""
    figures = Figures(np.full((3, 3), 9.0), 1000, {"spend": 0.3}, 0.1, {}, 5, 5, 0.0, 0.0)
    name = told().owner.dimension
    lines = EmfLines(PackageRef("s3://b/k", "ab" * 32, "arn:aws:sagemaker:x:1:model-package/g/1", 1), name)
    return next(lines.of(figures, 0.0, Traffic(10, 1, (1.0,) * (len(BOUNDS_S) + 1))))


def test_every_metric_that_is_shown_or_watched_is_one_that_the_predictor_writes() -> None:
    """Namespace, name, dimension and its value; Container Insights' apart."""
    line = line_of_everything()
    written = {
        (directive["Namespace"], metric["Name"], *names, *(line[name] for name in names))
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
        for names in directive["Dimensions"]
    }
    series = [s for widget in body_of(told())["widgets"][1:] for s in widget["properties"]["metrics"] if len(s) > 1]
    shown = {tuple(s[:-1]) for s in series if s[0] != INSIGHTS}
    terms = [alarm.get("Metrics") or [{"MetricStat": {"Metric": alarm}}] for alarm in told().alarms]
    metrics = [term["MetricStat"]["Metric"] for alarm in terms for term in alarm if "MetricStat" in term]
    watched = {(m["Namespace"], m["MetricName"], *m["Dimensions"][0].values()) for m in metrics}
    assert len(shown) == 6
    assert shown | watched <= written
    assert all(key[2] == cloudwatch.MODEL for key in shown | watched)


def bounds_broken(shape: Any, value: Any, where: str = "") -> list[str]:
    """Where a value breaks the bounds, patterns and closed sets of a shape; types and names are ParamValidator's."""
    found = []
    match shape.type_name:
        case "structure":
            for name, part in value.items():
                found += bounds_broken(shape.members[name], part, f"{where}.{name}")
        case "list":
            found += [where] * (len(value) > shape.metadata.get("max", len(value)))
            for part in value:
                found += bounds_broken(shape.member, part, where)
        case "string":
            meta = shape.metadata
            is_known = value in meta.get("enum", [value])
            is_fit = meta.get("min", 0) <= len(value) <= meta.get("max", len(value))
            found += [where] * (not (is_known and is_fit and re.fullmatch(meta.get("pattern", "(?s).*"), value)))
    return found


@pytest.mark.parametrize("past", PASTS)
def test_alarms_are_arguments_that_the_sdk_takes(past: str) -> None:
    for alarm in wanted_of(PASTS[past]).alarms:
        assert ParamValidator().validate(alarm, SHAPE).generate_report() == ""
        assert bounds_broken(SHAPE, alarm) == []
        assert alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]
        formulas = [term for term in alarm.get("Metrics", []) if term["ReturnData"]]
        assert len(formulas) == ("Metrics" in alarm), "exactly one series is watched"
        for formula in formulas:
            words = set(re.findall(r"\b[a-z]+\b", formula["Expression"]))
            assert words == {term["Id"] for term in alarm["Metrics"]} - {formula["Id"]}


def test_the_longest_watched_time_is_what_cloudwatch_allows() -> None:
    """A day for periods below an hour, seven days from then on."""
    longest = spec().model_dump(mode="json", by_alias=True)
    longest["monitoring"]["cloudWatch"]["alarms"]["silentMinutes"] = 1440
    for alarm in wanted_of(story(), of=ModelSpec.model_validate(longest)).alarms:
        periods = [alarm.get("Period")] + [
            t["MetricStat"]["Period"] for t in alarm.get("Metrics", []) if "MetricStat" in t
        ]
        period_s = max(period for period in periods if period is not None)
        assert alarm["EvaluationPeriods"] * period_s <= (86400 if period_s < 3600 else 7 * 86400)


def test_the_bounds_are_checked_at_all() -> None:
    """Else the tests above would show nothing."""
    alarm = dict(told().alarms[0])
    assert bounds_broken(SHAPE, {**alarm, "AlarmName": "x" * 256}) == [".AlarmName"]
    assert bounds_broken(SHAPE, {**alarm, "ComparisonOperator": "Below"}) == [".ComparisonOperator"]


def test_changes_of_the_version_are_vertical_lines_of_every_chart() -> None:
    """Oldest first, twenty at most, and not the same list object in two places."""
    charts = [widget["properties"] for widget in body_of(told())["widgets"][1:]]
    labels = [line["label"] for line in charts[0]["annotations"]["vertical"]]
    assert labels == [
        "version 17 stays",
        "version 18 stays",
        "back from 18 to 17: MetricRegression",
        "version 17 serves",
        "version 19 rejected: VerificationFailed",
    ]
    assert all(chart["annotations"]["vertical"] == charts[0]["annotations"]["vertical"] for chart in charts)
    many = body_of(wanted_of(long_past()))["widgets"][1]["properties"]["annotations"]["vertical"]
    assert len(many) == MOST_CHANGES + 1


def test_what_somebody_registered_cannot_write_markdown() -> None:
    """A metric's value is a text of whoever registered the version."""
    hostile = served(17, "0.8 | [click](https://evil.example)\n# me", at(2))
    text = body_of(wanted_of(ModelStatus(current=hostile)))["widgets"][0]["properties"]["markdown"]
    assert "https" not in text
    assert "](" not in text


def test_an_alarm_of_silence_is_mute_at_night() -> None:
    """And with no replica asked for; in a window with some it is not."""

    def is_awake(status: ModelStatus, of: ModelSpec | None = None) -> bool:
        return bool(wanted_of(status, of=of).alarms[-1]["ActionsEnabled"])

    night = OffHoursStatus(since=at(1), until=at(5), replicas=0, replicas_before=2)
    none = ModelSpec.model_validate(
        {**spec().model_dump(mode="json", by_alias=True), "autoscaling": None, "replicas": 0}
    )
    assert is_awake(story())
    assert is_awake(story().model_copy(update={"off_hours": night.model_copy(update={"replicas": 1})}))
    assert not is_awake(story().model_copy(update={"off_hours": night}))
    assert not is_awake(story(), of=none)
    assert not is_awake(ModelStatus())


def test_an_alarm_that_is_ours_and_wrong_in_both_ways_is_put_and_tagged() -> None:
    """A put alone leaves the tags of an alarm that exists alone."""
    wanted = replace(told(), dashboard=None)
    wrong = FoundAlarm(wanted.alarms[0]["AlarmName"], {"Threshold": 1}, {OWNER_TAG: wanted.owner.uid})
    others = tuple(FoundAlarm(alarm["AlarmName"], alarm, wanted.tags) for alarm in wanted.alarms[1:])
    todo, conflicts = steps(wanted.owner, wanted, Found((wrong, *others)))
    assert ([type(step) for step in todo], conflicts) == ([PutAlarm, TagAlarm], ())
