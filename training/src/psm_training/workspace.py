"""Files of one run: every step reads the files of the steps before it, so each can be run alone and looked at."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psm_training.errors import PipelineError


@dataclass(frozen=True)
class Workspace:
    """A folder with silver, gold and one folder per recipe.

    Attributes:
        root: The folder; made when missing.
    """

    root: Path

    @property
    def lake(self) -> Path:
        """Silver, gold and quarantine, unless `ingest` was told of another lake."""
        return self.root / "lake"

    @property
    def silver(self) -> Path:
        """Lines with the 22 columns, labelled; a table of the lake, read by `psm_training.lake.views.open_lake`."""
        return self.lake / "silver"

    @property
    def gold(self) -> Path:
        """One row per basket with household, label, part and lines; a table of the lake likewise."""
        return self.lake / "gold"

    @property
    def source(self) -> Path:
        """Which source silver came from, and where its lake is."""
        return self.root / "source.json"

    @property
    def split(self) -> Path:
        """Which weeks were asked for as training, validation and test: psm_training.windows."""
        return self.root / "split.json"

    @property
    def validation(self) -> Path:
        """Verdict and checks on silver."""
        return self.root / "validation.json"

    @property
    def models(self) -> Path:
        """What the run made: one entry per recipe."""
        return self.root / "models.json"

    @property
    def comparison(self) -> Path:
        """Every family of estimators beside the others, of `psm-train benchmark`."""
        return self.root / "comparison.json"

    def of(self, recipe: str) -> "ModelFiles":
        """Files of one recipe."""
        folder = self.root / recipe
        folder.mkdir(parents=True, exist_ok=True)
        return ModelFiles(folder)


@dataclass(frozen=True)
class ModelFiles:
    """Files of one trained model."""

    folder: Path

    @property
    def features(self) -> Path:
        """Matrices and labels of the train, valid and test baskets."""
        return self.folder / "features.npz"

    @property
    def tables(self) -> Path:
        """Tables learned from the training baskets."""
        return self.folder / "tables.npz"

    @property
    def estimator(self) -> Path:
        """The fitted forest."""
        return self.folder / "model.joblib"

    @property
    def predictions(self) -> Path:
        """What the model answers to the valid and test baskets: psm_training.models.predictions."""
        return self.folder / "predictions.npz"

    @property
    def evaluation(self) -> Path:
        """evaluation.json in SageMaker's model-quality shape."""
        return self.folder / "evaluation.json"

    @property
    def artifact(self) -> Path:
        """model.tar.gz."""
        return self.folder / "model.tar.gz"

    @property
    def card(self) -> Path:
        """model.json: digest, metrics and training window, for `register`."""
        return self.folder / "model.json"


def write_json(path: Path, document: Any) -> None:
    """Writes a document with sorted keys."""
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path, step: str) -> Any:
    """Reads what an earlier step wrote.

    Raises:
        PipelineError: The step has not run.
    """
    try:
        return json.loads(need(path, step).read_text(encoding="utf-8"))
    except ValueError as err:
        raise PipelineError(f"{path} is damaged ({err}); remove it and run `psm-train {step}` again") from err


def need(path: Path, step: str) -> Path:
    """The path, if the step that writes it has run.

    Raises:
        PipelineError: It has not.
    """
    if not path.exists():
        raise PipelineError(f"{path} does not exist; run `psm-train {step}` first")
    return path
