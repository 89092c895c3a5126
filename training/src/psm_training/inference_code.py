"""code/inference.py of the archive: entry points for SageMaker's own scikit-learn container.

Copied into the archive as it is, so it imports only what that container has. Our predictor never runs it.
"""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np


def model_fn(model_dir: str) -> dict[str, Any]:
    """Loads the model and its manifest from the extracted archive."""
    root = Path(model_dir)
    manifest = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    return {"estimator": joblib.load(root / "model.joblib"), "manifest": manifest}


def input_fn(body: str | bytes, content_type: str = "application/json") -> list[dict[str, Any]]:
    """Reads {"instances": [{feature: value, ...}, ...]}."""
    if content_type != "application/json":
        raise ValueError(f"content type {content_type} is not supported; send application/json")
    instances: list[dict[str, Any]] = json.loads(body)["instances"]
    return instances


def predict_fn(instances: list[dict[str, Any]], model: dict[str, Any]) -> dict[str, Any]:
    """Class and probabilities of every instance."""
    features = model["manifest"]["features"]
    matrix = np.array([[_encoded(feature, row) for feature in features] for row in instances], dtype=np.float32)
    probabilities = model["estimator"].predict_proba(matrix)
    classes = model["manifest"]["classes"]
    return {"classes": [classes[row.argmax()] for row in probabilities], "probabilities": probabilities.tolist()}


def output_fn(prediction: dict[str, Any], accept: str = "application/json") -> str:
    """Writes the answer as JSON."""
    if accept not in {"application/json", "*/*"}:
        raise ValueError(f"accept {accept} is not supported; ask for application/json")
    return json.dumps(prediction)


def _encoded(feature: dict[str, Any], row: dict[str, Any]) -> float:
    """One value as the matrix holds it: a missing one is the default, an unknown word is "other"."""
    value = row.get(feature["name"], feature["default"])
    if value is None:
        raise ValueError(f"{feature['name']} is required")
    if feature["kind"] == "number":
        return float(value)
    words = feature["vocabulary"]
    return float(words.index(value) if value in words else len(words) - 1)
