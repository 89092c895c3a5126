"""Step 7: trained model -> model.tar.gz and model.json, its card for the registry."""

import io

import joblib
import numpy as np

from psm_contract.manifest import PROTOCOL, Training
from psm_contract.tables import Tables
from psm_training.artifact import Fitted, Provenance, write_artifact
from psm_training.features import labelled_parts
from psm_training.gold import Gold
from psm_training.provenance import Commit, data_sha256
from psm_training.recipes import Recipe
from psm_training.report import metrics_of
from psm_training.split import TEST, TRAIN
from psm_training.workspace import Workspace, need, read_json, write_json


def package(space: Workspace, recipe: Recipe, commit: Commit) -> str:
    """Writes the archive and the card.

    Returns:
        One line for the user.
    """
    files = space.of(recipe.name)
    parts = labelled_parts(space)
    training = _training(parts[TRAIN], str(read_json(space.source, "ingest")["source"]))
    metrics = metrics_of(read_json(files.evaluation, "evaluate"))
    with np.load(need(files.features, "features"), allow_pickle=False) as stored:
        window = stored[TRAIN]
    tables = Tables.from_npz(need(files.tables, "features").read_bytes())
    dumped = need(files.estimator, "train").read_bytes()
    sha256 = write_artifact(
        files.artifact,
        Fitted(joblib.load(io.BytesIO(dumped)), tables, window, dumped),
        parts[TEST],
        Provenance(training=training, metrics=metrics, git_sha=commit.sha, created_at=commit.time),
    )
    card = {
        "recipe": recipe.describe(),
        "protocol": PROTOCOL,
        "sha256": sha256,
        "metrics": metrics,
        "training": training.model_dump(),
        "data_sha256": data_sha256(space),
        "data_validation": read_json(space.validation, "validate")["verdict"],
        "git_sha": commit.sha,
        "created_at": commit.time,
    }
    write_json(files.card, card)
    return f"{files.artifact.stat().st_size / 1e6:.1f} MB, sha256 {sha256}"


def _training(train: Gold, source: str) -> Training:
    return Training(
        source=source,
        first_week=int(train.week.min()),
        last_week=int(train.week.max()),
        baskets=len(train),
        households=train.households,
    )
