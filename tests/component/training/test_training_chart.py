"""charts/psm-training: it lints, refuses what it does not know, and starts the container as SageMaker would; its alerts fire."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_cases import Series
from helm import CHARTS, HelmError, helm, manifests, rendered
from promtool import promtool
from training_alert_cases import CASES
from training_container import run

from psm_training.sagemaker.observed import OBJECTIVES, RUN_OBJECTIVE_S, exposition
from psm_training.sagemaker.order import DEFAULTS, JobOrder
from psm_training.sagemaker.paths import EXIT_DATA, EXIT_ORDER, Container

pytestmark = pytest.mark.component

CHART = "psm-training"
ROOT = Path(__file__).parents[3]
RULES = CHARTS / CHART / "rules" / "psm-training.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
RUNBOOKS = ROOT / "docs" / "runbooks" / "training"
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
OPEN = "--set=prometheusRule.enabled=true,podMonitor.enabled=true,networkPolicy.enabled=true,runNow=true"


def of_kind(kind: str, *args: str, release: str = "") -> list[dict[str, Any]]:
    return [manifest for manifest in manifests(CHART, *args, release=release) if manifest["kind"] == kind]


def job_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = (
        manifest["spec"]["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else manifest["spec"]
    )
    return spec


def test_the_chart_lints() -> None:
    """Warnings count."""
    helm("lint", "--strict", str(CHARTS / CHART))


@pytest.mark.parametrize(
    "value",
    ["image.tga=1", "shedule=x", "schedule=at five", "hyperparameters.recpie=v2", "hyperparameters.approve=always",
     "runNow=maybe", "prometheusRule.disabled={PsmNoSuch}"],
)  # fmt: skip
def test_a_mistyped_value_is_refused(value: str) -> None:
    """A closed schema, also for hyperparameters: the pod would end with code 2."""
    with pytest.raises(HelmError):
        rendered(CHART, f"--set={value}")


def test_every_value_is_in_the_schema_and_used() -> None:
    """A value that no template reads does nothing."""
    values = yaml.safe_load((CHARTS / CHART / "values.yaml").read_text())
    schema = json.loads((CHARTS / CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    templates = "".join(path.read_text() for path in (CHARTS / CHART / "templates").iterdir())
    assert {name for name in values if not re.search(rf"\.Values\.{name}\b", templates)} == set()
    assert set(schema["properties"]["prometheusRule"]["properties"]["disabled"]["items"]["enum"]) == ALERTS.keys()
    names = re.search(r"\^\(\(([a-z_|]+)\)", schema["properties"]["hyperparameters"]["propertyNames"]["pattern"])
    assert names is not None
    assert names[1].split("|") == list(DEFAULTS)


def test_the_hyperparameters_are_what_the_container_reads(tmp_path: Path) -> None:
    """The chart's file at the place where it is mounted; fields of the recipe too."""
    (config,) = of_kind("ConfigMap", "--set-string=hyperparameters.estimator\\.trees=50,hyperparameters.approve=auto")
    tree = tmp_path / "input/config"
    tree.mkdir(parents=True)
    (tree / "hyperparameters.json").write_text(config["data"]["hyperparameters.json"])
    order = JobOrder.of(Container(tmp_path).read_hyperparameters())
    assert order.recipe.describe()["estimator"]["trees"] == 50
    assert (order.target.approve, order.steps[-1]) == ("auto", "register")


