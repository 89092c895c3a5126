"""The charts: they lint, refuse what they do not know, and render what the operator understands; their rights: test_rbac_use.py."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm import CHARTS, HelmError, helm, manifests, rendered

from psm_local.cluster import Cluster
from psm_operator.api.crd import crd
from psm_operator.settings import Settings

pytestmark = pytest.mark.component


def roles(*args: str) -> dict[tuple[str, str | None, str], dict[str, Any]]:
    """Roles of the operator itself by (kind, namespace, name)."""
    return {
        (role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"]): role
        for role in manifests("psm-operator", *args)
        if role["kind"] in ("Role", "ClusterRole") and not role["metadata"]["name"].endswith(("-view", "-edit"))
    }


@pytest.mark.parametrize("chart", ["psm-crds", "psm-operator"])
def test_charts_lint(chart: str) -> None:
    """Warnings count."""
    helm("lint", "--strict", str(CHARTS / chart))


def test_leases_are_limited_to_the_operators_own() -> None:
    """But for create, which RBAC cannot limit to a name."""
    for role in roles(
        "--set=fullnameOverride=other",
    ).values():
        for rule in role["rules"]:
            if rule["resources"] == ["leases"] and rule["verbs"] != ["create"]:
                assert rule["resourceNames"] == ["other"]


def test_every_setting_of_the_chart_is_one_of_the_operators() -> None:
    """The operator refuses a variable that it does not know; the chart must not name one."""
    (deployment,) = [manifest for manifest in manifests("psm-operator") if manifest["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    values = {variable["name"]: variable.get("value", "from-a-field") for variable in container["env"]}
    settings = Settings.read(values)
    assert settings.lease.name == "psm-operator"
    assert settings.predictor.image == "mlops/api-price-sensitivity:0.1.0"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": settings.server.health_port, "metrics": settings.server.metrics_port}


def test_values_reach_the_operators_settings() -> None:
    """Also those with commas, quotes and dots in them."""
    env = {"AWS_ENDPOINT_URL": 'http://a:1/?q="x",y', "B": "{{ .Release.Name }}"}
    args = ("--set-json", f"predictor.env={json.dumps(env)}", "--set=watchNamespaces={a,b},log.level=DEBUG,workers=3")
    (deployment,) = [manifest for manifest in manifests("psm-operator", *args) if manifest["kind"] == "Deployment"]
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    settings = Settings.read({variable["name"]: variable.get("value", "x") for variable in variables})
    assert dict(settings.predictor.env) == env
    assert (settings.cluster.namespaces, settings.queue.workers, settings.log.level) == (("a", "b"), 3, "DEBUG")


def test_the_operator_is_as_confined_as_its_predictors() -> None:
    """The restricted Pod Security Standard and a read-only root."""
    (deployment,) = [manifest for manifest in manifests("psm-operator") if manifest["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("chart", ["psm-crds", "psm-operator"])
@pytest.mark.parametrize("value", ["replica=2", "image.tga=1", "keep=maybe"])
def test_a_mistyped_value_is_refused(chart: str, value: str) -> None:
    """A closed schema: what the chart does not know must not be ignored."""
    with pytest.raises(HelmError):
        rendered(chart, f"--set={value}")


@pytest.mark.parametrize("chart", ["psm-crds", "psm-operator"])
def test_every_value_is_in_the_schema_and_used(chart: str) -> None:
    """A value that no template reads does nothing."""
    values = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    templates = "".join(path.read_text() for path in (CHARTS / chart / "templates").iterdir())
    assert {name for name in values if not re.search(rf"\.Values\.{name}\b", templates)} == set()


def test_the_crd_chart_renders_the_crd() -> None:
    """With its default values, but for the annotation that keeps it."""
    (found,) = manifests("psm-crds")
    assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == crd()
    (found,) = manifests("psm-crds", "--set=keep=false,categories={mlops}")
    assert "annotations" not in found["metadata"]
    assert found["spec"]["names"]["categories"] == ["mlops"]


def test_a_pod_disruption_budget_needs_a_second_operator() -> None:
    """With one it would only be in the way."""

    def kinds(*args: str) -> set[str]:
        return {manifest["kind"] for manifest in manifests("psm-operator", *args)}

    assert "PodDisruptionBudget" not in kinds()
    assert "PodDisruptionBudget" in kinds("--set=replicas=2")


def test_versions_agree() -> None:
    """Charts, operator and the images they name."""
    project = (Path(__file__).parents[3] / "operator" / "pyproject.toml").read_text()
    match = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert match is not None
    for chart in ("psm-crds", "psm-operator"):
        assert yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())["appVersion"] == match[1]
    values = yaml.safe_load((CHARTS / "psm-operator" / "values.yaml").read_text())
    assert values["predictor"]["image"].endswith(f":{match[1]}")


CHILDREN = ("psm-operator", "psm-training")
BAD_VALUES: dict[str, Any] = {
    "a name in upper case": {"fullnameOverride": "Mine"},
    "a name with dots": {"fullnameOverride": "a.b"},
    "a name that begins with a digit": {"fullnameOverride": "1a"},
    "a selector's label": {"podLabels": {"app.kubernetes.io/name": "other"}},
    "the release's label": {"podLabels": {"app.kubernetes.io/instance": "other"}},
    "a label that is none": {"podLabels": {"a b": "c"}},
    "a label's value that is none": {"podLabels": {"a": "b c"}},
    "a variable twice": {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    "a variable that is a number": {"extraEnv": [{"name": "A", "value": 1}]},
    "a variable with two sources": {"extraEnv": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]},
    "a variable with a space": {"extraEnv": [{"name": "A B", "value": "1"}]},
    "an image in upper case": {"image": {"repository": "Mine"}},
    "a tag that is none": {"image": {"tag": "a b"}},
    "an account that is none": {"serviceAccount": {"name": "A_b"}},
    "the role twice": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "x"}}},
    "a node's label that is none": {"nodeSelector": {"a": "b c"}},
    "an amount that is none": {"resources": {"limits": {"memory": "1GiB"}}},
    "the chart's label on a monitor": {"podMonitor": {"labels": {"app.kubernetes.io/name": "x"}}},
}


@pytest.mark.parametrize("chart", CHILDREN)
@pytest.mark.parametrize("values", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_value_that_the_api_server_would_refuse_is_refused_by_helm(chart: str, values: Any) -> None:
    """By name, before anything is installed; nothing is rendered twice for one key."""
    arguments = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    with pytest.raises(HelmError):
        rendered(chart, *arguments)


@pytest.mark.parametrize("chart", CHILDREN)
def test_extra_env_replaces_what_the_chart_says(chart: str) -> None:
    """A name twice in one container is refused by server-side apply, and undefined without it."""
    arguments = ("--set=aws.region=ap-southeast-1,extraEnv[0].name=AWS_REGION,extraEnv[0].value=eu-west-1",)
    found = [variable for pod in pods(manifests(chart, *arguments)) for variable in pod["containers"][0]["env"]]
    assert [variable for variable in found if variable["name"] == "AWS_REGION"] == [
        {"name": "AWS_REGION", "value": "eu-west-1"}
    ]


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods' specs of Deployments and CronJobs."""
    specs = {manifest["kind"]: manifest["spec"] for manifest in found if "spec" in manifest}
    if "Deployment" in specs:
        return [specs["Deployment"]["template"]["spec"]]
    return [specs["CronJob"]["jobTemplate"]["spec"]["template"]["spec"]]


@pytest.mark.parametrize("chart", CHILDREN)
@pytest.mark.parametrize("release", ["a.b", "1st", "1.2-c", "a" * 53])
def test_any_release_name_is_installed(api: Cluster, chart: str, release: str) -> None:
    """Helm takes dots and leading digits; names of Services and labels of pods do not. Asked of a real API server."""
    annotations = "--set=podAnnotations.prometheus\\.io/scrape=no"
    text = rendered(chart, annotations, release=release, namespace="default")
    api.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=text)


@pytest.fixture(scope="module")
def api(control_plane: Cluster) -> Cluster:
    """An API server to ask."""
    return control_plane
