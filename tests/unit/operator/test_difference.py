from decimal import Decimal
from typing import Any

import pytest

from psm_operator.decide.difference import difference, quantity

CONTAINER = {"name": "predictor", "image": "a:1", "env": [{"name": "A", "value": "1"}]}


def deployment(**pod: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [CONTAINER], **pod}}}}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("250m", "0.25"),
        ("0.25", "0.25"),
        (".25", "0.25"),
        ("1Gi", "1073741824"),
        ("1024Mi", "1073741824"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        (2, "2"),
        ("100n", "0.0000001"),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str | int, amount: str) -> None:
    """Suffixes of ten and of two, and exponents; `1E` is an exa, `1E3` a thousand."""
    assert quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "m", "1.2.3", "1 Gi", "1Gib", "http", None, "1e"])
def test_other_texts_are_no_quantities(text: str | None) -> None:
    """They are compared as texts."""
    assert quantity(text) is None


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "what the API server defaults": (deployment(), deployment(dnsPolicy="ClusterFirst", schedulerName="default")),
    "a field somebody else added": (
        {"metadata": {"labels": {"a": "1"}}},
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
    ),
    "an equal quantity": (
        {"spec": {"containers": [{"name": "a", "resources": {"limits": {"memory": "1Gi", "cpu": "0.25"}}}]}},
        {"spec": {"containers": [{"name": "a", "resources": {"limits": {"memory": "1024Mi", "cpu": "250m"}}}]}},
    ),
    "an equal size limit": ({"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"sizeLimit": "1024Mi"}}),
    "an equal metric target": (
        {"metrics": [{"pods": {"target": {"type": "Value", "value": "1000m"}}}]},
        {"metrics": [{"pods": {"target": {"type": "Value", "value": "1"}}}]},
    ),
    "a dropped zero": ({"spec": {"minReadySeconds": 0, "env": [], "x": ""}}, {"spec": {}}),
    "a variable that a person added": (
        {"spec": {"containers": [CONTAINER]}},
        {"spec": {"containers": [{**CONTAINER, "env": [{"name": "B"}, {"name": "A", "value": "1"}]}]}},
    ),
    "identity": (
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"}},
        {"metadata": {}},
    ),
}


@pytest.mark.parametrize(("desired", "live"), SAME.values(), ids=SAME.keys())
def test_no_difference(desired: dict[str, Any], live: dict[str, Any]) -> None:
    """What must never cause a write."""
    assert difference(desired, live) is None


OTHER: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a scalar": ({"spec": {"maxReplicas": 10}}, {"spec": {"maxReplicas": 3}}, "spec.maxReplicas is 3, want 10"),
    "an absent field": ({"spec": {"type": "ClusterIP"}}, {"spec": {}}, "spec.type is absent, want ClusterIP"),
    "a container's image": (
        deployment(),
        {"spec": {"template": {"spec": {"containers": [{**CONTAINER, "image": "b:1"}]}}}},
        "spec.template.spec.containers[predictor].image is b:1, want a:1",
    ),
    "a variable's value": (
        deployment(),
        {"spec": {"template": {"spec": {"containers": [{**CONTAINER, "env": [{"name": "A", "value": "2"}]}]}}}},
        "spec.template.spec.containers[predictor].env[A].value is 2, want 1",
    ),
    "a missing variable": (
        {"containers": [{"name": "a", "env": [{"name": "A", "value": "1"}]}]},
        {"containers": [{"name": "a", "env": []}]},
        "containers[0].env[A] is absent, want present",
    ),
    "a longer list": (
        {"spec": {"rules": [{"host": "a"}]}},
        {"spec": {"rules": [{"host": "a"}, {"host": "b"}]}},
        "spec.rules has 2 items, want 1",
    ),
    "a quantity": (
        {"spec": {"limits": {"memory": "1Gi"}}},
        {"spec": {"limits": {"memory": "1G"}}},
        "spec.limits.memory is 1G, want 1Gi",
    ),
    "a label that only looks like a quantity": (
        {"metadata": {"labels": {"retail.mlops/version": "1000"}}},
        {"metadata": {"labels": {"retail.mlops/version": "1k"}}},
        "metadata.labels[retail.mlops/version] is 1k, want 1000",
    ),
    "a label added to a selector": (
        {"spec": {"selector": {"a": "1"}}},
        {"spec": {"selector": {"a": "1", "b": "2"}}},
        "spec.selector.b is 2, want absent",
    ),
    "a peer added to a rule": (
        {"spec": {"ingress": [{"ports": [{"port": 8080}]}]}},
        {"spec": {"ingress": [{"ports": [{"port": 8080}], "from": [{"podSelector": {}}]}]}},
        "spec.ingress[0].from is present, want absent",
    ),
    "a security switch taken away": (
        {"automountServiceAccountToken": False},
        {},
        "automountServiceAccountToken is absent, want False",
    ),
    "another owner": (
        {"metadata": {"ownerReferences": [{"uid": "1", "controller": True}]}},
        {"metadata": {"ownerReferences": [{"uid": "2", "controller": True}]}},
        "metadata.ownerReferences[1] is absent, want present",
    ),
}


@pytest.mark.parametrize(("desired", "live", "found"), OTHER.values(), ids=OTHER.keys())
def test_a_difference_is_named_with_both_values(desired: dict[str, Any], live: dict[str, Any], found: str) -> None:
    """What people read in the log and in Events."""
    assert difference(desired, live) == found