def test_the_pod_is_the_image_as_sagemaker_runs_it() -> None:
    """The same argument, and the folders at the same places; the container takes the command line."""
    (cron,) = of_kind("CronJob", "--set=data.claim=till,checkpoints.claim=kept")
    (container,) = job_of(cron)["template"]["spec"]["containers"]
    assert container["args"][-1] == "train"
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    contract = Container()
    needed = (contract.hyperparameters.parent, contract.channels / "data", contract.model, contract.checkpoints)
    assert {str(path) for path in needed} <= mounted
    assert container["terminationMessagePath"] == str(contract.failure)
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in job_of(cron)["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"data": "till", "checkpoints": "kept"}


def test_the_pods_arguments_are_understood(tmp_path: Path) -> None:
    """A wrong hyperparameter ends with the code by which the Job is not tried again."""
    (cron,) = of_kind("CronJob")
    job = job_of(cron)
    tree = tmp_path / "opt/ml"
    (tree / "input/config").mkdir(parents=True)
    (tree / "input/config/hyperparameters.json").write_text('{"recipe": "v9"}')
    arguments = [word.replace("9090", "0") for word in job["template"]["spec"]["containers"][0]["args"]]
    ended = run(tree, arguments)
    (codes,) = [rule["onExitCodes"]["values"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert codes == [EXIT_ORDER, EXIT_DATA]
    assert ended.code in codes
    assert job["activeDeadlineSeconds"] == RUN_OBJECTIVE_S


def test_a_run_is_as_confined_as_the_operator() -> None:
    """The restricted Pod Security Standard, a read-only root, no token."""
    for manifest in (*of_kind("CronJob"), *of_kind("Job", "--set=runNow=true")):
        pod = job_of(manifest)["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("release", ["psm-training", "uk", "a-release-with-a-name-that-is-quite-long-already"])
def test_every_job_has_a_name_that_the_rules_find(release: str) -> None:
    """And that leaves room for what Kubernetes adds: a CronJob's may have 52 characters."""
    for manifest in (*of_kind("CronJob", release=release), *of_kind("Job", "--set=runNow=true", release=release)):
        assert "psm-training" in manifest["metadata"]["name"]
        assert len(manifest["metadata"]["name"]) <= 52


def test_the_schedule_is_a_choice() -> None:
    """Without one there is no CronJob; a Job of a revision is made beside it."""
    assert of_kind("CronJob", "--set=schedule=") == []
    (job,) = of_kind("Job", "--set=runNow=true,schedule=")
    assert job["metadata"]["name"] == "psm-training-1"


def test_a_real_api_server_takes_all_of_it(control_plane: Any, tmp_path: Path) -> None:
    """Fields, enumerations and the rules between them, such as those of a pod failure policy."""
    kinds = {"CronJob", "Job", "ConfigMap", "ServiceAccount", "NetworkPolicy"}
    documents = [manifest for manifest in manifests(CHART, OPEN, namespace="default") if manifest["kind"] in kinds]
    assert {document["kind"] for document in documents} == kinds
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_the_rules_are_rules() -> None:
    """Also as the chart wraps them; every alert has a case and a runbook, and no page outlives its alert."""
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert CASES.keys() == ALERTS.keys()
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == ALERTS.keys()
    (wrapped,) = of_kind("PrometheusRule", OPEN)
    assert wrapped["spec"]["groups"] == GROUPS


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_not_before(alert: str, tmp_path: Path) -> None:
    """At its minute and not one earlier; never for series just below."""
    case, rule = CASES[alert], ALERTS[alert]
    annotations = {
        "summary": case.summary,
        "description": rule["annotations"]["description"],
        "runbook_url": f"docs/runbooks/training/{alert}.md",
    }
    expected = {"exp_labels": {**case.labels, "severity": rule["labels"]["severity"]}, "exp_annotations": annotations}
    moments: list[dict[str, Any]] = [
        {"eval_time": f"{case.minute - 1}m", "alertname": alert, "exp_alerts": []},
        {"eval_time": f"{case.minute}m", "alertname": alert, "exp_alerts": [expected]},
    ]
    end = max(len(values) for values in case.below.values()) - 1
    silent: list[dict[str, Any]] = [
        {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}
        for minute in range(max(0, end - 120), end + 1)
    ]
    suite = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [one_test(case.fires, moments), one_test(case.below, silent)],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    done = promtool("test", "rules", str(tmp_path / "suite.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def one_test(series: Series, moments: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = [{"series": name, "values": " ".join(str(value) for value in values)} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "alert_rule_test": moments}


def test_what_a_running_job_exposes_is_good_style() -> None:
    """Prometheus' own linter, and the names that the rules ask for."""
    text = exposition(
        [
            {"event": "finished", "step": "ingest", "seconds": 1.5, "time": 1.0},
            {"event": "started", "step": "train", "time": 3.0},
        ]
    )
    checked = promtool("check", "metrics", stdin=text)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    asked = set(re.findall(r"psm_training_\w+", RULES.read_text()))
    assert asked <= set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert text.count("psm_training_step_objective_seconds{") == len(OBJECTIVES)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_says_what_it_means_and_what_to_do(alert: str) -> None:
    """Four sections, commands to find out with, and what the alert's expression asks."""
    page = (RUNBOOKS / f"{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    diagnosis = page.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert re.search(r"^```console\n\$ kubectl ", diagnosis, re.MULTILINE)
    asked = set(re.findall(r"\b(?:kube|psm_training)_\w+", ALERTS[alert]["expr"]))
    assert [name for name in asked if f"`{name}`" not in page] == []


def test_versions_agree() -> None:
    """The chart, the package and the image that it names."""
    project = (ROOT / "training" / "pyproject.toml").read_text()
    match = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert match is not None
    assert yaml.safe_load((CHARTS / CHART / "Chart.yaml").read_text())["appVersion"] == match[1]
    values = yaml.safe_load((CHARTS / CHART / "values.yaml").read_text())
    assert values["hyperparameters"]["image"].endswith(f":{match[1]}")
