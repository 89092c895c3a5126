"""`psm-train benchmark`: every family fitted and scored on the same baskets, each packaged as it would be served.

Writes comparison.json: one entry per model, with the most frequent class below and, where the source knows it, the
best possible classifier above. The test set is looked at, so nothing may be chosen by it: `models.tuning` chooses.
"""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from psm_contract.schema import CLASSES
from psm_training import steps
from psm_training.cache import outcome_key
from psm_training.models.predictions import Predictions
from psm_training.progress import Progress
from psm_training.provenance import Commit, data_sha256
from psm_training.recipes import Recipe
from psm_training.report import ROOT, evaluation, metrics_of
from psm_training.split import TEST, TRAIN
from psm_training.workspace import Workspace, read_json, write_json

MAJORITY: Final = "majority"
BAYES: Final = "bayes"


def benchmark(space: Workspace, recipes: Sequence[Recipe], commit: Commit, progress: Progress) -> dict[str, Any]:
    """Trains, evaluates and packages every recipe, and compares them.

    A recipe that the workspace has already from the same code, libraries and data is not trained again.

    Args:
        space: Where `split` wrote.
        recipes: What to compare.
        commit: For the archives.
        progress: Runs the steps.

    Returns:
        The document of comparison.json.
    """
    source = str(read_json(space.source, "ingest")["source"])
    data = data_sha256(space)
    rows = []
    for place, recipe in enumerate(recipes):
        key, kept = f"{outcome_key(recipe, source)} {data}", space.of(recipe.name).folder / "benchmark.json"
        if not kept.exists() or json.loads(kept.read_text(encoding="utf-8"))["key"] != key:
            _train(space, recipe, recipes[:place], commit, progress)
            write_json(kept, {"key": key, "row": _row(space, recipe, progress)})
        rows.append(json.loads(kept.read_text(encoding="utf-8"))["row"])
    document = {"models": [*_bounds(space, recipes[0], source), *rows]}
    write_json(space.comparison, document)
    return document


def _train(space: Workspace, recipe: Recipe, before: Sequence[Recipe], commit: Commit, progress: Progress) -> None:
    """All steps of one recipe; features that an earlier one has made of the same tables are taken from it."""
    files = space.of(recipe.name)
    alike = [other for other in before if other.tables == recipe.tables]
    for name, step in steps.OF_RECIPE.items():
        if name == "features" and alike:
            made = space.of(alike[0].name)
            shutil.copyfile(made.features, files.features)
            shutil.copyfile(made.tables, files.tables)
        else:
            progress.step(f"{recipe.name} {name}", partial(step, space, recipe))
    progress.step(f"{recipe.name} package", partial(steps.package, space, recipe, commit))


def _row(space: Workspace, recipe: Recipe, progress: Progress) -> dict[str, Any]:
    files = space.of(recipe.name)
    document = read_json(files.evaluation, "evaluate")
    return {
        "name": recipe.name,
        "family": recipe.family,
        **_scores(document),
        "validation_accuracy": document["validation_households"]["accuracy"],
        "fit_seconds": round(progress.seconds[f"{recipe.name} train"], 2),
        "bytes": files.artifact.stat().st_size,
    }


def _scores(document: dict[str, Any]) -> dict[str, Any]:
    metrics = metrics_of(document)
    return {
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "precision": {name: metrics[f"precision_{name}"] for name in CLASSES},
        "interval": document[ROOT]["accuracy"]["confidence_interval_95"],
    }


def _bounds(space: Workspace, recipe: Recipe, source: str) -> list[dict[str, Any]]:
    """What any model must beat, and what none can, where that is known."""
    files = space.of(recipe.name)
    test = Predictions.of(files.predictions, TEST)
    with np.load(files.features, allow_pickle=False) as stored:
        most_frequent = np.bincount(stored[f"{TRAIN}_label"]).argmax()
    constant = evaluation(test.label, np.full_like(test.label, most_frequent), test.household)
    rows = [{"name": MAJORITY, "family": "constant", **_scores(constant), "fit_seconds": 0.0, "bytes": 0}]
    best = read_json(space.source, "ingest").get("bayes_accuracy")
    return rows if best is None else [*rows, {"name": BAYES, "family": source, "accuracy": float(best)}]
