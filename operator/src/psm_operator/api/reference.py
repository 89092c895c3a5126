"""Renders the reference page of the API from the schema: every field, condition and reason. Called by `crd.py` alone."""

import ast
import inspect
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from psm_operator.api import conditions
from psm_operator.api.conditions import ConditionType

Schema = dict[str, Any]

HEAD: Final = """\
# PriceSensitivityModel: reference

Generated from the types in `operator/src/psm_operator/api` by `make crds`; do not edit.
What it is for and how to use it: [pricesensitivitymodel.md](pricesensitivitymodel.md).
A default in *italics* is applied by the operator and not written into the object.
"""

RESTARTS: Final = """\
A change of a field that restarts pods rolls the Deployment: a new pod answers before an old one goes.
No other field replaces a pod that serves; one that moves the version, as `version` may, rolls to that version.
"""

UNSTORED: Final = {
    "version": "policy: LatestApproved",
    "predictor.resources": "250m CPU, 256Mi; limit 512Mi",
    "autoscaling": "2 to 10, unless replicas is set",
    "analysis.metrics[].maxRegression.against": "Stable",
}
"""Defaults that the schema does not have, as `NOT_STORED` says in the types."""


RESTARTS_PODS: Final = (
    "registry.region",
    "predictor.image",
    "predictor.imagePullSecrets",
    "predictor.workers",
    "predictor.resources",
    "predictor.env",
    "predictor.nodeSelector",
    "predictor.tolerations",
    "networking.ingress.className",
    "networking.ingress.path",
    "networking.ingress.annotations",
    "monitoring.cloudWatch.enabled",
)
"""Fields, with all below them, that are a part of the pods' template; tests/laws/test_restart_laws.py compares with the builders."""


def restarts_pods(path: str) -> bool:
    """Whether a change of the field replaces the pods that serve, one after the other."""
    return any(path == known or path.startswith((f"{known}.", f"{known}[")) for known in RESTARTS_PODS)


def _restarts(path: str, kind: str) -> str:
    if restarts_pods(path):
        return "yes"
    return "" if kind == "object" else "no"  # its fields say


def reference(schema: Schema) -> str:
    """The page, as Markdown.

    Args:
        schema: the structural schema of the whole resource.
    """
    parts = [HEAD]
    for section in ("spec", "status"):
        parts.append(f"## {section}\n")
        rows = _rows(schema["properties"][section], section)
        if section == "spec":
            parts.append(RESTARTS)
            told = ((name, kind, default, _restarts(name.strip("`"), kind), what) for name, kind, default, what in rows)
            parts.append(_table(("Field", "Type", "Default", "Restarts pods", "What"), told))
        else:
            parts.append(_table(("Field", "Type", "What"), ((name, kind, what) for name, kind, _, what in rows)))
    parts.append("## Rules\n\nRefused by the API server, in these words:\n")
    parts.append("\n".join(f"- {message}" for message in _messages(schema)) + "\n")
    parts.append("## Condition types\n")
    parts.append(", ".join(f"`{kind.value}`" for kind in ConditionType) + ".\n")
    parts.append("## Reasons\n")
    parts.append(_table(("Reason", "Means"), ((f"`{name}`", text) for name, text in reasons().items())))
    return "\n".join(parts)


def reasons() -> dict[str, str]:
    """Every reason with the line of documentation below it."""
    tree = ast.parse(inspect.getsource(conditions))
    (enum,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Reason"]
    found: dict[str, str] = {}
    name = ""
    for node in enum.body[1:]:
        match node:
            case ast.Assign(value=ast.Constant(value=str(value))):
                name = value
                found[name] = ""
            case ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _rows(schema: Schema, section: str, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", ())
    for name, node in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        is_required = name in required and section == "spec"
        yield (
            f"`{here}`",
            _type(node),
            "required" if is_required else _default(node, here, section),
            node["description"],
        )
        inner = node.get("items", node)
        yield from _rows(inner, section, f"{here}[]" if "items" in node else here)


def _type(node: Schema) -> str:
    if node.get("x-kubernetes-preserve-unknown-fields") and "type" not in node:
        return "number or text"
    if node.get("x-kubernetes-int-or-string"):
        return "integer or text"
    if "enum" in node:
        return " \\| ".join(node["enum"])
    if "items" in node:
        return f"list of {_type(node['items'])}s"
    return {"string": "text", "object": "map" if "additionalProperties" in node else "object"}.get(
        node["type"], str(node["type"])
    )


def _default(node: Schema, path: str, section: str) -> str:
    if section == "spec" and path in UNSTORED:
        return f"*{UNSTORED[path]}*"
    default = node.get("default")
    if default is None or isinstance(default, dict):
        return ""
    return "as described" if isinstance(default, list) else f"`{json.dumps(default).strip(chr(34))}`"


def _messages(node: Schema) -> Iterator[str]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for child in node.get("properties", {}).values():
        yield from _messages(child)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = (" | ".join(row).replace("<", "\\<") for row in rows)
    lines = [" | ".join(header), " | ".join("---" for _ in header), *body]
    return "\n".join(f"| {line} |" for line in lines) + "\n"
