"""The chart's rules, by Prometheus' own checker: each alert fires when it should and is silent just below."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_cases import CASES, MORE, Case, Series
from helm import CHARTS
from promtool import promtool

pytestmark = pytest.mark.component

RULES = CHARTS / "psm-operator" / "rules" / "psm-operator.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
LAST_MINUTES = 120
"""What happens in a case happens within these, at the end of its series."""


def test_the_rules_are_rules() -> None:
    """Syntax, types of expressions, templates."""
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_has_a_case() -> None:
    """An alert that nobody has seen fire may never do so."""
    assert CASES.keys() == ALERTS.keys()


@pytest.mark.parametrize(("alert", "case"), [*CASES.items(), *MORE.items()])
def test_an_alert_fires_when_it_should(alert: str, case: Case, tmp_path: Path) -> None:
    """At its minute and not one earlier, with its labels and with values in its words."""
    moments = [(case.minute - 1, []), (case.minute, [expected(alert, case)])]
    run(tmp_path, case.fires, [{"eval_time": f"{m}m", "alertname": alert, "exp_alerts": e} for m, e in moments])


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_is_silent_just_below(alert: str, tmp_path: Path) -> None:
    """A value at the threshold, a gap that closes in time, a neighbour's trouble."""
    series = CASES[alert].below
    end = max(len(values) for values in series.values()) - 1
    minutes = range(max(0, end - LAST_MINUTES), end + 1)
    run(tmp_path, series, [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []} for minute in minutes])


def expected(alert: str, case: Case) -> dict[str, Any]:
    """The alert as Alertmanager gets it."""
    rule = ALERTS[alert]
    annotations = {
        "summary": case.summary,
        "description": case.description or rule["annotations"]["description"],
        "runbook_url": f"docs/runbooks/{alert}.md",
    }
    return {"exp_labels": {**case.labels, "severity": rule["labels"]["severity"]}, "exp_annotations": annotations}


def run(folder: Path, series: Series, moments: list[dict[str, Any]]) -> None:
    """Let promtool evaluate the rules over the series, minute by minute."""
    inputs = [{"series": name, "values": " ".join(str(value) for value in values)} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "alert_rule_test": moments}
    order = [group["name"] for group in GROUPS]  # what is recorded comes before what is asked of it
    suite = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "group_eval_order": order, "tests": [test]}
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    done = promtool("test", "rules", str(folder / "suite.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_read(alert: str) -> None:
    """Severity from a closed set; one sentence each, with whom it is about unless it is about everything."""
    rule = ALERTS[alert]
    assert rule["labels"] in ({"severity": severity} for severity in ("critical", "warning", "info"))
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
        assert text.endswith(".")
    if not rule["expr"].startswith("absent"):
        assert re.search(r"\{\{ \$(labels|value)", rule["annotations"]["summary"])
