"""What is exposed, what reads it, and what explains it, held against each other: metrics, rules, dashboards, pages."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import builders
import exposed
import pytest
import yaml
from helm import CHARTS, HelmError, manifests
from promtool import promtool

from psm_operator.decide.desired.model import SERVING
from psm_operator.decide.desired.pod import pod_template
from psm_operator.kubectl import cli_reads, cli_writes
from psm_operator.kubectl.cli import cli

pytestmark = pytest.mark.component

ROOT = CHARTS.parent
CHART = CHARTS / "psm-operator"
RUNBOOKS = ROOT / "docs" / "runbooks"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = [
    rule
    for group in yaml.safe_load((CHART / "rules" / "psm-operator.yaml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule["alert"] for rule in RULES if "alert" in rule]
RECORDS = {rule["record"] for rule in RULES if "record" in rule}
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]

SCRAPED = frozenset({"job", "instance", "namespace", "pod", "service"})
"""Labels that a scrape adds."""

NAME = re.compile(r"\b(?:psm_[a-z0-9_]+|process_[a-z_]+|job[a-z_]*:[a-z0-9_:]+)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
MATCHER = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')
LABEL_VALUES = re.compile(r"label_values\((.+), ([a-z]+)\)")


def test_names_and_help_follow_prometheus_conventions() -> None:
    """Base units, suffixes, help: as promtool's linter knows them."""
    linted = promtool("check", "metrics", stdin=exposed.operator().exposition().decode())
    assert linted.returncode == 0, linted.stderr


# --- expressions ------------------------------------------------------------------------------------------------------


