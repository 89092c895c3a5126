"""POST /invocations in OpenAPI."""

import json
from typing import Any

from psm_predictor.dialects.sagemaker import Format
from psm_predictor.openapi.parts import REQUEST_ID, UNKNOWN_YET, Parts, one_of, ref, refusals, response
from psm_predictor.openapi.predict import json_examples
from psm_predictor.request import Form
from psm_predictor.schema import Schema


def components(parts: Parts) -> dict[str, Schema]:
    """What /invocations takes beyond /predict."""
    answers: dict[str, Schema] = {
        "PredictionList": {"title": "PredictionList", "type": "array", "items": ref("ListedPrediction")}
    }
    if parts.schemas is None:
        return answers
    forms = parts.schemas.invocations
    return {
        **answers,
        "InvocationInstances": {**forms[Form.INSTANCES], "title": "InvocationInstances"},
        "InvocationList": {**forms[Form.LIST], "title": "InvocationList"},
    }


def paths(parts: Parts) -> dict[str, Any]:
    """The path and its operation."""
    operation = {
        "operationId": "invocations",
        "tags": ["sagemaker"],
        "summary": "Price sensitivity of baskets, for SageMaker hosting and Batch Transform",
        "description": (
            "JSON as /predict takes it, or a bare list; in a list, a basket is an object, or the values of its features "
            "in the order of /model. JSON Lines and CSV hold a basket a line; CSV may begin with the features' names. "
            "Answers in the format of Accept, else in that of the body. SageMaker says what its clients should do about "
            "a status; nothing is retried here."
        ),
        "parameters": [REQUEST_ID],
        "requestBody": {"required": True, "content": _bodies(parts)},
        "responses": {
            "200": {
                "description": "One prediction per basket.",
                "content": {
                    Format.JSON.value: {"schema": one_of("Prediction", "Predictions", "PredictionList")},
                    Format.JSON_LINES.value: {"schema": {"type": "string", "description": "ListedPrediction a line."}},
                    Format.CSV.value: {"schema": {"type": "string", "description": "Label and probabilities a line."}},
                },
            },
            "406": response("Accept names none of the formats.", "Refusal"),
            "415": response("The body is in none of the formats, or compressed.", "Refusal"),
            "422": response("Fields are missing or wrong; each is named with its value.", "Findings"),
            **refusals(parts.limits, "Refusal"),
        },
    }
    return {"/invocations": {"post": operation}}


def _bodies(parts: Parts) -> dict[str, Any]:
    rows = parts.golden(2)
    if not rows:
        return {Format.JSON.value: {"schema": UNKNOWN_YET}}
    values = [list(row.values()) for row in rows]
    header = ",".join(rows[0])
    listed = {
        "rows": {"summary": "A bare list of lists of values", "value": values},
        "objects": {"summary": "A bare list of objects", "value": rows},
        "instances of values": {"summary": "Lists of values as instances", "value": {"instances": values}},
    }
    schema = one_of("Instance", "InvocationInstances", "Lines", "InvocationList")
    return {
        Format.JSON.value: {"schema": schema, "examples": {**json_examples(parts), **listed}},
        Format.JSON_LINES.value: {
            "schema": {"type": "string"},
            "example": "".join(json.dumps(row) + "\n" for row in rows),
        },
        Format.CSV.value: {
            "schema": {"type": "string"},
            "example": "".join(f"{line}\n" for line in (header, *(",".join(map(str, row)) for row in values))),
        },
    }
