"""Why a body was refused: every field at fault, with its value. Slow on purpose; only refused requests come here.

Walks the same JSON Schemas that `schema` compiles to decoders. Uses FastAPI's shape of a 422 answer.
"""

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from psm_predictor.schema import Schema, whole_text

MOST_FINDINGS: Final = 20
Finding = dict[str, Any]
Location = tuple[str | int, ...]

_MOST_CHARACTERS: Final = 200
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "null": (type(None),),
}


def finding(kind: str, location: Location, message: str, value: Any) -> Finding:
    """One fault as FastAPI writes it; large values are shortened to their type."""
    return {"type": kind, "loc": ["body", *location], "msg": message, "input": _shown(value)}


def findings(document: Any, schema: Schema) -> list[Finding]:
    """What is wrong with the document, at most 20 findings; empty if nothing is."""
    return list(islice(_walk(document, schema, ()), MOST_FINDINGS))


def parse(body: bytes) -> Any:
    """The body as plain values.

    Raises:
        ValueError: It is not JSON (RFC 8259: no NaN, no trailing text), or nested beyond reason.
    """
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON; leave the field out or send null")


def _walk(value: Any, schema: Schema, at: Location) -> Iterator[Finding]:
    kinds = _kinds(schema)
    kind = next((word for word in kinds if _is(value, word)), None)
    if kind is None:
        yield finding("type_error", at, f"must be of type {' or '.join(kinds)}, it is {_type_name(value)}", value)
        return
    option = next((part for part in schema.get("anyOf", ()) if part["type"] == kind), schema)
    match kind:
        case "object":
            yield from _object(value, option, at)
        case "array":
            yield from _array(value, option, at)
        case "string":
            yield from _string(value, option, at)
        case "number" | "integer":
            yield from _number(value, option, at)


def _kinds(schema: Schema) -> list[str]:
    if "anyOf" in schema:
        return [part["type"] for part in schema["anyOf"]]
    kind = schema["type"]
    return kind if isinstance(kind, list) else [kind]


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, _TYPES[kind]):
        return False
    return kind != "integer" or not isinstance(value, float) or value.is_integer()


def _object(value: dict[str, Any], schema: Schema, at: Location) -> Iterator[Finding]:
    for name in schema["required"]:
        if name not in value:
            yield finding("missing", (*at, name), "is required and was left out", None)
    for name, part in value.items():
        if name in schema["properties"]:
            yield from _walk(part, schema["properties"][name], (*at, name))
        else:
            yield finding("extra_forbidden", (*at, name), "is not a known field; GET /model lists them", part)


def _array(value: list[Any], schema: Schema, at: Location) -> Iterator[Finding]:
    least, most = schema["minItems"], schema["maxItems"]
    if not least <= len(value) <= most:
        message = f"must have {least} to {most} items, it has {len(value)}"
        yield finding("wrong_length", at, message, f"{len(value)} items")
        return
    if "prefixItems" in schema:
        for place, part in zip(schema["prefixItems"], value, strict=True):
            yield from _walk(part, place, (*at, place["title"]))
        return
    for number, part in enumerate(value):
        yield from _walk(part, schema["items"], (*at, number))


def _string(value: str, schema: Schema, at: Location) -> Iterator[Finding]:
    if "enum" in schema and value not in schema["enum"]:
        yield finding("enum", at, f"must be one of {', '.join(schema['enum'])}, it is {_shown(value)!r}", value)
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if not least <= len(value) <= most:
        yield finding("wrong_length", at, f"must have {least} to {most} characters, it has {len(value)}", value)
    elif "pattern" in schema and re.search(whole_text(schema["pattern"]), value) is None:
        yield finding("pattern", at, f"must match {schema['pattern']}", value)


def _number(value: float, schema: Schema, at: Location) -> Iterator[Finding]:
    if value < schema.get("minimum", -math.inf):
        yield finding("too_small", at, f"must be at least {schema['minimum']:g}, it is {value:g}", value)
    elif value > schema.get("maximum", math.inf):
        yield finding("too_large", at, f"must be at most {schema['maximum']:g}, it is {_shown(value)}", value)
    elif value <= schema.get("exclusiveMinimum", -math.inf):
        yield finding("too_small", at, f"must be above {schema['exclusiveMinimum']:g}, it is {value:g}", value)


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return next(word for word, types in _TYPES.items() if isinstance(value, types))


def _shown(value: Any) -> Any:
    """The value if it is short and JSON can carry it."""
    match value:
        case str():
            return value[:_MOST_CHARACTERS].encode(errors="backslashreplace").decode()
        case float() if not math.isfinite(value):
            return "a number beyond 64 bits"
        case int() if abs(value) > 2**63:
            return "a number beyond 64 bits"
        case dict() | list():
            return f"{_type_name(value)} of {len(value)}"
        case _:
            return value
