"""The whole pipeline in order, or its kept outcome."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psm_training.cache import keep, outcome_key, restore
from psm_training.errors import PipelineError
from psm_training.progress import Progress, Say
from psm_training.provenance import Commit, current_commit, data_sha256
from psm_training.recipes import Recipe
from psm_training.settings import Settings
from psm_training.sources.raw_files import fingerprint
from psm_training.terms import STRICT, Terms, check_source
from psm_training.windows import DEFAULT, SplitOptions
from psm_training.workspace import Workspace, read_json, write_json


@dataclass(frozen=True)
class Order:
    """What to train.

    Attributes:
        source: Name of the source.
        data: Folder, file or s3:// address of its files, where it needs one.
        lake: Folder or s3:// address of silver and gold; by default inside the workspace.
        recipes: Models to train.
        use_cache: Whether a kept outcome may stand in for training.
        allow_failed_validation: Train although data validation failed; the verdict stays with the model.
        weeks: Which weeks train, validate and test.
        terms: What of the files is taken as it is.
    """

    source: str
    recipes: Sequence[Recipe]
    data: str | None = None
    lake: str | None = None
    use_cache: bool = True
    allow_failed_validation: bool = False
    weeks: SplitOptions = DEFAULT
    terms: Terms = STRICT


def run(space: Workspace, order: Order, settings: Settings, say: Say) -> dict[str, Any]:
    """Brings model.tar.gz, evaluation.json and model.json of every recipe into the workspace.

    Returns:
        The card of each recipe by name, as in models.json.

    Raises:
        PipelineError: A step could not go on.
    """
    check_source(order.source, order.data, order.terms)
    progress = Progress(say)
    data = _data(space, order, progress)
    keys = {recipe.name: outcome_key(recipe, order.source, data) for recipe in order.recipes}
    missing: list[Recipe] = []
    for recipe in order.recipes:
        kept = order.use_cache and restore(
            settings.cache_dir, keys[recipe.name], space.of(recipe.name), allow_failed=order.allow_failed_validation
        )
        if kept:
            say(f"{recipe.name}: trained before with the same code, libraries and data ({keys[recipe.name][:12]})")
        else:
            missing.append(recipe)
    if missing:
        prepare(space, order, progress, ingested=order.lake is not None)
    commit = current_commit(settings)
    for recipe in missing:
        _train(space, recipe, commit, progress)
        keep(settings.cache_dir, keys[recipe.name], space.of(recipe.name))
    cards = {recipe.name: read_json(space.of(recipe.name).card, "package") for recipe in order.recipes}
    write_json(space.models, cards)
    return cards


def _data(space: Workspace, order: Order, progress: Progress) -> list[str]:
    """What beside code and recipe decides the outcome: the files, or all that the lake holds with them, and the weeks."""
    asked = [json.dumps(order.weeks.describe(), sort_keys=True), repr(order.terms)]
    if order.lake is None:
        return asked + (fingerprint(order.data) if order.data is not None else [])
    # what earlier runs left in the lake is trained on as well, and only ingesting tells what that comes to
    progress.step("ingest", lambda: _ingest(space, order, progress))
    return [*asked, order.lake, data_sha256(space)]


def prepare(space: Workspace, order: Order, progress: Progress, *, ingested: bool = False) -> None:
    """Raw -> silver -> gold, for all recipes.

    Raises:
        PipelineError: A step could not go on, validation among them unless the order allows that.
    """
    from psm_training import steps  # noqa: PLC0415  # a kept outcome needs no scikit-learn, which takes seconds

    validation = steps.Validation(space)
    if not ingested:
        progress.step("ingest", lambda: _ingest(space, order, progress))
    _validated(order, progress, "validate", validation.validate)
    progress.step("split", lambda: steps.split(space))
    _validated(order, progress, "validate gold", validation.validate)


def _ingest(space: Workspace, order: Order, progress: Progress) -> str:
    from psm_training import steps  # noqa: PLC0415  # as above

    return steps.ingest(
        space, order.source, order.data, order.lake, weeks=order.weeks, terms=order.terms, say=progress.say
    )


def _validated(order: Order, progress: Progress, name: str, step: Callable[[], str]) -> None:
    """Judges what has come: raw and silver before the split, gold after it."""
    try:
        progress.step(name, step)
    except PipelineError as err:
        if not order.allow_failed_validation:
            raise
        progress.say(str(err))


def _train(space: Workspace, recipe: Recipe, commit: Commit, progress: Progress) -> None:
    """Gold -> archive."""
    from psm_training import steps  # noqa: PLC0415  # as above

    for name, step in steps.OF_RECIPE.items():
        progress.step(f"{recipe.name} {name}", partial(step, space, recipe))
    progress.step(f"{recipe.name} package", partial(steps.package, space, recipe, commit))
