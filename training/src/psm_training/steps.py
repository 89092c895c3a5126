"""All steps in one place; importing it imports scikit-learn, so commands that train nothing stay away from it."""

from collections.abc import Callable
from typing import Final

from psm_training.evaluate import evaluate
from psm_training.features import features
from psm_training.ingest import ingest
from psm_training.package import package
from psm_training.recipes import Recipe
from psm_training.split import split
from psm_training.train import train
from psm_training.validation.step import Validation, validate
from psm_training.workspace import Workspace

__all__ = ["OF_DATA", "OF_RECIPE", "Validation", "ingest", "package", "split", "validate"]

OF_DATA: Final[dict[str, Callable[[Workspace], str]]] = {"validate": validate, "split": split}
"""Steps that need the workspace only, in order."""

OF_RECIPE: Final[dict[str, Callable[[Workspace, Recipe], str]]] = {
    "features": features,
    "train": train,
    "evaluate": evaluate,
}
"""Steps of one model, in order; `package` follows."""
