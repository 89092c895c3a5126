"""`psm-train report`: the files of a run -> one HTML page, the same as JSON, and a card for every model.

Reads what the steps wrote and changes none of it. Predictions decide every figure about quality; the test baskets are
described here, after all choices were made on the validation baskets.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import joblib
import numpy as np
from numpy.typing import NDArray

from psm_contract.features import FEATURES, basket_features
from psm_training.errors import PipelineError
from psm_training.features import labelled_parts
from psm_training.gold import Gold
from psm_training.households import evaluation
from psm_training.lake.views import open_lake
from psm_training.model_quality import ROOT, metrics_of
from psm_training.models.predictions import Predictions
from psm_training.recipes import Recipe
from psm_training.report.calibration import calibration
from psm_training.report.card import card_content, write_card
from psm_training.report.eda import explore
from psm_training.report.figures_of_models import quality
from psm_training.report.importance import importance
from psm_training.report.learning import SHARES, Fit, learned, learning_curve
from psm_training.report.page import write_page
from psm_training.report.slices import COLUMNS, slices
from psm_training.split import TEST, TRAIN, VALID
from psm_training.workspace import ModelFiles, Workspace, need, read_json, write_json

Say = Callable[[str], None]

SAME: Final = 1e-9
"""Two sums of the same counts differ by less."""


def report(space: Workspace, recipes: Sequence[Recipe], say: Say, *, curve: bool = True) -> dict[str, Any]:
    """Writes report.html, report.json and report.svg, and model_card.md and model_card.json beside each model.

    Args:
        space: Where the recipes were trained, with their data.
        recipes: Models to report on.
        say: Told of what takes long.
        curve: Whether the best model is fitted again on fewer households; takes as long as training.

    Returns:
        Where the files are, and the metrics of each model.

    Raises:
        PipelineError: A step has not run, or its files belong to another run than the predictions.
    """
    if not space.source.exists():
        raise PipelineError(
            f"{space.root} holds no data: kept outcomes come without it; train there with `psm-train run --no-cache`"
        )
    models = {}
    with open_lake(space) as database:
        context = _context(database)
        for recipe in recipes:
            say(f"{recipe.name}: calibration, slices, importance")
            models[recipe.name] = _model(space.of(recipe.name), context)
        best = max(recipes, key=lambda each: models[each.name]["validation_households"]["accuracy"])
        with np.load(need(space.of(best.name).features, "features"), allow_pickle=False) as stored:
            data = explore(database, stored[TRAIN], stored[f"{TRAIN}_label"])
    if curve:
        models[best.name]["learning_curve"] = _learning_curve(space, best, say)
    document = {
        "best": best.name,
        "source": read_json(space.source, "ingest"),
        "validation": read_json(space.validation, "validate"),
        "data": data,
        "models": models,
        "comparison": _comparison(space, models),
    }
    return _write(space, document)


def _write(space: Workspace, document: dict[str, Any]) -> dict[str, Any]:
    page, figures, picture = (space.root / f"report.{kind}" for kind in ("html", "json", "svg"))
    best = document["best"]
    write_json(figures, document)
    document = read_json(figures, "report")  # what is told is a function of the file, down to the order
    write_page(page, document)
    picture.write_text(quality(best, document["models"][best], standalone=True), encoding="utf-8")
    cards = {}
    for name, model in document["models"].items():
        card = write_card(space.of(name).folder, card_content(name, model, document))
        cards[name] = {"card": str(card), **metrics_of(model)}
    return {"report": str(page), "figures": str(figures), "picture": str(picture), "best": best, "models": cards}


def _model(files: ModelFiles, context: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The evaluation document of the test baskets, with all that the report adds."""
    test, valid = (Predictions.of(files.predictions, part) for part in (TEST, VALID))
    document = evaluation(test.label, test.predicted, test.household)
    _prove_same(files, metrics_of(document))
    columns = {name: _of_baskets(test.basket, context["basket"], context[name]) for name in COLUMNS}
    return {
        **document,
        "validation_households": metrics_of(evaluation(valid.label, valid.predicted, valid.household)),
        "calibration": calibration(test.probabilities, test.label, test.household),
        "slices": slices(columns, test.label, test.predicted, test.household),
        "importance": _importance(files),
        "card": read_json(files.card, "package"),
        "bytes": need(files.artifact, "package").stat().st_size,
    }


