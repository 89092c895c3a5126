"""The vocabulary of the schema that pydantic does not have: CEL rules, list maps, verbatim objects."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from psm_operator.api.names import SUBDOMAIN_PATTERN

NOT_STORED: dict[str, Any] = {"x-psm-not-stored": True}
"""Marks a default that pydantic applies and the API server does not write into the object."""

CLOSED: dict[str, Any] = {"x-psm-closed": True}
"""Marks a set of words in `status` that no newer operator adds to."""

INT64: dict[str, Any] = {"format": "int64"}

VERBATIM: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
"""Marks an object passed on as written: the Kubernetes API of the child checks it."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)]
OptionalName = Annotated[str, StringConstraints(max_length=253, pattern=f"^$|{SUBDOMAIN_PATTERN}")]
Verbatim = Annotated[dict[str, Any], Field(json_schema_extra=VERBATIM)]


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules of a type or a field, as (expression, message)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def map_by(key: str) -> dict[str, Any]:
    """A list whose items are told apart by `key`: the API server refuses duplicates and merges item by item."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
