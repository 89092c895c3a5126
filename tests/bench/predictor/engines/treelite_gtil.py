"""Treelite's general tree inference library, one thread."""

from pathlib import Path
from typing import Any

import joblib
import treelite


def model_of(directory: Path) -> Any:
    """The forest as Treelite has it."""
    return treelite.sklearn.import_model(joblib.load(directory / "model.joblib"))


def load(directory: Path) -> Any:
    """The engine."""
    model = model_of(directory)
    return lambda matrix: treelite.gtil.predict(model, matrix, nthread=1).reshape(len(matrix), -1)
