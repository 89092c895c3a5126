"""onnxruntime over encoders and forest: category words go in, as two tensors, numbers and words."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from bench.predictor.engines.onnx_trees import session
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def load(directory: Path) -> Any:
    """The engine."""
    features = json.loads((directory / "manifest.json").read_bytes())["features"]
    words = [feature["vocabulary"] for feature in features if feature["kind"] == "category"]
    numbers = len(features) - len(words)
    encode = ColumnTransformer(
        [
            ("numbers", "passthrough", list(range(numbers))),
            ("words", OrdinalEncoder(categories=words), list(range(numbers, len(features)))),
        ]
    )
    encode.fit(np.array([[*[0.0] * numbers, *(known[0] for known in words)]], dtype=object))
    model = Pipeline([("encode", encode), ("forest", joblib.load(directory / "model.joblib"))])
    types = [("numbers", FloatTensorType([None, numbers])), ("words", StringTensorType([None, len(words)]))]
    options = {id(model.steps[-1][1]): {"zipmap": False}}
    run = session(to_onnx(model, initial_types=types, options=options).SerializeToString()).run

    def predict(matrix: Any) -> Any:
        codes = matrix[:, numbers:].astype(int).tolist()
        text = [[known[code] for known, code in zip(words, row, strict=True)] for row in codes]
        return run(["probabilities"], {"numbers": matrix[:, :numbers], "words": np.array(text, dtype=object)})[0]

    return predict
