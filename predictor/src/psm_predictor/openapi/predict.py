"""The OpenAPI description of POST /predict, which FastAPI's router never sees.

Built from the same schemas that the decoder enforces; examples are golden rows, so they work when tried.
"""

from typing import Any, Final

from psm_contract.manifest import Manifest
from psm_contract.schema import CLASSES, COLUMNS
from psm_predictor.golden import golden_instance, golden_lines
from psm_predictor.request import RequestSchemas
from psm_predictor.schema import Schema
from psm_predictor.settings import RequestLimits

_REF: Final = "#/components/schemas/"
_PREDICTION_PARTS: Final[Schema] = {
    "label": {"type": "string", "enum": list(CLASSES), "description": "The most probable class."},
    "probabilities": {
        "type": "object",
        "description": "Probability of each class; they sum to 1.",
        "properties": {name: {"type": "number", "minimum": 0, "maximum": 1.000001} for name in CLASSES},
        "required": list(CLASSES),
        "additionalProperties": False,
    },
}
_ANSWER_PARTS: Final[Schema] = {
    "model_version": {"type": "integer", "description": "Version of the model package that answered."},
    "request_id": {"type": "string", "description": "The request's X-Request-Id, or one made for it."},
}


def _closed(title: str, parts: Schema) -> Schema:
    return {
        "title": title,
        "type": "object",
        "properties": parts,
        "required": list(parts),
        "additionalProperties": False,
    }


_ANSWERS: Final[dict[str, Schema]] = {
    "Prediction": _closed("Prediction", {**_PREDICTION_PARTS, **_ANSWER_PARTS}),
    "Predictions": _closed(
        "Predictions",
        {
            "predictions": {"type": "array", "items": _closed("ListedPrediction", _PREDICTION_PARTS)},
            **_ANSWER_PARTS,
        },
    ),
    "Findings": {
        "title": "Findings",
        "type": "object",
        "description": "Every field at fault, at most 20.",
        "properties": {
            "detail": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                        "msg": {"type": "string"},
                        "input": {"description": "The value at fault, shortened if it is long."},
                    },
                    "required": ["type", "loc", "msg", "input"],
                },
            }
        },
        "required": ["detail"],
    },
    "Refusal": {
        "title": "Refusal",
        "type": "object",
        "properties": {"detail": {"type": "string"}},
        "required": ["detail"],
    },
}


def add_predict(document: dict[str, Any], manifest: Manifest | None, limits: RequestLimits) -> None:
    """Adds POST /predict and its schemas to the document; without a manifest yet, bodies are any object."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_ANSWERS)
    if manifest is None:
        content: dict[str, Any] = {"schema": {"type": "object", "description": "Known once the model is loaded."}}
    else:
        forms = RequestSchemas(manifest.features, limits)
        schemas.update({"Instance": forms.instance, "Instances": forms.instances, "Lines": forms.lines})
        content = {
            "schema": {"oneOf": [{"$ref": f"{_REF}{name}"} for name in ("Instance", "Instances", "Lines")]},
            "examples": _examples(manifest),
        }
    document["paths"]["/predict"] = {"post": _operation(content, limits)}


def _operation(content: dict[str, Any], limits: RequestLimits) -> dict[str, Any]:
    return {
        "operationId": "predict",
        "tags": ["prediction"],
        "summary": "Price sensitivity of one basket or several",
        "description": (
            "Takes one basket as ready features, several as `instances`, or the till `lines` of one basket. "
            "All lines carry the BASKET_ID of the first, if any. Unknown category values count as `other`; "
            "optional fields that are left out or null take the model's default."
        ),
        "parameters": [
            {
                "name": "X-Request-Id",
                "in": "header",
                "required": False,
                "description": "Returned as request_id; one is made if it is absent or not 1-128 of A-Za-z0-9._:/+=@-.",
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": _response("The prediction, or a list of them for `instances`.", "Prediction", "Predictions"),
            "408": _response(f"The body did not arrive within {limits.body_timeout_s:g} s.", "Refusal"),
            "413": _response(f"The body is larger than {limits.body_bytes} bytes.", "Refusal"),
            "422": _response("Fields are missing or wrong; each is named with its value.", "Findings"),
            "503": {
                **_response(f"Not ready, or more than {limits.in_flight} requests are waiting.", "Refusal"),
                "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}},
            },
        },
    }


def _response(description: str, *names: str) -> dict[str, Any]:
    refs = [{"$ref": f"{_REF}{name}"} for name in names]
    schema = refs[0] if len(refs) == 1 else {"oneOf": refs}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _examples(manifest: Manifest) -> dict[str, Any]:
    first, second = (golden_instance(manifest, row) for row in manifest.golden[:2])
    examples: dict[str, Any] = {
        "one basket": {"summary": "One basket as ready features", "value": first},
        "several baskets": {"summary": "Several baskets", "value": {"instances": [first, second]}},
        "till lines": {"summary": "The till lines of one basket", "value": _minimal_lines()},
    }
    if manifest.golden_baskets:
        examples["till lines"]["value"] = golden_lines(manifest.golden_baskets[0])
    return examples


def _minimal_lines() -> dict[str, Any]:
    """The least that a line must say, for a manifest that carries no golden basket."""
    values: dict[str, Any] = {"integer": 1, "number": 2.5, "text": "PRD0900001"}
    return {"lines": [{column.name: values[column.kind] for column in COLUMNS if column.required}]}
