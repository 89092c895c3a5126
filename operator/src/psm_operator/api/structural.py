"""Turns pydantic's JSON schema into Kubernetes' structural schema.

The differences: no references, no `null`, no `additionalProperties: false`, no titles; and defaults only on maps, never
inside list items, where GitOps tools would see a difference for ever.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "not",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "required",
)
"""Copied as they are; `properties`, `items` and `additionalProperties` are rendered in turn, x-kubernetes-* is copied."""


def structural(model: type[BaseModel], *, has_defaults: bool, has_enums: bool) -> Schema:
    """The structural schema of a type.

    Args:
        model: the type.
        has_defaults: render defaults; `status` has none, since nobody but the operator writes it.
        has_enums: render every closed set; in `status` they stay open but for those marked `CLOSED`, or an older CRD would refuse
            a newer operator's word.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    made = _Renderer(schema.get("$defs", {}), has_enums=has_enums).render(schema, has_defaults=has_defaults)
    made.pop("description", None)
    return made


class _Renderer:
    """Renders nodes of one schema, whose definitions it holds."""

    def __init__(self, definitions: Mapping[str, Schema], *, has_enums: bool) -> None:
        self._definitions = definitions
        self._has_enums = has_enums

    def render(self, node: Schema, *, has_defaults: bool) -> Schema:
        """One node; `has_defaults` is off inside list items."""
        node = self._resolved(node)
        made: Schema = {key: deepcopy(node[key]) for key in KEPT if key in node}
        made |= {key: deepcopy(value) for key, value in node.items() if key.startswith("x-kubernetes-")}
        if not self._has_enums and not node.get("x-psm-closed"):
            made.pop("enum", None)
        self._put_default(made, node, has_defaults=has_defaults)
        if "properties" in node:
            made["properties"] = {
                name: self.render(child, has_defaults=has_defaults) for name, child in node["properties"].items()
            }
        if "items" in node:
            made["items"] = self.render(node["items"], has_defaults=False)
        if isinstance(node.get("additionalProperties"), dict):
            made["additionalProperties"] = self.render(node["additionalProperties"], has_defaults=False)
        return made

    def _resolved(self, node: Schema) -> Schema:
        """The node without references and without the alternative `null`; what stands beside a reference wins."""
        if "$ref" in node:
            target = self._definitions[node["$ref"].removeprefix("#/$defs/")]
            return self._resolved({**target, **{key: value for key, value in node.items() if key != "$ref"}})
        if "anyOf" in node:
            (only,) = (choice for choice in node["anyOf"] if choice.get("type") != "null")
            return self._resolved({**only, **{key: value for key, value in node.items() if key != "anyOf"}})
        return node

    def _put_default(self, made: Schema, node: Schema, *, has_defaults: bool) -> None:
        """An object's default is `{}`: the fields' own defaults fill it in, and stand in one place only.

        Where an object has CEL rules it is written out: Kubernetes checks the bare default against them.
        Empty texts, lists and maps are not written into the user's object: absence says the same.
        """
        default = made.pop("default", None)
        if not has_defaults or default is None or node.get("x-psm-not-stored"):
            return
        has_rules = "x-kubernetes-validations" in node
        if "properties" in node and not has_rules and self._is_filled_by_fields(node):
            made["default"] = {}
        elif default not in ("", [], {}):
            made["default"] = _without_nulls(default)

    def _is_filled_by_fields(self, node: Schema) -> bool:
        fields = {name: self._resolved(child).get("default") for name, child in node["properties"].items()}
        return all(fields[name] == value or value is None for name, value in node["default"].items())


def _without_nulls(value: Any) -> Any:
    """What is unset is left out: the schema knows no null."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
