"""What SageMaker accepts as ModelCardContent of a model package, as far as our cards go: names, types and limits."""

from typing import Any, Final

from jsonschema import Draft7Validator


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest}


def _name(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _list(items: dict[str, Any], most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _metric(kinds: list[str], value: dict[str, Any], x_axis: dict[str, Any], y_axis: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        {
            "name": _name(255),
            "notes": _text(1024),
            "type": {"enum": kinds},
            "value": value,
            "x_axis_name": x_axis,
            "y_axis_name": y_axis,
        },
        "name",
        "type",
        "value",
    )


NUMBER: Final[dict[str, Any]] = {"type": "number"}
AXIS: Final = _text(63)
TICKS: Final[dict[str, Any]] = {"type": "array", "items": AXIS}
PARAMETERS: Final = _list(_closed({"name": _name(255), "value": _name(255)}, "name", "value"), 100)
METRIC: Final = {
    "anyOf": [
        _metric(["number"], NUMBER, AXIS, AXIS),
        _metric(["string"], _text(63), AXIS, AXIS),
        _metric(["linear_graph"], _list(_list(NUMBER, 2, 2), 1000, 1), AXIS, AXIS),
        _metric(["bar_chart"], _list(NUMBER, 1000, 1), TICKS, AXIS),
        _metric(["matrix"], _list(_list(NUMBER, 20, 1), 20, 1), TICKS, TICKS),
    ]
}
EVALUATION: Final = _closed(
    {
        "name": _name(63),
        "evaluation_observation": _text(2096),
        "datasets": _list(_text(1024), 10),
        "metadata": {"type": "object", "additionalProperties": _text(1024)},
        "metric_groups": {
            "type": "array",
            "items": _closed(
                {"name": _name(63), "metric_data": {"type": "array", "items": METRIC}}, "name", "metric_data"
            ),
        },
    },
    "name",
)
MODEL_CARD_CONTENT: Final = Draft7Validator(
    _closed(
        {
            "model_overview": _closed({"model_creator": _text(1024), "model_artifact": _list(_text(1024), 15)}),
            "intended_uses": _closed(
                {
                    "purpose_of_model": _text(2048),
                    "intended_uses": _text(2048),
                    "factors_affecting_model_efficiency": _text(2048),
                    "risk_rating": {"enum": ["High", "Medium", "Low", "Unknown"]},
                    "explanations_for_risk_rating": _text(2048),
                }
            ),
            "business_details": _closed(
                {name: _text(2048) for name in ("business_problem", "business_stakeholders", "line_of_business")}
            ),
            "training_details": _closed(
                {
                    "objective_function": _closed(
                        {
                            "function": _closed(
                                {
                                    "function": {"enum": ["Maximize", "Minimize"]},
                                    "facet": _text(63),
                                    "condition": _text(63),
                                }
                            ),
                            "notes": _text(1024),
                        }
                    ),
                    "training_observations": _text(1024),
                    "training_job_details": _closed(
                        {"training_datasets": _list(_text(1024), 15), "user_provided_hyper_parameters": PARAMETERS}
                    ),
                }
            ),
            "evaluation_details": {"type": "array", "items": EVALUATION},
            "additional_information": _closed(
                {
                    "ethical_considerations": _text(2048),
                    "caveats_and_recommendations": _text(2048),
                    "custom_details": {"type": "object", "additionalProperties": _text(1024)},
                }
            ),
        }
    )
)
