"""The structure of a dashboard's body, as CloudWatch documents it, in JSON Schema; as much of it as our dashboards use.

Source: "Dashboard Body Structure and Syntax" of the CloudWatch API reference,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html.
What the page does not name is refused here, so that a mistyped property is found; CloudWatch would ignore it.
"""

from typing import Any, Final

COLOUR: Final = {"type": "string", "pattern": "^#[0-9a-f]{6}$"}
MOMENT: Final = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z$"}
PERIOD: Final = {"type": "integer", "anyOf": [{"enum": [1, 5, 10, 30]}, {"multipleOf": 60, "minimum": 60}]}
STATISTIC: Final = {
    "type": "string",
    "pattern": r"^(Average|Minimum|Maximum|Sum|SampleCount|p\d{1,2}(\.\d{1,10})?|p100|(tm|tc|ts|wm)\d{1,2})$",
}
AXIS: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "label": {"type": "string"},
        "min": {"type": "number"},
        "max": {"type": "number"},
        "showUnits": {"type": "boolean"},
    },
}
RENDERING: Final[dict[str, Any]] = {
    "color": COLOUR,
    "id": {"type": "string", "pattern": "^[a-z][A-Za-z0-9_]*$"},
    "label": {"type": "string"},
    "period": PERIOD,
    "region": {"type": "string"},
    "visible": {"type": "boolean"},
    "yAxis": {"enum": ["left", "right"]},
}
EXPRESSION: Final = {
    "type": "object",
    "required": ["expression"],
    "additionalProperties": False,
    "properties": {**RENDERING, "expression": {"type": "string", "maxLength": 1024}},
}
OPTIONS: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {**RENDERING, "stat": STATISTIC, "accountId": {"type": "string"}},
}
METRIC: Final = {
    "type": "array",
    "minItems": 1,
    "maxItems": 2 + 2 * 30 + 1,
    "if": {"maxItems": 1},
    "then": {"items": EXPRESSION},
    "else": {
        "prefixItems": [{"type": "string", "minLength": 1, "maxLength": 255}] * 2,
        "items": {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 1024}, OPTIONS]},
    },
}
HORIZONTAL: Final = {
    "type": "object",
    "required": ["value"],
    "additionalProperties": False,
    "properties": {
        "value": {"type": "number"},
        "label": {"type": "string"},
        "color": COLOUR,
        "fill": {"enum": ["above", "below"]},
        "visible": {"type": "boolean"},
        "yAxis": {"enum": ["left", "right"]},
    },
}
VERTICAL: Final = {
    "type": "object",
    "required": ["value"],
    "additionalProperties": False,
    "properties": {
        "value": MOMENT,
        "label": {"type": "string"},
        "color": COLOUR,
        "fill": {"enum": ["before", "after"]},
        "visible": {"type": "boolean"},
    },
}
METRIC_WIDGET: Final = {
    "type": "object",
    "required": ["metrics", "region"],
    "additionalProperties": False,
    "properties": {
        "metrics": {"type": "array", "minItems": 1, "maxItems": 500, "items": METRIC},
        "region": {"type": "string", "pattern": "^[a-z]{2}(-[a-z]+)+-[0-9]$"},
        "title": {"type": "string"},
        "period": PERIOD,
        "stat": STATISTIC,
        "view": {"enum": ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"]},
        "stacked": {"type": "boolean"},
        "liveData": {"type": "boolean"},
        "yAxis": {"type": "object", "additionalProperties": False, "properties": {"left": AXIS, "right": AXIS}},
        "annotations": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "horizontal": {"type": "array", "items": HORIZONTAL},
                "vertical": {"type": "array", "items": VERTICAL},
            },
        },
    },
}
TEXT_WIDGET: Final = {
    "type": "object",
    "required": ["markdown"],
    "additionalProperties": False,
    "properties": {"markdown": {"type": "string"}, "background": {"enum": ["solid", "transparent"]}},
}
WIDGET: Final = {
    "type": "object",
    "required": ["type", "properties"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["metric", "text"]},
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
        "width": {"type": "integer", "minimum": 1, "maximum": 24},
        "height": {"type": "integer", "minimum": 1, "maximum": 1000},
        "properties": {"type": "object"},
    },
    "oneOf": [
        {"properties": {"type": {"const": "metric"}, "properties": METRIC_WIDGET}},
        {"properties": {"type": {"const": "text"}, "properties": TEXT_WIDGET}},
    ],
}
DASHBOARD_BODY: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["widgets"],
    "additionalProperties": False,
    "properties": {
        "widgets": {"type": "array", "maxItems": 500, "items": WIDGET},
        "start": {"type": "string", "pattern": r"^(-P(\d+[DWM])?(T\d+[HM])?|\d{4}-.*Z)$"},
        "end": {"type": "string"},
        "periodOverride": {"enum": ["auto", "inherit"]},
    },
}
"""An object of this structure is a body that PutDashboard takes."""
