"""The CRD on a real API server: it installs, refuses contradictions in words, and fills in what pydantic fills in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from crds import install_crd

from psm_local.cluster import Cluster
from psm_local.errors import LocalError
from psm_operator.api.conditions import Condition
from psm_operator.api.crd import schema
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus, Phase
from psm_operator.report import as_json

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
NAMESPACE = "crd-api"
LIVE = {"namespace": "PSM", "metricName": "LiveAccuracy", "statistic": "Average", "period": 300}
MEASURED = {"name": "live_accuracy", "source": "CloudWatch", "cloudWatch": LIVE}
DIMENSION = {"name": "Model", "value": "uk-grocery"}
REGISTRY = {"modelPackageGroupName": "price-sensitivity", "region": "ap-southeast-1"}


@pytest.fixture(scope="module")
def api(control_plane: Cluster) -> Iterator[Cluster]:
    """An API server that knows the kind, and a namespace."""
    install_crd(control_plane)
    control_plane.kubectl("create", "namespace", NAMESPACE)
    yield control_plane
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def model(name: str = "a", **spec: Any) -> str:
    """A manifest as JSON; `spec` beside the registry."""
    head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "namespace": NAMESPACE}}
    return json.dumps({**head, "spec": {"registry": REGISTRY, **spec}})


def stored(api: Cluster, manifest: str) -> dict[str, Any]:
    """The spec that the API server would store."""
    out = api.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest)
    found: dict[str, Any] = json.loads(out)["spec"]
    return found


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "replicas and autoscaling": ({"replicas": 3, "autoscaling": {}}, "replicas and autoscaling exclude each other"),
    "more at least than at most": (
        {"autoscaling": {"minReplicas": 5, "maxReplicas": 3}},
        "autoscaling.minReplicas must not exceed autoscaling.maxReplicas",
    ),
    "more at least than at most by default": (
        {"autoscaling": {"maxReplicas": 1}},
        "autoscaling.minReplicas must not exceed autoscaling.maxReplicas",
    ),
    "polling too often": ({"interval": "14s"}, "interval must be at least 15s"),
    "a deadline within minReadySeconds": (
        {"rollout": {"minReadySeconds": 600}},
        "rollout.progressDeadlineSeconds must exceed rollout.minReadySeconds",
    ),
    "the operator's own variable": (
        {"predictor": {"env": [{"name": "PSM_MODEL_SHA256", "value": "x"}]}},
        "predictor.env must not set PSM_MODEL_* names",
    ),
    "a variable twice": (
        {"predictor": {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}},
        'Duplicate value: {"name":"A"}',
    ),
    "a metric twice": (
        {"analysis": {"metrics": [{"name": "accuracy"}, {"name": "accuracy"}]}},
        "analysis.metrics must name each metric once",
    ),
    "an ingress without host": ({"networking": {"ingress": {}}}, "spec.networking.ingress.host: Required value"),
    "a bound that is a number": (
        {"analysis": {"metrics": [{"name": "accuracy", "threshold": {"min": 0.75}}]}},
        "must be of type string",
    ),
    "no duration": ({"interval": "fast"}, "spec.interval: Invalid value"),
    "a quantity that is none": ({"predictor": {"resources": {"limits": {"memory": "1GiB"}}}}, "should match"),
    "policy and range": (
        {"version": {"policy": "LatestApproved", "range": ">3"}},
        "version.policy and version.range exclude each other",
    ),
    "a range in words": ({"version": {"range": "from 3 to 7"}}, "should match"),
    "metrics of CloudWatch without saying which": (
        {"analysis": {"metrics": [{"name": "a", "source": "CloudWatch"}]}},
        "set cloudWatch if, and only if, source is CloudWatch",
    ),
    "a metric of CloudWatch said to be the registry's": (
        {"analysis": {"metrics": [{"name": "a", "cloudWatch": LIVE}]}},
        "set cloudWatch if, and only if, source is CloudWatch",
    ),
    "a regression of what no other version has": (
        {"analysis": {"metrics": [MEASURED | {"maxRegression": {"absolute": "0.1"}}]}},
        "maxRegression compares registered metrics",
    ),
    "a period that CloudWatch does not have": (
        {"analysis": {"metrics": [MEASURED | {"cloudWatch": {**LIVE, "period": 90}}]}},
        "cloudWatch.period must be a multiple of 60",
    ),
    "a dimension twice": (
        {"analysis": {"metrics": [MEASURED | {"cloudWatch": {**LIVE, "dimensions": [DIMENSION, DIMENSION]}}]}},
        'Duplicate value: {"name":"Model"}',
    ),
    "a window without end": (
        {"schedule": {"timezone": "UTC", "offHours": [{"start": "07:00", "end": "07:00"}]}},
        "an off-hours window must end at another time than it starts",
    ),
    "a time zone that does not exist": (
        {"schedule": {"timezone": "Mars/Olympus", "offHours": [{"start": "20:00", "end": "07:00"}]}},
        "unknown time zone Mars/Olympus",
    ),
    "a day that does not exist": (
        {"schedule": {"timezone": "UTC", "offHours": [{"start": "20:00", "end": "07:00", "days": ["Someday"]}]}},
        "Unsupported value",
    ),
    "a role that is none": ({"registry": {**REGISTRY, "roleARN": "reader"}}, "should match"),
    "an unknown field": ({"replica": 3}, 'unknown field "spec.replica"'),
    "an unknown policy": ({"version": {"policy": "Newest"}}, "Unsupported value"),
    "the clock of a machine": (
        {"schedule": {"timezone": "Local", "offHours": [{"start": "20:00", "end": "07:00"}]}},
        "not the clock of some machine",
    ),
    "a file of a machine": (
        {"schedule": {"timezone": "localtime", "offHours": [{"start": "20:00", "end": "07:00"}]}},
        "not the clock of some machine",
    ),
    "no pod may ever go": ({"disruption": {"maxUnavailable": 0}}, "should be greater than or equal to 1"),
    "no share may ever go": ({"disruption": {"maxUnavailable": "0%"}}, "should match"),
    "more than all may go": ({"disruption": {"maxUnavailable": "101%"}}, "should match"),
    "an image that is none": ({"predictor": {"image": "Not An Image"}}, "should match"),
    "an image in upper case": ({"predictor": {"image": "registry.example/Predictor:1"}}, "should match"),
    "a quantity that says yes": ({"predictor": {"resources": {"limits": {"cpu": True}}}}, "limits.cpu"),
    "a quantity below nothing": ({"predictor": {"resources": {"limits": {"cpu": -0.5}}}}, "limits.cpu"),
    "a quantity beyond all bounds": ({"predictor": {"resources": {"limits": {"cpu": "1e999"}}}}, "should match"),
    "a secret in upper case": ({"predictor": {"imagePullSecrets": [{"name": "Mine"}]}}, "should match"),
    "a value and a source": (
        {"predictor": {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}},
        "has value or valueFrom, not both",
    ),
    "a source that is none": ({"predictor": {"env": [{"name": "A", "valueFrom": {}}]}}, "valueFrom"),
    "a selector that is no label": (
        {"predictor": {"nodeSelector": {"a b": "c"}}},
        "predictor.nodeSelector must have keys like",
    ),
    "a selector of no value": ({"predictor": {"nodeSelector": {"a": "b c"}}}, "should match"),
    "a toleration of nothing": (
        {"predictor": {"tolerations": [{"operator": "Equal"}]}},
        "a toleration without key must have operator Exists",
    ),
    "a toleration of every value with one": (
        {"predictor": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        "a toleration with operator Exists has no value",
    ),
    "a toleration that ends for no effect": (
        {"predictor": {"tolerations": [{"key": "a", "tolerationSeconds": 3}]}},
        "tolerationSeconds needs effect NoExecute",
    ),
    "an address as host": ({"networking": {"ingress": {"host": "10.0.0.1"}}}, "must be a DNS name"),
    "a path that goes up": ({"networking": {"ingress": {"host": "a.example", "path": "/a/../b"}}}, "must not have ."),
    "a class that is none": ({"networking": {"ingress": {"host": "a.example", "className": "A B"}}}, "should match"),
    "a certificate that is none": (
        {"networking": {"ingress": {"host": "a.example", "tlsSecretName": "a_b"}}},
        "should match",
    ),
    "two classes": (
        {
            "networking": {
                "ingress": {
                    "host": "a.example",
                    "className": "alb",
                    "annotations": {"kubernetes.io/ingress.class": "alb"},
                }
            }
        },
        "exclude each other",
    ),
    "an annotation that is none": (
        {"networking": {"ingress": {"host": "a.example", "annotations": {"a b": "c"}}}},
        "ingress.annotations must have keys like",
    ),
    "the operator's own annotation": (
        {"networking": {"ingress": {"host": "a.example", "annotations": {"retail.mlops/applied": "c"}}}},
        "they are the operator's",
    ),
    "annotations without end": (
        {"networking": {"ingress": {"host": "a.example", "annotations": {f"a{n}": "x" * 8000 for n in range(9)}}}},
        "at most 60000 characters",
    ),
    "a path that is none": ({"networking": {"ingress": {"host": "a.example", "path": "v1"}}}, "should match"),
}


@pytest.mark.parametrize(("spec", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_contradiction_is_refused_in_words(api: Cluster, spec: dict[str, Any], message: str) -> None:
    """At `kubectl apply`, not hours later in a condition; pydantic refuses the same."""
    with pytest.raises(LocalError) as refusal:
        stored(api, model(**spec))
    assert message in str(refusal.value)
    with pytest.raises(ValueError, match=r"."):
        ModelSpec.model_validate({"registry": REGISTRY, **spec}, extra="forbid")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 54, "metadata.name must have at most 53 characters"),
        ("1a", "metadata.name must begin with a letter"),
        ("a.b", "metadata.name must begin with a letter"),
    ],
)
def test_names_that_children_could_not_have_are_refused(api: Cluster, name: str, message: str) -> None:
    """A Service and a label are named after the model."""
    with pytest.raises(LocalError, match=message):
        stored(api, model(name))


ADMITTED: dict[str, dict[str, Any]] = {
    "nothing but a group": {},
    "a pin": {"version": {"pin": 17}},
    "a pin beside a policy": {"version": {"policy": "LatestApproved", "pin": 17}},
    "a pin beside a range": {"version": {"range": ">=20", "pin": 17}},
    "no way to choose": {"version": {}},
    "a CPU request as a number": {"predictor": {"resources": {"requests": {"cpu": 0.5, "memory": "256Mi"}}}},
    "an image by digest": {"predictor": {"image": f"registry.example:5000/a/b-c__d:1.2@sha256:{'0' * 64}"}},
    "every taint": {"predictor": {"tolerations": [{"operator": "Exists"}, {"key": "", "operator": "Exists"}]}},
    "a node": {"predictor": {"nodeSelector": {"node.kubernetes.io/instance-type": "m5.large", "empty": ""}}},
    "nulls": {"autoscaling": None, "replicas": None, "networking": {"ingress": None}, "version": None},
    "a range": {"version": {"range": ">=12 <40 !=17"}},
    "another account": {"registry": {**REGISTRY, "roleARN": "arn:aws:iam::222222222222:role/team/registry-reader"}},
    "nights": {"schedule": {"timezone": "Asia/Singapore", "offHours": [{"start": "20:00", "end": "07:00"}]}},
    "a measured metric": {"analysis": {"dryRun": True, "metrics": [{**MEASURED, "threshold": {"max": "0.9"}}]}},
    "a fixed size": {"replicas": 0},
    "half an autoscaling": {"autoscaling": {"maxReplicas": 20}},
    "half a rollout": {"rollout": {"soak": "1h30m", "verification": {"enabled": False}}},
    "resources as integers": {"predictor": {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}},
    "no metrics": {"analysis": {"metrics": []}},
    "half a metric": {"analysis": {"metrics": [{"name": "accuracy", "maxRegression": {"absolute": "0.1"}}]}},
    "a share of the pods": {"disruption": {"maxUnavailable": "25%"}},
    "an ingress": {"networking": {"ingress": {"host": "a.example", "path": "/models/price"}}},
    "verbatim parts": {
        "predictor": {"env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        "autoscaling": {"behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}},
        "networking": {
            "networkPolicy": {"allowFrom": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}
        },
    },
    "full": {
        k: v for k, v in yaml.safe_load((ROOT / "examples/full.yaml").read_text())["spec"].items() if k != "registry"
    },
}


@pytest.mark.parametrize("spec", ADMITTED.values(), ids=ADMITTED.keys())
def test_defaults_are_applied_as_pydantic_applies_them(api: Cluster, spec: dict[str, Any]) -> None:
    """What the operator reads means what the user wrote, and nothing verbatim is pruned."""
    raw = {"registry": REGISTRY, **{key: value for key, value in spec.items() if value is not None}}
    assert ModelSpec.model_validate(stored(api, model(**spec))) == ModelSpec.model_validate(raw)


def test_what_was_stored_by_default_does_not_stand_in_the_way(api: Cluster) -> None:
    """`kubectl apply` of a pin, a fixed size and other resources over a model that had none of them."""
    api.kubectl("apply", "-f", "-", stdin=model("later"))
    resources = {"requests": {"cpu": "1"}}
    changed = model("later", version={"pin": 3}, replicas=2, predictor={"resources": resources})
    api.kubectl("apply", "-f", "-", stdin=changed)
    spec = read(api, "later")["spec"]
    assert (spec["version"], spec["replicas"], spec["predictor"]["resources"]) == ({"pin": 3}, 2, resources)
    api.kubectl("apply", "-f", "-", stdin=model("later", version={"policy": "LatestApproved"}))
    assert ModelSpec.model_validate(read(api, "later")["spec"]) == ModelSpec.model_validate({"registry": REGISTRY})


def test_server_side_apply_replaces_the_metrics_as_a_whole(api: Cluster) -> None:
    """Gates that a person does not list are gone, also for tools that merge."""
    api.kubectl("apply", "--server-side", "-f", "-", stdin=model("merged"))
    metrics = [{"name": "accuracy", "threshold": {"min": "0.8"}}]
    api.kubectl("apply", "--server-side", "-f", "-", stdin=model("merged", analysis={"metrics": metrics}))
    assert read(api, "merged")["spec"]["analysis"]["metrics"] == metrics


@pytest.mark.parametrize(
    ("field", "value"), [("modelPackageGroupName", "another"), ("region", "eu-west-1")], ids=["group", "region"]
)
def test_the_group_is_immutable(api: Cluster, field: str, value: str) -> None:
    """Another group is another model: its versions would be compared with this one's."""
    api.kubectl("apply", "-f", "-", stdin=model("fixed"))
    patch = json.dumps({"spec": {"registry": {field: value}}})
    with pytest.raises(LocalError, match=f"registry.{field} is immutable; make another resource"):
        api.kubectl("patch", "psm", "fixed", "-n", NAMESPACE, "--type=merge", "-p", patch)


