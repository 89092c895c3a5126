"""Renders the CustomResourceDefinition from the types: `python -m psm_operator.api.crd [--check]`.

Writes `crds/`, the copy in `charts/psm-crds` and the reference page in `docs/`. Run by `make crds`; with `--check` it
writes nothing and fails when a file is not what the types say.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from psm_operator.api.names import (
    CATEGORIES,
    GROUP,
    KIND,
    NAME_LIMIT,
    NAME_PATTERN,
    PLURAL,
    SHORT_NAME,
    SINGULAR,
    VERSION,
)
from psm_operator.api.reference import reference
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus
from psm_operator.api.structural import structural

COLUMNS: Final[tuple[tuple[str, str, str, int], ...]] = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Version", "integer", ".status.current.version", 0),
    ("Latest", "integer", ".status.desired.version", 0),
    ("Phase", "string", ".status.phase", 0),
    ("Accuracy", "string", '.status.current.metrics[?(@.name=="accuracy")].value', 0),
    ("F1", "string", '.status.current.metrics[?(@.name=="macro_f1")].value', 1),
    ("Replicas", "integer", ".status.replicas", 1),
    ("Age", "date", ".metadata.creationTimestamp", 1),
    ("Stable", "integer", ".status.stable.version", 1),
    ("Group", "string", ".spec.registry.modelPackageGroupName", 1),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("URL", "string", ".status.url", 1),
)
"""Printer columns: name, type, JSONPath, priority (1 is shown by `-o wide` only).

Without `-o wide` they fit 100 characters beside a namespace and a name of 20 each.
"""

STATUS_MAPS: Final = {"conditions": "type", "rejected": "version"}
"""Lists of `status` whose items are told apart by one field."""

CRD_FILE: Final = Path("crds") / f"{PLURAL}.{GROUP}.yaml"
CHART_FILE: Final = Path("charts/psm-crds/templates") / f"{PLURAL}.{GROUP}.yaml"
REFERENCE_FILE: Final = Path("docs/pricesensitivitymodel-reference.md")
HEADER: Final = "# Generated from the types in operator/src/psm_operator/api by `make crds`; do not edit.\n"


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition as JSON."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "psm-operator"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": list(CATEGORIES),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
                    # no `scale`: without spec.replicas, which autoscaling excludes, the API server answers it with 500
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema()},
                }
            ],
        },
    }


def schema() -> dict[str, Any]:
    """The structural schema of the whole resource."""
    spec = structural(ModelSpec, has_defaults=True, has_enums=True)
    status = structural(ModelStatus, has_defaults=False, has_enums=False)
    for name, key in STATUS_MAPS.items():
        status["properties"][name] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return {
        "type": "object",
        "description": "Serves one retail price-sensitivity model from a SageMaker model package group.",
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {NAME_LIMIT}",
                "message": f"metadata.name must have at most {NAME_LIMIT} characters; its children are named after it",
            },
            {
                "rule": f"self.metadata.name.matches('{NAME_PATTERN}')",
                "message": "metadata.name must begin with a letter and have only a-z, 0-9 and -; a Service is named so",
            },
        ],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"{KIND}."},
            "metadata": {"type": "object"},
            "spec": {"description": "What to serve, how to run it, what it must prove, and how to go back."} | spec,
            "status": {"description": "What is served, what is on its way, what was rejected, and why."} | status,
        },
    }


def crd_yaml() -> str:
    """The file in `crds/`."""
    return HEADER + _dump(crd())


def chart_yaml() -> str:
    """The chart's template: the same, but kept on uninstall by default, and with categories from the values."""
    made = crd()
    made["metadata"]["annotations"] = "ANNOTATIONS"
    made["spec"]["names"]["categories"] = "CATEGORIES"
    text = _dump(made).replace("    categories: CATEGORIES\n", "    categories: {{ toJson .Values.categories }}\n")
    keep = "  {{- if .Values.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
    return HEADER + text.replace("  annotations: ANNOTATIONS\n", keep)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the generated files; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m psm_operator.api.crd", description="Render the CRD from its types."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the repository")
    options = parser.parse_args(arguments)
    files = {CRD_FILE: crd_yaml(), CHART_FILE: chart_yaml(), REFERENCE_FILE: reference(schema())}
    stale = [
        (options.root / path, text)
        for path, text in files.items()
        if not (options.root / path).is_file() or (options.root / path).read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if options.check:
            sys.stderr.write(f"{path} is not what the types say; run `make crds`\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if stale and options.check else 0


def _column(name: str, kind: str, json_path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": json_path}
    return column | ({"priority": priority} if priority else {})


def _dump(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main())
