"""Registered versions without training: predictions of a wished accuracy, and the files that `psm-train register` takes."""

import hashlib
import json
from pathlib import Path

import numpy as np

from psm_contract.schema import CLASSES
from psm_training.approval import kpis_of
from psm_training.models.predictions import Predictions
from psm_training.workspace import ModelFiles

HOUSEHOLDS = 300
BASKETS_OF_EACH = 6


def answers(right: float, *, seed: int, households: int = HOUSEHOLDS) -> Predictions:
    """Predictions for always the same baskets, right in about that share of them; the seed says where it errs."""
    baskets = households * BASKETS_OF_EACH
    rng = np.random.default_rng(seed)
    label = np.random.default_rng(7).integers(len(CLASSES), size=baskets)
    predicted = np.where(
        rng.random(baskets) < right, label, (label + rng.integers(1, len(CLASSES), size=baskets)) % len(CLASSES)
    )
    return Predictions(
        probabilities=np.eye(len(CLASSES), dtype=np.float32)[predicted],
        label=label.astype(np.int8),
        household=np.arange(baskets) // BASKETS_OF_EACH,
        basket=np.arange(baskets) + 994_100_000_000_000,
        week=np.full(baskets, 201745, dtype=np.int32),
    )


def model_files(folder: Path, of: Predictions, *, validation: str = "passed") -> ModelFiles:
    """The files of a model that gives these answers; its archive is no model, but has a digest of its own."""
    folder.mkdir(parents=True)
    files = ModelFiles(folder)
    files.artifact.write_bytes(of.probabilities.tobytes())
    sha256 = hashlib.sha256(files.artifact.read_bytes()).hexdigest()
    np.savez(files.predictions, **{f"test_{name}": column for name, column in vars(of).items()})
    card = {
        "recipe": {"name": folder.name},
        "protocol": 3,
        "sha256": sha256,
        "metrics": kpis_of(of),
        "training": {"source": "synthetic", "first_week": 201701, "last_week": 201738, "baskets": 1, "households": 1},
        "data_sha256": "d" * 64,
        "data_validation": validation,
        "git_sha": "c" * 40,
        "created_at": "2026-01-01T00:00:00Z",
    }
    files.card.write_text(json.dumps(card))
    files.evaluation.write_text("{}")
    return files
