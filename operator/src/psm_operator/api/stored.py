"""Reads what the API server stored, whichever version of the CRD and of the operator wrote it.

A field of a newer version is no reason to stop (docs/upgrade.md). Of `spec` only a value that contradicts these types is
refused, since serving something else than what was asked for would be worse. Of `status` nothing is: what cannot be
understood counts as absent, and the next write says it anew.
"""

import copy
import operator
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from psm_operator.api.base import StatusModel
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus

Raw = Mapping[str, Any]


class InvalidSpec(ValueError):  # noqa: N818  # the reason's name
    """A stored value contradicts the types; the text says which, where, and what to do."""


def read_spec(raw: Raw) -> ModelSpec:
    """Parse a stored spec; fields that are not known here are ignored.

    Raises:
        InvalidSpec: a value contradicts the types.
    """
    try:
        return ModelSpec.model_validate(raw)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        advice = "correct it"
        if first["type"] == "enum":
            advice = "correct it, or update the operator if the CRD is newer"
        raise InvalidSpec(f"{where}: {first['msg']} (is {first['input']!r}); {advice}") from err


def read_status(raw: Raw) -> ModelStatus:
    """Parse a stored status; unknown fields are kept, and what cannot be understood is left out."""
    left: Any = raw
    while True:
        try:
            return ModelStatus.model_validate(left)
        except ValidationError as err:
            first = err.errors()[0]
            is_absent = first["type"] == "missing"
            left = _without(left, first["loc"][:-1] if is_absent else first["loc"])


def _without(value: Any, path: tuple[int | str, ...]) -> Any:
    """A copy of plain JSON without what `path` names; what cannot be followed ends at the last part that can."""
    made = copy.deepcopy(value)
    parent, here = made, made
    for depth, part in enumerate(path):
        parent = here
        is_there = part in here if isinstance(here, dict) else isinstance(here, list)
        if depth == len(path) - 1 or not is_there:
            break
        here = parent[part]
    del parent[path[depth]]
    return made


def keep_unknown(before: ModelStatus, after: ModelStatus) -> ModelStatus:
    """Return `after` with the unknown fields of every part of `before` that is still the same thing."""
    kept: ModelStatus = _kept(before, after)
    return kept


def _kept(before: Any, after: Any) -> Any:
    if before is after:
        return after
    if isinstance(after, tuple) and after and isinstance(after[0], StatusModel):
        by_identity = {_identity(item): item for item in before or ()}
        items = tuple(_kept(by_identity.get(_identity(item)), item) for item in after)
        return after if all(map(operator.is_, items, after)) else items
    if not isinstance(after, StatusModel) or type(before) is not type(after) or _identity(before) != _identity(after):
        return after
    changed = {name: _kept(getattr(before, name), getattr(after, name)) for name in type(after).model_fields}
    unknown = (before.model_extra or {}) | (after.model_extra or {})
    changed = {name: value for name, value in changed.items() if value is not getattr(after, name)}
    return after.model_copy(update=changed | unknown) if changed or unknown != after.model_extra else after


def _identity(part: StatusModel) -> tuple[Any, ...]:
    """What a part is about: a version, a metric, a condition, a moment."""
    return tuple(getattr(part, name, None) for name in ("id", "type", "name", "version", "result", "at"))
