"""The whole pipeline in order, or its kept outcome."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from psm_training.cache import keep, outcome_key, restore
from psm_training.errors import PipelineError
from psm_training.provenance import current_commit
from psm_training.recipes import Recipe
from psm_training.settings import Settings
from psm_training.sources.source_files import PATTERN
from psm_training.workspace import Workspace, read_json, write_json

Say = Callable[[str], None]


@dataclass
class Progress:
    """Runs steps and says what each did and how long it took."""

    say: Say
    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, name: str, action: Callable[[], str]) -> None:
        """Runs one step."""
        started = self.clock()
        outcome = action()
        self.seconds[name] = self.clock() - started
        self.say(f"{name:<14}{self.seconds[name]:6.1f} s  {outcome}")


@dataclass(frozen=True)
class Order:
    """What to train.

    Attributes:
        source: Name of the source.
        data: Folder of its files, where it needs one.
        recipes: Models to train.
        use_cache: Whether a kept outcome may stand in for training.
        allow_failed_validation: Train although data validation failed; the verdict stays with the model.
    """

    source: str
    recipes: Sequence[Recipe]
    data: Path | None = None
    use_cache: bool = True
    allow_failed_validation: bool = False


def run(space: Workspace, order: Order, settings: Settings, say: Say) -> dict[str, Any]:
    """Brings model.tar.gz, evaluation.json and model.json of every recipe into the workspace.

    Returns:
        The card of each recipe by name, as in models.json.

    Raises:
        PipelineError: A step could not go on.
    """
    data = sorted(order.data.glob(PATTERN)) if order.data is not None else []
    keys = {recipe.name: outcome_key(recipe, order.source, data) for recipe in order.recipes}
    progress = Progress(say)
    missing: list[Recipe] = []
    for recipe in order.recipes:
        if order.use_cache and restore(settings.cache_dir, keys[recipe.name], space.of(recipe.name)):
            say(f"{recipe.name}: trained before with the same code, libraries and data ({keys[recipe.name][:12]})")
        else:
            missing.append(recipe)
    if missing:
        _train_all(space, order, missing, settings, progress)
    for recipe in missing:
        keep(settings.cache_dir, keys[recipe.name], space.of(recipe.name))
    cards = {recipe.name: read_json(space.of(recipe.name).card, "package") for recipe in order.recipes}
    write_json(space.models, cards)
    return cards


def _train_all(
    space: Workspace, order: Order, recipes: Sequence[Recipe], settings: Settings, progress: Progress
) -> None:
    """Raw -> silver -> gold once, gold -> archive for every recipe."""
    from psm_training import steps  # noqa: PLC0415  # a kept outcome needs no scikit-learn, which takes seconds

    progress.step("ingest", lambda: steps.ingest(space, order.source, order.data))
    try:
        progress.step("validate", lambda: steps.validate(space))
    except PipelineError as err:
        if not order.allow_failed_validation:
            raise
        progress.say(str(err))
    progress.step("split", lambda: steps.split(space))
    commit = current_commit(settings)
    for recipe in recipes:
        for name, step in steps.OF_RECIPE.items():
            progress.step(f"{recipe.name} {name}", partial(step, space, recipe))
        progress.step(f"{recipe.name} package", partial(steps.package, space, recipe, commit))
