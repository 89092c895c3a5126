"""scikit-learn's forest from joblib, over a numpy matrix."""

from pathlib import Path
from typing import Any

import joblib


def load(directory: Path) -> Any:
    """The engine."""
    return joblib.load(directory / "model.joblib").predict_proba
