"""Which fields of the spec replace the pods that serve, tried over all of them: the reference's column says the same."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from builders import REGISTRY, desired_model
from hypothesis import given
from specs import is_admitted, leaves, specs

from psm_operator.api.reference import RESTARTS_PODS, restarts_pods
from psm_operator.api.spec import ModelSpec
from psm_operator.decide.desired.model import CANDIDATE, SERVING
from psm_operator.decide.desired.pod import pod_template
from psm_operator.values import Manifest

Json = dict[str, Any]

HARMLESS = [path.split("[]")[0] for path in leaves() if not restarts_pods(path)]
"""Lists are changed as a whole."""


def template(spec: Json, role: str = SERVING) -> Manifest:
    """The pods' template for one version, whatever chooses it."""
    model = replace(desired_model(), spec=ModelSpec.model_validate({"registry": REGISTRY, **spec}, extra="forbid"))
    assert model.serving is not None
    return pod_template(model, model.serving, role)


def with_field(spec: Json, path: str, other: Json) -> Json:
    """The spec with one field as the other spec has it; where one of them lacks the object around it, unchanged."""
    made = copy.deepcopy(spec)
    here, there = made, other
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in here or parent not in there:
            return made
        here, there = here[parent], there[parent]
    here.pop(name, None)
    if name in there:
        here[name] = copy.deepcopy(there[name])
    return made


@given(specs(), specs())
def test_a_field_outside_the_pods_meaning_never_replaces_a_pod(spec: Json, other: Json) -> None:
    """Each of them alone, from any spec to any value; nor the pod that proves a candidate, but for the time it has."""
    for path in HARMLESS:
        changed = with_field(spec, path, other)
        if is_admitted(changed):
            assert template(changed) == template(spec), path
            if path != "rollout.verification.timeoutSeconds":
                assert template(changed, CANDIDATE) == template(spec, CANDIDATE), path


CHANGES: dict[str, tuple[Json, Json]] = {
    "predictor.image": ({}, {"predictor": {"image": "b:2"}}),
    "predictor.imagePullSecrets": ({}, {"predictor": {"imagePullSecrets": [{"name": "s"}]}}),
    "predictor.workers": ({}, {"predictor": {"workers": 2}}),
    "predictor.resources": ({}, {"predictor": {"resources": {"requests": {"cpu": 0.5}}}}),
    "predictor.env": ({}, {"predictor": {"env": [{"name": "A", "value": "1"}]}}),
    "predictor.nodeSelector": ({}, {"predictor": {"nodeSelector": {"a": "b"}}}),
    "predictor.tolerations": ({}, {"predictor": {"tolerations": [{"operator": "Exists"}]}}),
    "networking.ingress.path": (
        {"networking": {"ingress": {"host": "a.example"}}},
        {"networking": {"ingress": {"host": "a.example", "path": "/v1"}}},
    ),
    # behind AWS's load balancer a pod waits before it ends
    "networking.ingress.className": (
        {"networking": {"ingress": {"host": "a.example"}}},
        {"networking": {"ingress": {"host": "a.example", "className": "alb"}}},
    ),
    "networking.ingress.annotations": (
        {"networking": {"ingress": {"host": "a.example"}}},
        {
            "networking": {
                "ingress": {"host": "a.example", "annotations": {"alb.ingress.kubernetes.io/scheme": "internal"}}
            }
        },
    ),
    "monitoring.cloudWatch.enabled": ({}, {"monitoring": {"cloudWatch": {"enabled": True}}}),
    "registry.region": ({"registry": REGISTRY}, {"registry": {**REGISTRY, "region": "eu-west-1"}}),
}


@pytest.mark.parametrize("path", RESTARTS_PODS)
def test_a_field_said_to_restart_pods_does(path: str) -> None:
    """The table warns of nothing that does not happen."""
    before, after = CHANGES[path]
    assert template(before) != template(after)


def test_every_field_has_a_place_in_the_table() -> None:
    """A field that is renamed leaves no dead row behind."""
    fields = leaves()
    assert [
        known for known in RESTARTS_PODS if not any(restarts_pods(path) for path in fields if path.startswith(known))
    ] == []
    assert len(HARMLESS) > 50
