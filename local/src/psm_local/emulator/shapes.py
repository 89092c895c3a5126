"""Requests held against AWS's own description of its API, as botocore brings it: types, required fields, enums, lengths, patterns.

botocore itself checks no enum, no pattern and no upper bound. Called by the emulator for what reaches it and by the test
suite for what boto3 is about to send. It knows neither what an account has nor the rules that AWS keeps in its services
alone, and it lets pass what the few patterns say that are none outside of Java.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import regex  # type: ignore[import-untyped]  # it has none; its use is two lines
from botocore.model import Shape

_SURROGATES = "\\uD800\\uDC00-\\uDBFF\\uDFFF"
"""Java's characters beyond the first plane, as pairs."""
_FEW = 12
"""Values that a message lists; of instance types there are hundreds."""


def request_shape(service: str, operation: str) -> Shape:
    """Return what an operation takes.

    Raises:
        LookupError: It takes nothing.
    """
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    if shape is None:
        raise LookupError(f"{service} {operation} takes nothing")
    return shape


def refusals(request: Any, shape: Shape | None) -> Iterator[str]:
    """Say what AWS would refuse of a whole request; `shape` is its operation's input, None if it takes nothing."""
    if shape is not None:
        yield from faults(request, shape)


def faults(value: Any, shape: Any, path: str = "", without: frozenset[str] = frozenset()) -> Iterator[str]:
    """Say what is wrong with a request.

    Args:
        value: The request, or a part of it; a pipeline's function may stand for any text or number.
        shape: Of the value.
        path: To the value.
        without: Required fields that a pipeline's step leaves out, since SageMaker fills them in.
    """
    if value is None or shape.type_name in ("blob", "timestamp") or getattr(shape, "is_document_type", False):
        return
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("Get", "Std:Join", "Std:JsonGet"):
        if shape.type_name not in ("string", "integer", "double", "float", "long"):
            yield f"{path}: a function stands for a {shape.type_name}"
        return
    match shape.type_name:
        case "structure":
            yield from _structure(value, shape, path, without)
        case "list":
            yield from _size(len(value), shape, path)
            for number, one in enumerate(value):
                yield from faults(one, shape.member, f"{path}[{number}]")
        case "map":
            yield from _map(value, shape, path)
        case "string":
            yield from _text(value, shape, path)
        case "boolean":
            yield from () if isinstance(value, bool) else (f"{path}: {value!r} is no boolean",)
        case _:
            yield from _number(value, shape, path)


def _map(value: Any, shape: Any, path: str) -> Iterator[str]:
    yield from _size(len(value), shape, path)
    for key, one in value.items():
        yield from faults(key, shape.key, f"{path}.{key}")
        yield from faults(one, shape.value, f"{path}.{key}")


def _number(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{path}: {value!r} is no number"
    else:
        yield from _size(value, shape, path)


def _structure(value: Any, shape: Any, path: str, without: frozenset[str]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    for name in shape.required_members:
        if name not in value and name not in without:
            yield f"{path}.{name} is missing"
    for name, one in value.items():
        if name in shape.members:
            yield from faults(one, shape.members[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is unknown"


def _text(value: Any, shape: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: {value!r} is no text"
        return
    yield from _size(len(value), shape, path)
    if shape.enum and value not in shape.enum:
        known = ", ".join(shape.enum) if len(shape.enum) <= _FEW else f"the {len(shape.enum)} values"
        yield f"{path}: {value!r} is none of {known} of {shape.name}"
    pattern = shape.metadata.get("pattern")
    expression = _compiled(pattern) if pattern else None
    if expression is not None and not expression.fullmatch(value):
        yield f"{path}: {value!r} does not match {pattern}"


@cache
def _compiled(pattern: str) -> Any:
    """Return one of Java's patterns as an expression; None where a range of its surrogates cannot be one."""
    try:
        return regex.compile(pattern.replace(_SURROGATES, "\\U00010000-\\U0010FFFF"))
    except regex.error:
        return None


def _size(size: float, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{path}: {size} is below {low}"
    if high is not None and size > high:
        yield f"{path}: {size} is above {high}"
