"""The scalar types of `spec`: durations, decimals, quantities and numbers that Kubernetes writes as text.

Each is one pydantic type whose JSON schema is what the API server checks, so that both admit the same texts.
"""

import math
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema

DURATION_PATTERN = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"
DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"
QUANTITY_PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
SHARE_PATTERN = r"^([1-9]|[1-9][0-9]|100)%$"

Duration = Annotated[str, StringConstraints(min_length=2, max_length=20, pattern=DURATION_PATTERN)]
"""Hours, minutes and seconds in this order, as in `60s`, `5m` or `1h30m`."""


def seconds(duration: str) -> int:
    """Whole seconds of a `Duration`."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", duration)
    if match is None:
        raise ValueError(f"{duration!r} is not a duration; write it like 60s, 5m or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or re.fullmatch(DECIMAL_PATTERN, value, re.ASCII) is None:
        raise ValueError(f'{value!r} is not a decimal number written as text, like "0.75"')
    return Decimal(value)


DecimalText = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    WithJsonSchema({"type": "string", "pattern": DECIMAL_PATTERN, "maxLength": 32}),
]
"""A decimal number written as text, because JSON numbers lose digits."""


RANGE_PATTERN = r"^(>=|<=|>|<|!=)[0-9]{1,9}( (>=|<=|>|<|!=)[0-9]{1,9}){0,7}$"

VersionRange = Annotated[str, StringConstraints(max_length=120, pattern=RANGE_PATTERN)]
"""Comparisons separated by one space, as in `>=12 <40 !=17`; a version must satisfy all of them."""

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "!=": operator.ne,
}


def range_admits(versions: str, version: int) -> bool:
    """Whether a version satisfies every comparison of a `VersionRange`."""
    parts = re.findall(r"(>=|<=|>|<|!=)([0-9]+)", versions)
    return all(COMPARISONS[comparison](version, int(bound)) for comparison, bound in parts)


def _quantity(value: Any) -> int | str:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return value if isinstance(value, int) else repr(value)
    if isinstance(value, str) and re.fullmatch(QUANTITY_PATTERN, value, re.ASCII) is not None:
        return value
    raise ValueError(f'{value!r} is neither a number >= 0 nor text like "250m" or "512Mi"')


def _share(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, str) and re.fullmatch(SHARE_PATTERN, value, re.ASCII) is not None:
        return value
    raise ValueError(f'{value!r} is neither a whole number >= 1 nor a share from "1%" to "100%"')


Quantity = Annotated[
    int | str,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            # int-or-string would refuse 0.5; what else has no type is shut out by hand
            "x-kubernetes-preserve-unknown-fields": True,
            "not": {"enum": [True, False, {}, [], None]},
            "pattern": QUANTITY_PATTERN,
            "minimum": 0,
            "maxLength": 32,
            "maxItems": 0,
            "maxProperties": 0,
        },
    ),
]
"""A Kubernetes resource quantity: text, or a number as YAML writes it."""

CountOrShare = Annotated[
    int | str,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "pattern": SHARE_PATTERN,
            "minimum": 1,
            "maximum": 2147483647,
            "maxLength": 4,
        }
    ),
]
"""A count or a share of the pods, at least one: a budget of none would stop every node drain for ever."""