def test_there_is_no_scale_subresource_to_fail(api: Cluster) -> None:
    """Without spec.replicas, which autoscaling excludes, the API server could only answer it with 500."""
    api.kubectl("apply", "-f", "-", stdin=model("scaled"))
    with pytest.raises(LocalError, match=r"NotFound|not find"):
        api.kubectl("get", "--raw", f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/pricesensitivitymodels/scaled/scale")


GIT = ("apply", "--server-side", "--field-manager=git", "-f", "-")


@pytest.mark.parametrize(
    "choice", [None, {"policy": "LatestApproved"}, {"range": ">=2"}], ids=["nothing", "a policy", "a range"]
)
def test_a_pin_of_one_manager_and_the_choice_of_another_live_side_by_side(
    api: Cluster, choice: dict[str, str] | None
) -> None:
    """Git applies again and again and never fails, nor ends the pin; when the pin goes, what Git says counts."""
    written = {} if choice is None else {"version": choice}
    api.kubectl(*GIT, stdin=model("shared", **written))
    pin = ("patch", "psm", "shared", "-n", NAMESPACE, "--type=merge", "--field-manager=kubectl-psm", "-p")
    api.kubectl(*pin, '{"spec": {"version": {"pin": 1}}}')
    api.kubectl(*GIT, stdin=model("shared", **written))
    api.kubectl(*GIT, stdin=model("shared", **written, suspend=True))
    assert read(api, "shared")["spec"]["version"] == {**(choice or {}), "pin": 1}
    api.kubectl(*pin, '{"spec": {"version": {"pin": null}}}')
    api.kubectl(*GIT, stdin=model("shared", **written))
    assert read(api, "shared")["spec"]["version"] == (choice or {})
    api.kubectl("delete", "psm", "shared", "-n", NAMESPACE)


CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "m",
    "observedGeneration": 1,
    "lastTransitionTime": "2025-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "Maybe"},
        {"reason": ""},
        {"reason": "not one word"},
        {"reason": "a" * 1025},
        {"type": "not one word"},
        {"type": "a" * 317},
        {"message": "a" * 32769},
        {"observedGeneration": -1},
        {"lastTransitionTime": "yesterday"},
    ],
    ids=str,
)
def test_conditions_have_the_bounds_of_kubernetes_own(api: Cluster, broken: dict[str, Any]) -> None:
    """What reads conditions of any kind may rely on metav1.Condition's enum, patterns and lengths."""
    api.kubectl("apply", "-f", "-", stdin=model("judged"))
    patch = json.dumps({"status": {"conditions": [{**CONDITION, **broken}]}})
    argv = ("patch", "psm", "judged", "-n", NAMESPACE, "--type=merge", "--subresource=status", "-p")
    with pytest.raises(LocalError, match=r"is invalid|is too long|Invalid value"):
        api.kubectl(*argv, patch)
    api.kubectl(*argv, json.dumps({"status": {"conditions": [CONDITION]}}))


