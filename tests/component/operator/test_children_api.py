"""The children on a real API server: it takes every one, and what it makes of them is what was wanted."""

import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import REGISTRY, desired_model
from crds import install_crd
from hypothesis import HealthCheck, given, settings
from specs import specs

from psm_local.cluster import Cluster
from psm_local.errors import LocalError
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.apply import REPLICAS_MANAGER, must_hand_over_replicas, replicas_only
from psm_operator.decide.desired import DesiredModel, PredictorDefaults, children
from psm_operator.decide.plan import actions
from psm_operator.decide.surplus import stamp_of, surplus
from psm_operator.ports import FIELD_MANAGER
from psm_operator.values import Action, Apply, Delete, Manifest, ObjectRef

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
NAMESPACE = "children-api"
KINDS = "serviceaccount,networkpolicy,service,deployment,horizontalpodautoscaler,poddisruptionbudget,ingress"
Live = dict[tuple[str, str], Manifest]


@pytest.fixture(scope="module")
def api(control_plane: Cluster) -> Iterator[Cluster]:
    """An API server that knows the kind, and a namespace under the restricted Pod Security Standard."""
    install_crd(control_plane)
    control_plane.kubectl("create", "namespace", NAMESPACE)
    control_plane.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield control_plane
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


NUMBERS = itertools.count(1)

CONFLICTS = 10
"""Far more often than the Deployment's controller writes after one change."""


class Model:
    """One resource and its children; no operator runs, so only the test writes."""

    def __init__(self, api: Cluster) -> None:
        self._api = api
        self.ref = ObjectRef(NAMESPACE, f"model-{next(NUMBERS)}")
        head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.ref.name, "namespace": NAMESPACE}}
        manifest = json.dumps({**head, "spec": {"registry": REGISTRY}})
        made = json.loads(api.kubectl("create", "-o", "json", "-f", "-", stdin=manifest))
        self.uid: str = made["metadata"]["uid"]

    def desired(self, **changes: Any) -> DesiredModel:
        """What should be, for this resource."""
        return replace(desired_model(ref=self.ref, **changes), uid=self.uid)

    def live(self) -> Live:
        """What there is: this model's children as the API server shows them."""
        out = self._api.kubectl(
            "get",
            KINDS,
            "-n",
            NAMESPACE,
            "-l",
            f"retail.mlops/model={self.ref.name}",
            "-o",
            "json",
            "--show-managed-fields",
        )
        return {(item["kind"], item["metadata"]["name"]): item for item in json.loads(out)["items"]}

    @staticmethod
    def is_autoscaled(live: Live) -> bool:
        """Whether the size belongs to an autoscaler."""
        return any(kind == "HorizontalPodAutoscaler" for kind, _ in live)

    def plan(self, **changes: Any) -> tuple[Action, ...]:
        """What the operator would do now."""
        return actions(children(self.desired(**changes)), self.live())

    def carry_out(self, **changes: Any) -> tuple[Action, ...]:
        """Do it, and return it; made anew, as a pass is, when a controller wrote meanwhile."""
        for _ in range(CONFLICTS - 1):
            try:
                return self._carry_out(**changes)
            except LocalError as err:
                if "the object has been modified" not in str(err):
                    raise
        return self._carry_out(**changes)

    def _carry_out(self, **changes: Any) -> tuple[Action, ...]:
        planned = self.plan(**changes)
        applies = [action.manifest for action in planned if isinstance(action, Apply)]
        for action in planned:
            if isinstance(action, Delete):
                self._api.kubectl("delete", action.kind, action.name, "-n", NAMESPACE)
        live = self.live()
        for manifest in applies:
            there = live.get((manifest["kind"], manifest["metadata"]["name"]))
            pointers = (
                [place.pointer for place in surplus(manifest, there, stamp_of(manifest))] if there is not None else []
            )
            if there is not None and pointers:
                self._remove(there, pointers)
                del manifest["metadata"]["resourceVersion"]  # its controller writes at once
                there = self.live()[manifest["kind"], manifest["metadata"]["name"]]
            if there is not None and must_hand_over_replicas(manifest, there):
                handed = self._apply([replicas_only(there)], REPLICAS_MANAGER)
                manifest["metadata"]["resourceVersion"] = handed["metadata"]["resourceVersion"]
        if applies:
            self._apply(applies, FIELD_MANAGER)
        return planned

    def _remove(self, live: Manifest, pointers: list[str]) -> None:
        patch = json.dumps([{"op": "remove", "path": pointer} for pointer in pointers])
        self._api.kubectl("patch", live["kind"], live["metadata"]["name"], "-n", NAMESPACE, "--type=json", "-p", patch)

    def _apply(self, manifests: list[Manifest], manager: str) -> Manifest:
        argv = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-o=json", "-f", "-")
        made: Manifest = json.loads(self._api.kubectl(*argv, stdin="\n".join(map(json.dumps, manifests))))
        return made


