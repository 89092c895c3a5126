"""POST /predict in OpenAPI."""

from typing import Any, Final

from psm_contract.manifest import Manifest
from psm_contract.schema import CLASSES, COLUMNS
from psm_predictor.golden import golden_lines
from psm_predictor.openapi.parts import REQUEST_ID, UNKNOWN_YET, Parts, closed, one_of, refusals, response
from psm_predictor.request import Form
from psm_predictor.schema import Schema

PREDICTION_PARTS: Final[Schema] = {
    "label": {"type": "string", "enum": list(CLASSES), "description": "The most probable class."},
    "probabilities": {
        "type": "object",
        "description": "Probability of each class; they sum to 1.",
        "properties": {name: {"type": "number", "minimum": 0, "maximum": 1.000001} for name in CLASSES},
        "required": list(CLASSES),
        "additionalProperties": False,
    },
}
_BY_CLASS: Final[Schema] = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in CLASSES},
    "required": list(CLASSES),
    "additionalProperties": False,
}
_EXPLANATION: Final[Schema] = {
    "description": "Base and contributions of a class sum to its probability, or its margin before softmax.",
    **closed(
        "Explanation",
        {
            "scale": {"type": "string", "enum": ["probability", "margin"]},
            "base": {**_BY_CLASS, "description": "What is answered on average."},
            "features": {
                "type": "array",
                "description": "All features, those that moved the label most first.",
                "items": closed(
                    "Contribution",
                    {
                        "name": {"type": "string"},
                        "value": {"type": ["number", "string"]},
                        "contributions": _BY_CLASS,
                    },
                ),
            },
        },
    ),
}
_EXPLAINED_PARTS: Final[Schema] = {**PREDICTION_PARTS, "explanation": _EXPLANATION}
_ANSWER_PARTS: Final[Schema] = {
    "model_version": {"type": "integer", "description": "Version of the model package that answered."},
    "request_id": {"type": "string", "description": "The request's X-Request-Id, or one made for it."},
}
_ANSWERS: Final[dict[str, Schema]] = {
    "ListedPrediction": closed("ListedPrediction", PREDICTION_PARTS),
    "Prediction": closed("Prediction", {**PREDICTION_PARTS, **_ANSWER_PARTS}),
    "Predictions": closed(
        "Predictions",
        {
            "predictions": {"type": "array", "items": closed("ListedPrediction", PREDICTION_PARTS)},
            **_ANSWER_PARTS,
        },
    ),
    "ExplainedPrediction": closed("ExplainedPrediction", {**_EXPLAINED_PARTS, **_ANSWER_PARTS}),
    "ExplainedPredictions": closed(
        "ExplainedPredictions",
        {
            "predictions": {"type": "array", "items": closed("ListedExplained", _EXPLAINED_PARTS)},
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


def components(parts: Parts) -> dict[str, Schema]:
    """Answers, and the forms of the body once the model is loaded."""
    if parts.schemas is None:
        return _ANSWERS
    forms = parts.schemas.predict
    named = {"Instance": forms[Form.BASKET], "Instances": forms[Form.INSTANCES], "Lines": forms[Form.LINES]}
    return {**_ANSWERS, **named}


def paths(parts: Parts) -> dict[str, Any]:
    """The path and its operation."""
    content: dict[str, Any] = {"schema": UNKNOWN_YET}
    if parts.manifest is not None:
        content = {"schema": one_of("Instance", "Instances", "Lines"), "examples": json_examples(parts)}
    operation = {
        "operationId": "predict",
        "tags": ["prediction"],
        "summary": "Price sensitivity of one basket or several",
        "description": (
            "Takes one basket as ready features, several as `instances`, or the till `lines` of one basket. "
            "All lines carry the BASKET_ID of the first, if any. Unknown category values count as `other`; "
            "optional fields that are left out or null take the model's default."
        ),
        "parameters": [REQUEST_ID, _explain(parts)],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": response(
                "The prediction, or a list of them for `instances`.",
                "Prediction",
                "Predictions",
                "ExplainedPrediction",
                "ExplainedPredictions",
            ),
            "415": response("The body is compressed.", "Refusal"),
            "422": response(
                "Fields are missing or wrong, each with its value; or no explanation can be had.", "Findings"
            ),
            **refusals(parts.limits, "Refusal"),
        },
    }
    return {"/predict": {"post": operation}}


def _explain(parts: Parts) -> Schema:
    return {
        "name": "explain",
        "in": "query",
        "required": False,
        "description": (
            "Also say what each feature contributed, by TreeSHAP: milliseconds per basket, so for at most "
            f"{parts.limits.explained} baskets. 422 where the model is no ensemble of trees, or psm-predictor[explain] "
            "is not installed."
        ),
        "schema": {"type": "boolean", "default": False},
    }


def json_examples(parts: Parts) -> dict[str, Any]:
    """Golden rows and a golden basket, in each form."""
    if parts.manifest is None:
        return {}
    first, second = parts.golden(2)
    return {
        "one basket": {"summary": "One basket as ready features", "value": first},
        "several baskets": {"summary": "Several baskets", "value": {"instances": [first, second]}},
        "till lines": {"summary": "The till lines of one basket", "value": _lines(parts.manifest)},
    }


def _lines(manifest: Manifest) -> dict[str, Any]:
    if manifest.golden_baskets:
        return golden_lines(manifest.golden_baskets[0])
    # the least that a line must say, for a manifest that carries no golden basket
    values: dict[str, Any] = {"integer": 1, "number": 2.5, "text": "PRD0900001"}
    return {"lines": [{column.name: values[column.kind] for column in COLUMNS if column.required}]}