def test_a_message_longer_than_a_condition_holds_is_cut(api: Cluster) -> None:
    """An API server or AWS may say more than fits; the status is written all the same."""
    said = Condition.model_validate(CONDITION | {"message": "a" * 40000})
    api.kubectl("apply", "-f", "-", stdin=model("talkative"))
    patch = json.dumps({"status": as_json(ModelStatus(message=said.message, conditions=(said,)))})
    api.kubectl("patch", "psm", "talkative", "-n", NAMESPACE, "--type=merge", "--subresource=status", "-p", patch)
    (stored_one,) = read(api, "talkative")["status"]["conditions"]
    assert stored_one["message"] == "a" * 32767 + "…"


def described(node: dict[str, Any], path: str = "psm") -> Iterator[str]:
    """Every object of the schema, as kubectl's path."""
    for name, child in node.get("properties", {}).items():
        inner = child.get("items", child)
        if "properties" in inner and name != "metadata":
            yield f"{path}.{name}"
            yield from described(inner, f"{path}.{name}")


def test_explain_has_an_answer_for_every_field(api: Cluster) -> None:
    """`kubectl explain` of every object, which lists its fields with their descriptions."""
    paths = [path for path in described(schema()) if path.startswith("psm.spec")]
    answers = {path: api.kubectl("explain", path) for path in ("psm", "psm.status", *paths)}
    assert len(answers) > 20
    assert [path for path, answer in answers.items() if "<no description>" in answer or "<empty>" in answer] == []


