"""JSON Schemas of our OpenAPI document as strict pydantic types: a second reading of what the documentation says."""

from typing import Annotated, Any, Literal, Union

import pydantic

Schema = dict[str, Any]

_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minItems": "min_length",
    "maxItems": "max_length",
}


def pydantic_type(schema: Schema) -> pydantic.TypeAdapter[Any]:
    """A validator of the schema; references are looked up in its own components."""
    components = schema.get("components", {}).get("schemas", {})
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(_type(schema, components))
    return adapter


def _type(schema: Schema, components: dict[str, Schema]) -> Any:
    if "$ref" in schema:
        return _type(components[schema["$ref"].rpartition("/")[2]], components)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return Union[tuple(_type(option, components) for option in schema[word])]  # noqa: UP007  # built at run time
    if isinstance(schema["type"], list):
        return Union[tuple(_type({**schema, "type": kind}, components) for kind in schema["type"])]  # noqa: UP007  # likewise
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if "prefixItems" in schema:
        return tuple[tuple(_type(item, components) for item in schema["prefixItems"])]  # type: ignore[misc]  # likewise
    bounds = {word: schema[key] for key, word in _BOUNDS.items() if key in schema and schema["type"] != "null"}
    return Annotated[_plain(schema, components), pydantic.Field(**bounds)]


def _plain(schema: Schema, components: dict[str, Schema]) -> Any:
    match schema["type"]:
        case "object":
            return _object(schema, components)
        case "array":
            return list[_type(schema["items"], components)]  # type: ignore[misc]  # a type made at run time
        case "integer":
            # multiple_of takes what is nearly a whole number, such as 1e-300
            return Annotated[float, pydantic.Field(strict=True), pydantic.AfterValidator(_whole)]
        case "number":
            return Annotated[float, pydantic.Field(strict=True, allow_inf_nan=False)]
        case "string":
            return Annotated[str, pydantic.Field(strict=True)]
        case "null":
            return None
        case kind:
            raise ValueError(f"no type for {kind!r}")


def _whole(value: float) -> float:
    if not value.is_integer():
        raise ValueError(f"{value} is no whole number")
    return value


def _object(schema: Schema, components: dict[str, Schema]) -> Any:
    fields: dict[str, Any] = {
        f"field_{number}": (
            _type(part, components),
            pydantic.Field(default=... if name in schema["required"] else None, alias=name),
        )
        for number, (name, part) in enumerate(schema["properties"].items())
    }
    return pydantic.create_model(schema["title"], __config__=pydantic.ConfigDict(extra="forbid"), **fields)
