"""Random specs that the CRD admits, made from its schema: a new field is tried without anybody listing it.

Parts that the schema passes on verbatim, and amounts of compute, which no schema can compare, come from `GIVEN`.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import ValidationError

from psm_operator.api.crd import schema
from psm_operator.api.spec import ModelSpec

Json = dict[str, Any]
ASCII: Final = st.characters(codec="ascii", exclude_categories=["Cc", "Cs", "Cn", "Co", "Cf"])
SPEC: Final[Json] = schema()["properties"]["spec"]

LABEL_KEYS: Final = st.sampled_from(["team", "example.com/team", "a.b-c.d/E_f.g", "x" * 63])
LABEL_VALUES: Final = st.sampled_from(["", "a", "A_b.c-d", "y" * 63])
UTILIZATION: Final[Json] = {"type": "Utilization", "averageUtilization": 70}
METRICS: Final[tuple[Json, ...]] = (
    {"type": "Resource", "resource": {"name": "cpu", "target": UTILIZATION}},
    {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}}},
    {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": 30}}},
)
BEHAVIORS: Final[tuple[Json, ...]] = ({"scaleDown": {"selectPolicy": "Disabled"}}, {"scaleUp": {}})
PEERS: Final[tuple[Json, ...]] = ({"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}})
SOURCES: Final[tuple[Json, ...]] = (
    {"fieldRef": {"fieldPath": "metadata.name"}},
    {"secretKeyRef": {"name": "s", "key": "k"}},
    {"resourceFieldRef": {"resource": "limits.memory"}},
)
RESOURCES: Final[tuple[Json, ...]] = (
    {},
    {"requests": {"cpu": 0.5, "memory": "256Mi"}},
    {"requests": {"cpu": "250m", "memory": 1e8}, "limits": {"cpu": 1, "memory": "1.5Gi"}},
    {"limits": {"ephemeral-storage": "2e9", "memory": "128974848"}},
    {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 1}},
)
GIVEN: Final[dict[str, st.SearchStrategy[Any]]] = {
    "registry.modelPackageGroupName": st.just("price-sensitivity"),
    "registry.region": st.sampled_from(["ap-southeast-1", "us-gov-west-1"]),
    "interval": st.sampled_from(["15s", "5m", "1h30m"]),
    "predictor.resources": st.sampled_from(RESOURCES),
    "predictor.nodeSelector": st.dictionaries(LABEL_KEYS, LABEL_VALUES, max_size=2),
    "predictor.env[].valueFrom": st.sampled_from(SOURCES),
    "autoscaling.metrics[]": st.sampled_from(METRICS),
    "autoscaling.behavior": st.sampled_from(BEHAVIORS),
    "networking.ingress.annotations": st.dictionaries(LABEL_KEYS, st.text(ASCII, max_size=20), max_size=2),
    "networking.networkPolicy.allowFrom[]": st.sampled_from(PEERS),
    "schedule.timezone": st.sampled_from(["Asia/Singapore", "UTC", "America/Argentina/Ushuaia"]),
}


def leaves(node: Json = SPEC, path: str = "") -> list[str]:
    """Every field of the spec that has no fields of its own."""
    found: list[str] = []
    for name, child in node["properties"].items():
        here, inner = (f"{path}.{name}".lstrip("."), child.get("items", child))
        found += leaves(inner, f"{here}[]" if "items" in child else here) if "properties" in inner else [here]
    return found


def values(node: Json, path: str = "") -> st.SearchStrategy[Any]:
    """Values that a node of the schema admits by itself; rules over several fields are `specs`' affair."""
    if path in GIVEN:
        return GIVEN[path]
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return st.integers(node["minimum"], 20) | st.from_regex(node["pattern"], fullmatch=True, alphabet=ASCII)
    low, high = node.get("minimum", 0), node.get("maximum", 2**31 - 1)
    made: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "boolean": st.booleans,
        "integer": lambda: st.integers(low, high),
        "string": lambda: _texts(node),
        "array": lambda: _lists(node, path),
        "object": lambda: _objects(node, path),
    }
    return made[node["type"]]()


def _lists(node: Json, path: str) -> st.SearchStrategy[list[Any]]:
    keys = node.get("x-kubernetes-list-map-keys")
    unique = (lambda item: tuple(item[key] for key in keys)) if keys else None
    return st.lists(values(node["items"], f"{path}[]"), min_size=node.get("minItems", 0), max_size=2, unique_by=unique)


def _texts(node: Json) -> st.SearchStrategy[str]:
    low, high = node.get("minLength", 0), node.get("maxLength", 20)
    if "pattern" not in node:
        return st.text(ASCII, min_size=low, max_size=min(high, 20))
    found = st.from_regex(node["pattern"], fullmatch=True, alphabet=ASCII)
    return found.filter(lambda text: low <= len(text) <= high and "\n" not in text)


def _objects(node: Json, path: str) -> st.SearchStrategy[Json]:
    fields = {name: values(child, f"{path}.{name}".lstrip(".")) for name, child in node["properties"].items()}
    required = {name: fields[name] for name in node.get("required", ())}
    return st.fixed_dictionaries(
        required, optional={name: field for name, field in fields.items() if name not in required}
    )


def is_admitted(spec: Json) -> bool:
    """Whether the rules over several fields hold, which pydantic has in the same words as the CRD."""
    try:
        ModelSpec.model_validate(spec, extra="forbid")
    except ValidationError:
        return False
    return True


def consistent(spec: Json) -> Json:
    """The spec without what contradicts itself, taken away at its place, so that no draw is lost."""
    left = copy.deepcopy(spec)
    while True:
        try:
            ModelSpec.model_validate(left, extra="forbid")
        except ValidationError as err:
            first = err.errors()[0]
            _take_away(left, first["loc"][: -1 if first["type"] == "missing" else None] or ("replicas",))
        else:
            return left


def _take_away(spec: Any, location: tuple[int | str, ...]) -> None:
    here, (name, *rest) = spec, location
    is_there = name in here if isinstance(here, dict) else isinstance(name, int)
    if rest and is_there and isinstance(here[name], dict | list) and here[name]:
        _take_away(here[name], tuple(rest))
    else:
        del here[name]


def specs() -> st.SearchStrategy[Json]:
    """Whole specs as a user would write them."""
    return values(SPEC).map(consistent)