def expressions(dashboard: Path) -> Iterator[str]:
    """Every query of a dashboard: of panels, of annotations, of variables."""
    content = json.loads(dashboard.read_text())
    for panel in content["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (note["expr"] for note in content["annotations"]["list"])
    for variable in content["templating"]["list"]:
        asked = LABEL_VALUES.fullmatch(variable.get("definition", ""))
        if asked is not None:
            yield f"count by ({asked[2]}) ({asked[1]})"


def filled(expression: str) -> str:
    """An expression with Grafana's variables filled in."""
    return re.sub(r"\$\w+", "x", expression.replace("$__rate_interval", "5m"))


def unknown_in(expression: str) -> list[str]:
    """Names that nobody exposes or records, and labels that their metrics do not have."""
    known = exposed.labels_by_sample()
    names = set(NAME.findall(expression)) - SCRAPED
    wrong = [name for name in names if name not in known and name not in RECORDS]
    for metric, matchers in SELECTOR.findall(expression):
        has = known.get(metric, frozenset()) | SCRAPED
        wrong += [f"{metric}{{{label}}}" for label in MATCHER.findall(matchers) if label not in has]
    return sorted(wrong)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_is_exposed(rule: dict[str, Any]) -> None:
    """A metric that was renamed would silence its alert for good."""
    assert unknown_in(rule["expr"]) == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_ask_for_what_is_exposed(dashboard: Path, tmp_path: Path) -> None:
    """Every expression parses, and names metrics and labels that exist."""
    asked = [filled(expression) for expression in expressions(dashboard)]
    assert len(asked) > 10
    assert [found for expression in asked if (found := unknown_in(expression))] == []
    rules = [{"record": f"asked:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    checked = promtool("check", "rules", str(tmp_path / "asked.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_does_not_exist_would_be_noticed() -> None:
    """The parser of this test, broken once on purpose."""
    assert unknown_in('sum(psm_model_reddy{job="x"})') == ["psm_model_reddy"]
    assert unknown_in('psm_model_phase{fase="Ready"}') == ["psm_model_phase{fase}"]
    assert unknown_in("job:nobody_records:this > 1") == ["job:nobody_records:this"]


# --- dashboards -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_their_own_ids_and_places(dashboard: Path) -> None:
    """Grafana drops one of two panels with the same id, and stacks those that overlap."""
    panels = json.loads(dashboard.read_text())["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= 24 - place["w"], panel["title"]
    for one, other in combinations(panels, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), f"{one['title']} and {other['title']} overlap"


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two rectangles share a cell of the grid."""
    apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not (apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])


def test_dashboards_are_told_apart() -> None:
    """By uid and title; each reads the data source that the reader chose."""
    contents = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({content["uid"] for content in contents}) == len({content["title"] for content in contents}) == 2
    for content in contents:
        sources = {target["datasource"]["uid"] for panel in content["panels"] for target in panel.get("targets", ())}
        assert sources == {"${datasource}"}


# --- the chart --------------------------------------------------------------------------------------------------------

ON = "--set=prometheusRule.enabled=true,serviceMonitor.enabled=true,podMonitor.enabled=true,dashboards.enabled=true"


def made(kind: str, *args: str) -> list[dict[str, Any]]:
    """What the chart makes of a kind."""
    return [manifest for manifest in manifests("psm-operator", *args) if manifest["kind"] == kind]


def test_nothing_of_it_is_there_unless_asked_for() -> None:
    """Clusters without the Prometheus operator refuse its kinds."""
    kinds = {manifest["kind"] for manifest in manifests("psm-operator")}
    assert kinds.isdisjoint({"PrometheusRule", "ServiceMonitor", "PodMonitor", "ConfigMap"})


def test_the_chart_ships_the_rules_as_they_were_tried() -> None:
    """Word for word."""
    (rule,) = made("PrometheusRule", ON)
    assert [entry for group in rule["spec"]["groups"] for entry in group["rules"]] == RULES


def test_rules_can_be_left_out_labelled_and_given_an_address() -> None:
    """What an installation wants to change without a fork."""
    own = "--set=prometheusRule.disabled={PsmRollback},prometheusRule.ruleLabels.team=mlops"
    base = "--set=prometheusRule.runbookBaseURL=https://git.example.com/runbooks/,prometheusRule.labels.release=kps"
    (rule,) = made("PrometheusRule", ON, own, base)
    alerts = {entry["alert"]: entry for g in rule["spec"]["groups"] for entry in g["rules"] if "alert" in entry}
    assert alerts.keys() == set(ALERTS) - {"PsmRollback"}
    for name, alert in alerts.items():
        assert alert["labels"]["team"] == "mlops"
        assert alert["labels"]["severity"]
        assert alert["annotations"]["runbook_url"] == f"https://git.example.com/runbooks/{name}.md"
    assert rule["metadata"]["labels"]["release"] == "kps"


@pytest.mark.parametrize("alert", ALERTS)
def test_the_schema_knows_every_alert(alert: str) -> None:
    """A name that leaves nothing out is refused, and every name is a name."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    disabled = schema["properties"]["prometheusRule"]["properties"]["disabled"]["items"]["enum"]
    assert alert in disabled
    assert len(disabled) == len(ALERTS)


def test_a_monitor_without_a_service_is_refused() -> None:
    """It would select nothing, in silence."""
    with pytest.raises(HelmError, match=r"serviceMonitor.enabled needs metrics.service.enabled"):
        made("ServiceMonitor", ON, "--set=metrics.service.enabled=false")


def test_a_monitor_finds_the_service_and_keeps_the_models_namespace() -> None:
    """Its selector and port are the Service's."""
    (monitor,) = made("ServiceMonitor", ON)
    (service,) = made("Service", ON)
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint["honorLabels"] is True


def test_a_monitor_finds_predictor_pods_and_names_their_model() -> None:
    """By the labels and the port of the pods that the operator makes; only where the operator looks after models."""
    template = pod_template(builders.desired_model(), builders.serve_target(), SERVING)
    (monitor,) = made("PodMonitor", ON)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    prefix = "__meta_kubernetes_pod_label_"
    labels = {re.sub(r"[./]", "_", name) for name in template["metadata"]["labels"]}
    given = {rule["targetLabel"]: rule["sourceLabels"][0].removeprefix(prefix) for rule in endpoint["relabelings"]}
    assert given.keys() == exposed.OF_A_POD
    assert set(given.values()) <= labels
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    (two,) = made("PodMonitor", ON, "--set=watchNamespaces={mlops,mlops-test}")
    assert two["spec"]["namespaceSelector"] == {"matchNames": ["mlops", "mlops-test"]}


def test_dashboards_come_as_configmaps_that_grafanas_sidecar_finds() -> None:
    """One file each, as it is in the chart."""
    shipped: dict[str, str] = {}
    for found in made("ConfigMap", ON):
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        shipped |= found["data"]
    assert {name: json.loads(text) for name, text in shipped.items()} == {
        path.name: json.loads(path.read_text()) for path in DASHBOARDS
    }


# --- pages ------------------------------------------------------------------------------------------------------------


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """Whoever is woken up finds a page, and no page outlives its alert."""
    assert sorted(path.stem for path in RUNBOOKS.glob("*.md") if path.stem != "README") == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_says_what_it_means_and_what_to_do(alert: str) -> None:
    """Four sections, commands to find out with, and the alert's own expression."""
    page = (RUNBOOKS / f"{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    diagnosis = page.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert re.search(r"^```console\n\$ ", diagnosis, re.MULTILINE)
    rule = next(rule for rule in RULES if rule.get("alert") == alert)
    asked = {name for name in NAME.findall(rule["expr"]) if name not in SCRAPED}
    assert [name for name in asked if f"`{name}" not in page] == [], "the page does not name what fired"


@pytest.mark.parametrize(
    "page",
    [*sorted(RUNBOOKS.glob("*.md")), ROOT / "docs/observability.md", ROOT / "docs/release-and-rollback.md"],
    ids=lambda path: path.stem,
)
def test_pages_name_metrics_that_exist(page: Path) -> None:
    """In back-quotes or in a block: what people paste into a query finds something."""
    text = page.read_text()
    spans = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]
    found = {name for span in spans for name in NAME.findall(span)}
    assert found - SCRAPED <= exposed.labels_by_sample().keys() | exposed.families() | RECORDS


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbooks_commands_are_commands(alert: str) -> None:
    """Of the plugin, with arguments that it takes: at night nobody looks up a flag."""
    cli_reads.declare()
    cli_writes.declare()
    for line in re.findall(r"kubectl psm ([a-z].*?)(?:`|$)", (RUNBOOKS / f"{alert}.md").read_text(), re.MULTILINE):
        name, *arguments = shlex.split(line)
        if arguments:
            cli.commands[name].make_context(name, arguments)
        assert name in cli.commands