def _prove_same(files: ModelFiles, metrics: dict[str, float]) -> None:
    """Refuses predictions and a package of two different trainings."""
    registered = read_json(files.card, "package")["metrics"]
    for name, value in metrics.items():
        if abs(registered[name] - value) > SAME:
            raise PipelineError(
                f"{files.card} says {name} {registered[name]:.6f}, {files.predictions} gives {value:.6f}: "
                "they come from two trainings; run `psm-train evaluate` and `psm-train package` again"
            )


def _importance(files: ModelFiles) -> dict[str, Any]:
    """On the validation baskets: the test baskets are not looked at to learn about the model."""
    estimator = joblib.load(need(files.estimator, "train"))
    with np.load(need(files.features, "features"), allow_pickle=False) as stored:
        matrix, label, household = (stored[name] for name in (VALID, f"{VALID}_label", f"{VALID}_household"))
    return importance(estimator.predict, matrix, label, household, [spec.name for spec in FEATURES])


def _context(database: duckdb.DuckDBPyConnection) -> dict[str, NDArray[Any]]:
    """BASKET_ID and the sliced columns of the test baskets, in the order of BASKET_ID."""
    rows = database.execute(
        f"SELECT BASKET_ID, {', '.join(COLUMNS)} FROM gold WHERE part = $part ORDER BY BASKET_ID",  # noqa: S608  # names of our own schema
        {"part": TEST},
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * (1 + len(COLUMNS))
    return {
        "basket": np.array(columns[0], dtype=np.int64),
        **{name: np.array(values, dtype=object) for name, values in zip(COLUMNS, columns[1:], strict=True)},
    }


def _of_baskets(
    wanted: NDArray[np.int64], baskets: NDArray[np.int64], values: NDArray[np.object_]
) -> NDArray[np.object_]:
    """The value of each wanted basket."""
    place = np.minimum(np.searchsorted(baskets, wanted), max(0, len(baskets) - 1))
    if not len(baskets) or (baskets[place] != wanted).any():
        raise PipelineError("predictions name baskets that gold does not hold; run `psm-train evaluate` again")
    return values[place]


def _learning_curve(space: Workspace, recipe: Recipe, say: Say) -> list[dict[str, Any]]:
    """The last point is the model itself."""
    parts = labelled_parts(space)
    found = Predictions.of(space.of(recipe.name).predictions, VALID)
    whole = learned(parts[TRAIN], evaluation(found.label, found.predicted, found.household))
    return [*learning_curve(_fit(recipe), parts[TRAIN], parts[VALID], SHARES, say), whole]


def _fit(recipe: Recipe) -> Fit:
    from psm_training.models.families import fit_estimator  # noqa: PLC0415  # scikit-learn, for the curve alone
    from psm_training.tables import cross_fitted_features, fit_tables  # noqa: PLC0415

    def fit(known: Gold) -> Callable[[Gold], NDArray[np.int8]]:
        tables = fit_tables(known, recipe.tables)
        matrix = cross_fitted_features(known, tables, recipe.tables)
        estimator = fit_estimator(recipe.estimator, matrix, known.label, seed=recipe.seed, jobs=2)
        return lambda others: np.asarray(estimator.predict(basket_features(others.lines, tables)), dtype=np.int8)

    return fit


def _comparison(space: Workspace, models: dict[str, Any]) -> list[dict[str, Any]]:
    """What `psm-train benchmark` measured, or at least the models of this report and the most frequent class."""
    if space.comparison.exists():
        return list(read_json(space.comparison, "benchmark")["models"])
    rows = [
        {
            "name": name,
            "family": model["card"]["recipe"].get("family"),
            "accuracy": model[ROOT]["accuracy"]["value"],
            "interval": model[ROOT]["accuracy"]["confidence_interval_95"],
            "macro_f1": model[ROOT]["macro_f1"]["value"],
            "precision": {word: found["value"] for word, found in model[ROOT]["precision"].items()},
            "bytes": model["bytes"],
        }
        for name, model in models.items()
    ]
    first = next(iter(models.values()))[ROOT]
    return [*rows, {"name": "majority", "accuracy": first["accuracy_best_constant_classifier"]["value"]}]


def reported(space: Workspace, recipes: Iterable[Recipe]) -> list[Recipe]:
    """The recipes that were evaluated in the workspace.

    Raises:
        PipelineError: None was.
    """
    found = [recipe for recipe in recipes if _predictions(space.root, recipe).exists()]
    if not found:
        raise PipelineError(f"{space.root} holds no evaluated model; run `psm-train run` or `psm-train evaluate` first")
    return found


def _predictions(root: Path, recipe: Recipe) -> Path:
    return ModelFiles(root / recipe.name).predictions
