"""POST /v2/models/{name}/infer in OpenAPI."""

from typing import Any, Final

from psm_contract.manifest import Manifest
from psm_predictor.dialects.tensors import BYTES, DTYPES
from psm_predictor.dialects.v2 import FEATURES, JSON_LENGTH, LABEL, LONGEST_ID, OUTPUTS, PROBABILITIES
from psm_predictor.openapi.parts import REQUEST_ID, Parts, ref, refusals, response
from psm_predictor.rows import word_codes
from psm_predictor.schema import Schema

_PATH: Final = "/v2/models/{model_name}"
_SIZE: Final[Schema] = {"type": "integer", "minimum": 0, "description": "Bytes of this tensor after the JSON document."}
_SHAPE: Final[Schema] = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2}
_DATATYPE: Final[Schema] = {"type": "string", "enum": [*DTYPES, BYTES]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _parameters(name: str, schema: Schema) -> Schema:
    return _or_null({"type": "object", "properties": {name: schema}})


_BOOLEAN: Final[Schema] = {"type": "boolean"}
_COMPONENTS: Final[dict[str, Schema]] = {
    "InferenceInput": {
        "title": "InferenceInput",
        "description": (
            f"One tensor: {FEATURES!r} of shape [n, features] with categories as places in their vocabulary, or one of a "
            "feature's name and shape [n] or [n, 1], categories as words of datatype BYTES."
        ),
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": _DATATYPE,
            "shape": _SHAPE,
            "parameters": _parameters("binary_data_size", _or_null(_SIZE)),
            "data": {"description": "Elements in row-major order, flat or nested as the shape says."},
        },
        "required": ["name", "datatype", "shape"],
    },
    "InferenceRequest": {
        "title": "InferenceRequest",
        "type": "object",
        "properties": {
            "id": _or_null({"type": "string", "maxLength": LONGEST_ID, "description": "Returned as it is."}),
            "parameters": _parameters("binary_data_output", _BOOLEAN),
            "inputs": {"type": "array", "items": ref("InferenceInput"), "minItems": 1},
            "outputs": _or_null(
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string", "enum": list(OUTPUTS)},
                            "parameters": _parameters("binary_data", _or_null(_BOOLEAN)),
                        },
                        "required": ["name"],
                    },
                }
            ),
        },
        "required": ["inputs"],
    },
    "InferenceResponse": {
        "title": "InferenceResponse",
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string", "description": "The request's id, else its X-Request-Id, else one made for it."},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "description": f"{PROBABILITIES!r}, FP32 [n, classes], or {LABEL!r}, BYTES [n].",
                    "properties": {
                        "name": {"type": "string", "enum": list(OUTPUTS)},
                        "datatype": _DATATYPE,
                        "shape": _SHAPE,
                        "data": {"type": "array", "items": {"type": ["number", "string"]}},
                        "parameters": {"type": "object", "properties": {"binary_data_size": _SIZE}},
                    },
                    "required": ["name", "datatype", "shape"],
                },
            },
        },
        "required": ["model_name", "model_version", "id", "outputs"],
    },
    "ProtocolError": {
        "title": "ProtocolError",
        "type": "object",
        "properties": {"error": {"type": "string"}},
        "required": ["error"],
    },
}


def components(_parts: Parts) -> dict[str, Schema]:
    """Requests and answers of the protocol."""
    return _COMPONENTS


def paths(parts: Parts) -> dict[str, Any]:
    """The path with and without a version."""
    name = _path_parameter("model_name", parts.package.group)
    version = _path_parameter("model_version", str(parts.package.version))
    return {
        f"{_PATH}/infer": {"post": _operation(parts, "infer", [name])},
        f"{_PATH}/versions/{{model_version}}/infer": {"post": _operation(parts, "infer_version", [name, version])},
    }


def _path_parameter(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": value}


def _operation(parts: Parts, operation_id: str, path: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": ref("InferenceRequest")}
    if parts.manifest is not None:
        content["examples"] = _examples(parts.manifest, parts.golden(2))
    length = {
        "name": JSON_LENGTH.decode().title(),
        "in": "header",
        "required": False,
        "description": "Length of the JSON document, where bytes of tensors follow it.",
        "schema": {"type": "integer", "minimum": 0},
    }
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "operationId": operation_id,
        "tags": ["open inference protocol"],
        "summary": "Price sensitivity of baskets, in the Open Inference Protocol",
        "description": "Version 2 over HTTP, with the binary tensor extension.",
        "parameters": [*path, REQUEST_ID, length],
        "requestBody": {
            "required": True,
            "content": {"application/json": content, "application/octet-stream": binary},
        },
        "responses": {
            "200": {
                "description": "The outputs; in binary, their bytes follow the JSON document.",
                "content": {
                    "application/json": {"schema": ref("InferenceResponse")},
                    "application/octet-stream": binary,
                },
            },
            "400": response("The request is not valid; the first fault is named.", "ProtocolError"),
            "404": response("Another model or version.", "ProtocolError"),
            "415": response("The body is compressed.", "ProtocolError"),
            **refusals(parts.limits, "ProtocolError"),
        },
    }


def _examples(manifest: Manifest, rows: list[dict[str, float | str]]) -> dict[str, Any]:
    count = len(rows)
    codes = [
        [word_codes(feature)[row[feature.name]] if feature.kind == "category" else row[feature.name] for row in rows]
        for feature in manifest.features
    ]
    one = {
        "name": FEATURES,
        "datatype": "FP32",
        "shape": [count, len(manifest.features)],
        "data": [value for row in zip(*codes, strict=True) for value in row],
    }
    each = [
        {
            "name": feature.name,
            "datatype": "FP64" if feature.kind == "number" else BYTES,
            "shape": [count],
            "data": [row[feature.name] for row in rows],
        }
        for feature in manifest.features
    ]
    return {
        "a tensor per feature": {"summary": "Categories as words", "value": {"id": "42", "inputs": each}},
        "one tensor": {
            "summary": "Categories as places in their vocabulary",
            "value": {"inputs": [one], "outputs": [{"name": LABEL}]},
        },
    }
