"""JSON Schemas of what the JSON routes take, and the msgspec types compiled from them.

The very schema that OpenAPI shows is what the decoder enforces, so the two cannot disagree. Used by `request` (types),
`findings` (why a body is wrong) and `openapi` (documentation).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Optional, Union

import msgspec
from pydantic import TypeAdapter

from psm_contract.cells import LONGEST
from psm_contract.manifest import Feature
from psm_contract.schema import ALIASES, COLUMNS, TEXT_PATTERN, Line

Schema = dict[str, Any]

FLOAT32_MAX: Final = 3.4028234663852886e38
"""Bound of a number feature that names none: what the model's input type can hold."""

_BOUNDS: Final = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}
_WORDS_SHOWN: Final = 5


def instance_schema(features: Sequence[Feature]) -> Schema:
    """One basket as ready features; a feature with a default may be left out or null."""
    return {
        "title": "Instance",
        "description": "One basket as ready features, as training computed them.",
        "type": "object",
        "properties": {feature.name: _feature_schema(feature) for feature in features},
        "required": [feature.name for feature in features if feature.default is None],
        "additionalProperties": False,
    }


def row_schema(features: Sequence[Feature]) -> Schema:
    """One basket as a list of its features' values, in the model's order; null is the default where there is one."""
    return {
        "title": "Row",
        "description": "One basket as the values of its features, in the order of GET /model.",
        "type": "array",
        "prefixItems": [{"title": feature.name, **_value_schema(feature)} for feature in features],
        "items": False,
        "minItems": len(features),
        "maxItems": len(features),
    }


def _value_schema(feature: Feature) -> Schema:
    """One value of a row: what an instance may say, and the number of a word for the word."""
    schema = _feature_schema(feature)
    if feature.kind == "number":
        return schema
    word = {"type": "string", "maxLength": schema["maxLength"], "pattern": schema["pattern"]}
    code = {"type": "integer", "minimum": 0, "maximum": len(feature.vocabulary) - 1}
    description = f"{schema['description']} May be the number of the word in the vocabulary."
    optional = [] if feature.default is None else [{"type": "null"}]
    return {"description": description, "anyOf": [word, code, *optional], "examples": schema["examples"]}


def _feature_schema(feature: Feature) -> Schema:
    schema: Schema = {"description": feature.description}
    if feature.kind == "category":
        schema["type"] = "string"
        schema["maxLength"] = max(LONGEST, *map(len, feature.vocabulary))
        schema["pattern"] = TEXT_PATTERN
        schema["description"] += f". A value unknown to the model counts as {feature.vocabulary[-1]!r}."
        schema["examples"] = list(feature.vocabulary[:_WORDS_SHOWN])
    else:
        schema["type"] = "number"
        schema["minimum"] = -FLOAT32_MAX if feature.minimum is None else feature.minimum
        schema["maximum"] = FLOAT32_MAX if feature.maximum is None else feature.maximum
    if feature.default is not None:
        schema["type"] = [schema["type"], "null"]
        schema["default"] = feature.default
    return schema


def line_schema() -> Schema:
    """One till line: the contract's 22 columns, of which only a few are required."""
    schema: Schema = TypeAdapter(Line).json_schema()
    schema["description"] = "One line of the till. Columns of the basket are read from its first line."
    described = {column.name: column.description for column in COLUMNS}
    described |= {name: f"another name of {meant}: {described[meant]}" for name, meant in ALIASES.items()}
    for name, text in described.items():
        schema["properties"][name].pop("title", None)
        schema["properties"][name]["description"] = text
    return schema


def array_schema(item: Schema, most: int) -> Schema:
    """A list of one to `most` items."""
    return {"type": "array", "items": item, "minItems": 1, "maxItems": most}


def object_schema(key: str, items: Schema, description: str) -> Schema:
    """An object whose only member `key` is a list."""
    return {
        "title": key.capitalize(),
        "description": description,
        "type": "object",
        "properties": {key: items},
        "required": [key],
        "additionalProperties": False,
    }


def type_of(name: str, schema: Schema) -> Any:
    """The msgspec type that takes exactly what the schema says."""
    if "anyOf" in schema:
        return Union[tuple(type_of(name, option) for option in schema["anyOf"])]  # noqa: UP007  # built at run time
    if isinstance(schema["type"], list):
        return Optional[type_of(name, {**schema, "type": schema["type"][0]})]  # noqa: UP045  # built at run time
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if "properties" in schema:
        return _struct_of(schema)
    if "prefixItems" in schema:
        return _row_of(schema)
    return _bounded(name, schema)


def _bounded(name: str, schema: Schema) -> Any:
    """The type of a value or a list with its bounds."""
    bounds: dict[str, Any] = {word: schema[key] for key, word in _BOUNDS.items() if key in schema}
    if schema["type"] == "integer":
        # JSON Schema calls 3.0 an integer; so does a client whose table library made the column float
        as_float = {word: float(bound) for word, bound in bounds.items()}
        whole = Annotated[float, msgspec.Meta(**as_float, multiple_of=1)]
        return Union[Annotated[int, msgspec.Meta(**bounds)], whole]  # noqa: UP007  # built at run time
    if "pattern" in bounds:
        bounds["pattern"] = whole_text(bounds["pattern"])
    if schema.get("pattern") == TEXT_PATTERN:  # holds of the whole body at once: `request.may_break_texts`
        del bounds["pattern"]
    base = _base_type(name, schema)
    return Annotated[base, msgspec.Meta(**bounds)] if bounds else base


def whole_text(pattern: str) -> str:
    """Return a pattern of JSON Schema that ends with $ in Python's words, where $ also stands before a last line break."""
    return pattern.removesuffix("$") + r"\Z"


def _base_type(name: str, schema: Schema) -> Any:
    """The type without its bounds."""
    match schema["type"]:
        case "null":
            return None
        case "number":
            return float
        case "string":
            return str
        case "array":
            return list[type_of(name, schema["items"])]  # type: ignore[misc]  # a type made at run time
        case kind:
            raise ValueError(f"{name}: no type for {kind!r}")


def _struct_of(schema: Schema) -> type[msgspec.Struct]:
    """The closed type of an object; a property left out is its default, or None."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for key, value in schema["properties"].items():
        kind = type_of(key, value)
        fields.append((key, kind) if key in schema["required"] else (key, kind, value.get("default")))
    return msgspec.defstruct(schema["title"], fields, kw_only=True, forbid_unknown_fields=True, gc=False, frozen=True)


def _row_of(schema: Schema) -> Any:
    """The type of a list of fixed length."""
    return tuple[tuple(type_of(item["title"], item) for item in schema["prefixItems"])]  # type: ignore[misc]  # made at run time
