"""What the descriptions of the hot routes have in common."""

from dataclasses import dataclass
from typing import Any, Final

from psm_contract.manifest import Manifest
from psm_predictor.golden import golden_instance
from psm_predictor.request import RequestSchemas
from psm_predictor.schema import Schema
from psm_predictor.settings import PackageRef, RequestLimits

_REF: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Parts:
    """What is described.

    Attributes:
        manifest: Of the model, once it is loaded.
        schemas: Of its bodies, likewise.
        package: The served version.
        limits: Of requests.
    """

    manifest: Manifest | None
    schemas: RequestSchemas | None
    package: PackageRef
    limits: RequestLimits

    def golden(self, count: int) -> list[dict[str, float | str]]:
        """The first golden rows as instances; none without a manifest."""
        if self.manifest is None:
            return []
        return [golden_instance(self.manifest, row) for row in self.manifest.golden[:count]]


UNKNOWN_YET: Final[Schema] = {"type": "object", "description": "Known once the model is loaded."}

REQUEST_ID: Final = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Names the request in its answer; one is made if it is absent or not 1-128 of A-Za-z0-9._:/+=@-.",
    "schema": {"type": "string"},
}


def ref(name: str) -> Schema:
    """A schema among the components."""
    return {"$ref": f"{_REF}{name}"}


def one_of(*names: str) -> Schema:
    """One of several components."""
    return ref(names[0]) if len(names) == 1 else {"oneOf": [ref(name) for name in names]}


def closed(title: str, properties: Schema) -> Schema:
    """An object that has all of the properties and no others."""
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def response(description: str, *names: str) -> dict[str, Any]:
    """A JSON answer that is one of the components."""
    return {"description": description, "content": {"application/json": {"schema": one_of(*names)}}}


def refusals(limits: RequestLimits, error: str) -> dict[str, Any]:
    """What every hot route may answer instead; `error` is the component that says why."""
    return {
        "408": response(f"The body did not arrive within {limits.body_timeout_s:g} s.", error),
        "413": response(f"The body is larger than {limits.body_bytes} bytes.", error),
        "503": {
            **response(f"Not ready, or more than {limits.in_flight} requests are waiting.", error),
            "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}},
        },
    }