METRICS = [
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1024Mi"}}},
    {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1000m"}}},
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
    {
        "type": "Object",
        "object": {
            "metric": {"name": "hits", "selector": {"matchLabels": {"verb": "GET"}}},
            "describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"},
            "target": {"type": "Value", "value": "2k"},
        },
    },
    {
        "type": "External",
        "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": 30}},
    },
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "predictor",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
]
BEHAVIOR = {
    "scaleUp": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}], "stabilizationWindowSeconds": 0},
    "scaleDown": {"selectPolicy": "Disabled"},
}
ENV = [
    {"name": "EMPTY", "value": ""},
    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1024Ki"}}},
    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k", "optional": False}}},
]
PEERS = [
    {"podSelector": {}},
    {
        "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
        "podSelector": {"matchLabels": {"b": "c"}},
    },
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
]
FULL = {k: v for k, v in yaml.safe_load((ROOT / "examples/full.yaml").read_text())["spec"].items() if k != "registry"}

CASES: dict[str, dict[str, Any]] = {
    "minimal": {},
    "full": FULL,
    "nothing served": {"serving": None},
    "a candidate": {"candidate": 18},
    "a fixed size": {"replicas": 3, "disruption": {"maxUnavailable": "25%"}},
    "no replica": {"held_at": 0},
    "every kind of metric": {"autoscaling": {"metrics": METRICS, "behavior": BEHAVIOR}},
    "no metric": {"autoscaling": {"metrics": []}},
    "quantities in odd spellings": {
        "predictor": {
            "resources": {"requests": {"cpu": "0.25", "memory": "1e8"}, "limits": {"cpu": 1, "memory": "1024Mi"}}
        }
    },
    "every kind of variable": {"predictor": {"env": ENV}},
    "peers": {"networking": {"networkPolicy": {"allowFrom": PEERS}}},
    "an ingress with TLS": {
        "networking": {"ingress": {"host": "a.example", "path": "/v1", "tlsSecretName": "t", "className": "x"}}
    },
    "tolerations": {
        "predictor": {"tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}]}
    },
    "a zero": {"rollout": {"minReadySeconds": 0}},
    "endpoints": {"defaults": PredictorDefaults(image="a:1", env={"AWS_ENDPOINT_URL": "http://10.0.0.1:5000"})},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_what_was_applied_needs_no_second_apply(api: Cluster, changes: dict[str, Any]) -> None:
    """Whatever the API server defaults, reorders or rewrites; and no child is refused."""
    model = Model(api)
    assert model.carry_out(**changes) != ()
    assert model.plan(**changes) == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [(a, b) for a, b in itertools.permutations(("minimal", "full", "a fixed size", "every kind of variable"), 2)],
)
def test_a_change_of_mind_settles_in_one_pass(api: Cluster, before: str, after: str) -> None:
    """What was sent before and is not wanted now is taken away."""
    model = Model(api)
    model.carry_out(**CASES[before])
    model.carry_out(**CASES[after])
    assert model.plan(**CASES[after]) == ()
    clean = Model(api)
    clean.carry_out(**CASES[after])
    assert contents(model.live(), model) == contents(clean.live(), clean)


def contents(live: Live, model: Model) -> Any:
    """What was asked for, without names, counters and times: comparable between models."""
    kept: dict[str, Any] = {}
    for (kind, _), manifest in live.items():
        found = copy.deepcopy({key: value for key, value in manifest.items() if key != "status"})
        for name in (
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
            "ownerReferences",
            "annotations",
        ):
            found["metadata"].pop(name, None)
        if kind == "Service":
            del found["spec"]["clusterIP"], found["spec"]["clusterIPs"]
        if kind == "Deployment" and model.is_autoscaled(live):
            assert found["spec"].pop("replicas") >= 2, "the autoscaler's size fell back to the API server's default"
        kept[kind] = found
    text = json.dumps(kept, sort_keys=True).replace(model.ref.name, "NAME")
    return json.loads(text)


EDITS: dict[str, tuple[tuple[str, ...], str]] = {
    "the autoscaler's bounds": (
        ("patch", "hpa", "NAME", "--type=merge", "-p", '{"spec": {"maxReplicas": 3}}'),
        "spec.maxReplicas is 3, want 10",
    ),
    "the image": (
        ("set", "image", "deployment/NAME", "predictor=other:1"),
        "spec.template.spec.containers[predictor].image is other:1, want localhost/mlops/api-price-sensitivity:dev",
    ),
    "a variable": (
        ("set", "env", "deployment/NAME", "PSM_MODEL_SHA256=0"),
        "spec.template.spec.containers[predictor].env[PSM_MODEL_SHA256].value is 0, want",
    ),
    "resources": (
        ("set", "resources", "deployment/NAME", "--limits=memory=1Gi"),
        "spec.template.spec.containers[predictor].resources.limits.memory is 1Gi, want 512Mi",
    ),
    "the Service's selector": (
        ("patch", "service", "NAME", "--type=merge", "-p", '{"spec": {"selector": {"track": "canary"}}}'),
        "spec.selector.track is canary, want absent",
    ),
    "the Service's port": (
        (
            "patch",
            "service",
            "NAME",
            "--type=json",
            "-p",
            '[{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]',
        ),
        "spec.ports[80/TCP] is absent, want present",
    ),
    "the network policy": (
        (
            "patch",
            "networkpolicy",
            "NAME",
            "--type=json",
            "-p",
            '[{"op": "add", "path": "/spec/ingress/0/from", "value": [{"podSelector": {}}]}]',
        ),
        "spec.ingress[0].from is present, want absent",
    ),
    "the account's token": (
        ("patch", "serviceaccount", "NAME", "--type=merge", "-p", '{"automountServiceAccountToken": null}'),
        "automountServiceAccountToken is absent, want False",
    ),
    "the budget's other bound": (
        ("patch", "pdb", "NAME", "--type=merge", "-p", '{"spec": {"maxUnavailable": null, "minAvailable": "100%"}}'),
        "spec.minAvailable is 100%, want absent",
    ),
    "a pause": (("rollout", "pause", "deployment/NAME"), "spec.paused is True, want absent"),
    "where pods may run": (
        (
            "patch",
            "deployment",
            "NAME",
            "--type=merge",
            "-p",
            json.dumps(
                {
                    "spec": {
                        "template": {
                            "spec": {
                                "affinity": {"podAntiAffinity": {}},
                                "nodeSelector": {"never": "there"},
                                "schedulerName": "theirs",
                                "initContainers": [{"name": "wait", "image": "none"}],
                            }
                        }
                    }
                }
            ),
        ),
        "spec.template.spec.affinity is present, want absent",
    ),
    "the budget": (
        ("patch", "pdb", "NAME", "--type=merge", "-p", '{"spec": {"maxUnavailable": "100%"}}'),
        "spec.maxUnavailable is 100%, want 1",
    ),
}


@pytest.mark.parametrize(("argv", "reason"), EDITS.values(), ids=EDITS.keys())
def test_what_a_person_edits_is_repaired(api: Cluster, argv: tuple[str, ...], reason: str) -> None:
    """One write, which names the field, and then none."""
    model = Model(api)
    model.carry_out()
    api.kubectl(*(word.replace("NAME", model.ref.name) for word in argv), "-n", NAMESPACE)
    *_, action = planned = model.carry_out()
    assert {one.reason for one in planned} == {action.reason}
    assert action.reason.startswith(reason)
    assert model.plan() == ()


def test_what_others_add_is_theirs(api: Cluster) -> None:
    """Annotations, labels and rollout restarts of other tools are no drift."""
    model = Model(api)
    model.carry_out()
    name = model.ref.name
    api.kubectl("annotate", "deployment", name, "-n", NAMESPACE, "team=pricing")
    api.kubectl("label", "service", name, "-n", NAMESPACE, "team=pricing")
    api.kubectl("rollout", "restart", f"deployment/{name}", "-n", NAMESPACE)
    assert model.plan() == ()


def test_the_autoscaler_keeps_its_size_through_an_upgrade(api: Cluster) -> None:
    """A new version is sent without replicas."""
    model = Model(api)
    model.carry_out()
    api.kubectl("scale", f"deployment/{model.ref.name}", "-n", NAMESPACE, "--replicas=4")
    model.carry_out(serving=18)
    assert model.live()["Deployment", model.ref.name]["spec"]["replicas"] == 4


def wait(api: Cluster, condition: str, name: str) -> None:
    """Wait at most a minute."""
    api.kubectl("wait", f"--for={condition}", "--timeout=60s", "-n", NAMESPACE, name)


def test_pods_are_admitted_and_become_available(api: Cluster) -> None:
    """Under the restricted Pod Security Standard, serving and candidate alike."""
    model = Model(api)
    model.carry_out(candidate=18, replicas=1)
    wait(api, "condition=Available", f"deployment/{model.ref.name}")
    wait(api, "condition=Available", f"deployment/{model.ref.name}.candidate")


def test_children_go_with_their_model(api: Cluster) -> None:
    """By their owner reference: deleting the resource leaves nothing."""
    model = Model(api)
    model.carry_out(candidate=18, networking={"ingress": {"host": "a.example"}})
    names = [f"{kind}/{name}" for kind, name in model.live()]
    assert len(names) == 8
    api.kubectl("delete", "psm", model.ref.name, "-n", NAMESPACE)
    for name in names:
        wait(api, "delete", name)
    assert model.live() == {}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=specs())
def test_what_the_crd_admits_makes_children_that_are_admitted(api: Cluster, spec: dict[str, Any]) -> None:
    """Any spec made from the schema: the API server takes it, and then takes every child of it."""
    head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "any", "namespace": NAMESPACE}}
    server = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    api.kubectl(*server, stdin=json.dumps({**head, "spec": spec}))
    fields = {name: value for name, value in spec.items() if name != "registry"}
    model = desired_model(ref=ObjectRef(NAMESPACE, "any"), candidate=18, **fields)
    api.kubectl(*server, stdin="\n".join(json.dumps(child) for child in children(model)))