def test_get_models_shows_what_serves(api: Cluster) -> None:
    """The category, the columns and what stands in them."""
    api.kubectl("apply", "-f", "-", stdin=model("shown"))
    served = {"version": 17, "arn": "arn", "modelDataUrl": "s3://b/k", "metrics": [metric("accuracy", "0.83")]}
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "m", "observedGeneration": 1}
    status = {
        "phase": "Ready",
        "current": {**served, "metrics": [metric("accuracy", "0.83"), metric("macro_f1", "0.81")]},
        "stable": served,
        "desired": {"version": 18, "arn": "arn"},
        "replicas": 3,
        "url": "https://prices.example.com/",
        "conditions": [{**ready, "lastTransitionTime": "2025-01-01T00:00:00Z"}],
    }
    patch = json.dumps({"status": status})
    api.kubectl("patch", "psm", "shown", "-n", NAMESPACE, "--type=merge", "--subresource=status", "-p", patch)
    header, row = api.kubectl("get", "models", "shown", "-n", NAMESPACE).splitlines()
    assert header.split() == ["NAME", "READY", "VERSION", "LATEST", "PHASE", "ACCURACY"]
    assert row.split() == ["shown", "True", "17", "18", "Ready", "0.83"]
    header, row = api.kubectl("get", "psm", "shown", "-n", NAMESPACE, "-o", "wide").splitlines()
    assert header.split()[6:] == ["F1", "REPLICAS", "AGE", "STABLE", "GROUP", "REASON", "URL"]
    assert row.split()[6:8] == ["0.81", "3"]
    assert row.split()[9:] == ["17", "price-sensitivity", "Serving", "https://prices.example.com/"]


def test_a_line_fits_a_hundred_characters(api: Cluster) -> None:
    """With the longest word in every column, and namespace and name of 20 letters."""
    namespace, name = "namespace-of-twenty1", "model-of-twenty-lett"
    assert (len(namespace), len(name)) == (20, 20)
    api.kubectl("create", "namespace", namespace)
    api.kubectl("apply", "-f", "-", stdin=model(name).replace(NAMESPACE, namespace))
    longest = max((phase.value for phase in Phase), key=len)
    served = {"version": 100000, "arn": "a", "modelDataUrl": "s", "metrics": [metric("accuracy", "0.803845")]}
    conditions = [CONDITION | {"status": "Unknown"}]
    desired = {"version": 100001, "arn": "a"}
    status = {"phase": longest, "current": served, "desired": desired, "conditions": conditions}
    patch = json.dumps({"status": status})
    api.kubectl("patch", "psm", name, "-n", namespace, "--type=merge", "--subresource=status", "-p", patch)
    lines = api.kubectl("get", "models", "-A").splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    api.kubectl("delete", "namespace", namespace, "--wait=false")


def metric(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value, "verdict": "Pass"}


def read(api: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.kubectl("get", "psm", name, "-n", NAMESPACE, "-o", "json"))
    return found
