import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from psm_operator.api import crd
from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.api.reference import UNSTORED, reasons
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus

ROOT = Path(__file__).parents[3]
Schema = dict[str, Any]


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a structural schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


CONDITION_STATUS = ".status.conditions[].status"
SCHEMA = crd.schema()
NODES = dict(nodes(SCHEMA))


def test_every_field_is_described() -> None:
    """`kubectl explain` has no empty answer; metadata is Kubernetes' own."""
    fields = {path: node for path, node in NODES.items() if not path.endswith(("[]", "{}")) and path != ".metadata"}
    assert [path for path, node in fields.items() if not node.get("description", "").strip()] == []
    assert len(fields) > 100


def test_nothing_is_left_of_what_kubernetes_does_not_know() -> None:
    """No reference, no null, no title, no closed map; every node has a type or is a number or text."""
    for path, node in NODES.items():
        assert not {"$ref", "anyOf", "allOf", "title", "const", "$defs", "x-psm-not-stored"} & node.keys(), path
        assert node.get("type") != "null", path
        is_untyped = node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
        assert "type" in node or is_untyped, path
        assert node.get("additionalProperties") is not False, path


def test_no_default_inside_list_items() -> None:
    """GitOps tools would see a difference for ever."""
    assert [path for path, node in NODES.items() if ("[]" in path or "{}" in path) and "default" in node] == []


def test_status_has_neither_defaults_nor_closed_sets() -> None:
    """An older CRD must not refuse what a newer operator writes; a condition's status has three values for ever."""
    status = [(path, node) for path, node in NODES.items() if path.startswith(".status") and path != CONDITION_STATUS]
    assert [path for path, node in status if "default" in node or "enum" in node] == []


def test_maps_by_key_require_their_key() -> None:
    """The API server refuses a list map whose key may be absent."""
    keyed = {path: node for path, node in NODES.items() if node.get("x-kubernetes-list-type") == "map"}
    assert {".status.conditions", ".status.rejected", ".spec.predictor.env"} <= keyed.keys()
    for path, node in keyed.items():
        assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path


def test_every_list_and_text_under_a_rule_is_bounded() -> None:
    """CEL's cost is estimated from the bounds."""
    for path, node in NODES.items():
        if path.startswith(".spec") and node.get("type") == "array":
            assert "maxItems" in node, path


@pytest.mark.parametrize("column", crd.COLUMNS, ids=lambda column: column[0])
def test_printer_columns_point_at_fields_that_exist(column: tuple[str, str, str, int]) -> None:
    """A renamed field must not leave an empty column behind."""
    _, kind, json_path, _ = column
    if json_path == ".metadata.creationTimestamp":
        return
    node = SCHEMA
    for name, key in re.findall(r'\.(\w+)(?:\[\?\(@\.(\w+)=="[^"]+"\)\])?', json_path):
        node = node["properties"][name]
        if key:
            node = node["items"]
            assert key in node["properties"]
    assert node["type"] == kind


def test_columns_read_as_promised() -> None:
    """The order in which people read them."""
    assert [name for name, _, _, priority in crd.COLUMNS if priority == 0] == [
        "Ready",
        "Version",
        "Latest",
        "Phase",
        "Accuracy",
    ]
    wide = ["F1", "Replicas", "Age", "Stable", "Group", "Reason", "URL"]
    assert [name for name, _, _, priority in crd.COLUMNS if priority] == wide


def test_columns_select_conditions_that_exist() -> None:
    """A filter on a mistyped condition is always empty."""
    selected = [re.search(r'@\.type=="(\w+)"', path) for _, _, path, _ in crd.COLUMNS]
    assert {ConditionType(match[1]) for match in selected if match} == {ConditionType.READY}


def test_files_are_what_the_types_say() -> None:
    """`make crds` was run."""
    assert crd.main(["--check", "--root", str(ROOT)]) == 0


def test_check_fails_on_drift_and_writing_repairs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The guard, broken once on purpose."""
    assert crd.main(["--root", str(tmp_path)]) == 0
    assert crd.main(["--check", "--root", str(tmp_path)]) == 0
    path = tmp_path / crd.CRD_FILE
    path.write_text(path.read_text().replace("maximum: 16", "maximum: 17"))
    assert crd.main(["--check", "--root", str(tmp_path)]) == 1
    assert "make crds" in capsys.readouterr().err


def test_the_charts_copy_differs_only_in_what_its_values_decide() -> None:
    """Uninstalling the chart keeps the resource unless told otherwise; another product may own a category."""
    copy = crd.chart_yaml()
    plain = re.sub(r"  \{\{- if.*?\{\{- end \}\}\n", "", copy, flags=re.DOTALL)
    plain = plain.replace("{{ toJson .Values.categories }}", '["models", "mlops"]')
    assert yaml.safe_load(plain) == yaml.safe_load(crd.crd_yaml()) == crd.crd()
    assert "&id" not in copy


def test_every_status_field_is_in_the_schema() -> None:
    """What is not in the schema is pruned on the way in."""
    names = {field.alias or name for name, field in ModelStatus.model_fields.items()}
    assert names == SCHEMA["properties"]["status"]["properties"].keys()


def test_every_reason_is_documented() -> None:
    """Reasons are API: alerts match on them."""
    assert reasons().keys() == {reason.value for reason in Reason}
    assert [name for name, text in reasons().items() if not text.endswith(".")] == []


def test_defaults_outside_the_schema_are_named_in_the_reference() -> None:
    """And only those: a field of this list has no default in the schema."""
    for path in UNSTORED:
        assert "default" not in NODES[f".spec.{path}"]


def test_the_guide_names_every_condition_and_printer_column() -> None:
    """docs/pricesensitivitymodel.md speaks of what people see."""
    guide = (ROOT / "docs" / "pricesensitivitymodel.md").read_text()
    assert [kind.value for kind in ConditionType if f"`{kind.value}`" not in guide] == []
    assert [name for name, *_ in crd.COLUMNS if name.upper() not in guide] == []


def test_every_example_in_the_guide_is_admitted() -> None:
    """What people copy works."""
    guide = (ROOT / "docs" / "pricesensitivitymodel.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    specs = [manifest["spec"] for block in blocks for manifest in yaml.safe_load_all(block) if "apiVersion" in manifest]
    assert specs
    specs += [yaml.safe_load(path.read_text())["spec"] for path in (ROOT / "examples").glob("*.yaml")]
    for spec in specs:
        ModelSpec.model_validate(spec, extra="forbid")
