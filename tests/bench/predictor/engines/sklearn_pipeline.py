"""scikit-learn's whole pipeline over a DataFrame with category words, made within the call, as a server would."""

import json
from pathlib import Path
from typing import Any

import joblib
import pandas as pd


def load(directory: Path) -> Any:
    """The engine."""
    model = joblib.load(directory / "pipeline.joblib")
    features = json.loads((directory / "manifest.json").read_bytes())["features"]
    names = [feature["name"] for feature in features]
    words = [feature["vocabulary"] for feature in features if feature["kind"] == "category"]

    def predict(matrix: Any) -> Any:
        rows = [
            [*row[: -len(words)], *(known[int(code)] for known, code in zip(words, row[-len(words) :], strict=True))]
            for row in matrix.tolist()
        ]
        return model.predict_proba(pd.DataFrame(rows, columns=names))

    return predict
