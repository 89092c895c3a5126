"""`psm-train tune` and `psm-train benchmark`: look for parameters, and compare the families of estimators."""

import argparse
import os
from typing import Any

from psm_training.commands.options import add_source, add_weeks, examples, positive, say, terms_asked, weeks_of
from psm_training.progress import Progress
from psm_training.provenance import current_commit
from psm_training.recipes import FAMILIES, KNOWN, RECIPES, recipe_named
from psm_training.run import Order, prepare
from psm_training.settings import Settings
from psm_training.workspace import Workspace

COMPARED = (*RECIPES, *(recipe for recipe in FAMILIES if recipe.name != "forest"))
"""v1 and v2 are the forests."""


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    step = commands.add_parser(
        "tune",
        help="search parameters by household folds; never looks at the test set",
        description="Goes on where it was broken off; OUT/tuning/RECIPE.json has every trial. What it finds becomes a "
        "recipe by hand, in psm_training/recipes.py: what is trained is in the repository.",
        **examples(
            "psm-train tune --out build/models --recipe xgboost --seconds 600",
            "psm-train tune --out build/models --trials 20 --seed 1",
        ),
    )
    add_source(step)
    add_weeks(step)
    names = [recipe.name for recipe in FAMILIES]
    step.add_argument("--recipe", action="append", dest="recipes", choices=names, help="may be repeated (all families)")
    step.add_argument("--trials", type=positive, default=60, help="per family, those of earlier runs included (60)")
    step.add_argument("--seconds", type=float, default=600.0, help="per family (600)")
    step.add_argument("--seed", type=int, default=0, help="of the search (0)")
    step.set_defaults(command=_tune)
    step = commands.add_parser(
        "benchmark",
        help="fit, score and package every family -> comparison.json",
        **examples(
            "psm-train benchmark --out build/models",
            "psm-train benchmark --out build/synthetic --source synthetic --recipe logistic --recipe xgboost",
        ),
    )
    add_source(step)
    add_weeks(step)
    step.add_argument("--recipe", action="append", dest="recipes", choices=list(KNOWN), help="may be repeated")
    step.set_defaults(command=_benchmark)


def _prepared(options: argparse.Namespace) -> tuple[Workspace, Progress]:
    """The workspace, with gold in it."""
    from psm_training.lake.place import lake_of  # noqa: PLC0415  # the others start without Arrow

    space, progress = Workspace(options.out), Progress(say)
    if not space.source.exists() or not lake_of(space).gold.weeks():
        order = Order(
            source=options.source,
            recipes=(),
            data=options.data,
            lake=options.lake,
            weeks=weeks_of(options),
            terms=terms_asked(options),
        )
        prepare(space, order, progress)
    return space, progress


def _tune(options: argparse.Namespace, _: Settings) -> Any:
    from psm_training.models.tuning import Budget, tune  # noqa: PLC0415  # the others start without Optuna

    space = _prepared(options)[0]
    recipes = [recipe_named(name) for name in options.recipes or [recipe.name for recipe in FAMILIES]]
    budget = Budget(trials=options.trials, seconds=options.seconds, seed=options.seed, jobs=os.cpu_count() or 1)
    return tune(space, recipes, budget, say)


def _benchmark(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.models.benchmark import benchmark  # noqa: PLC0415  # the others start without scikit-learn

    space, progress = _prepared(options)
    recipes = [recipe_named(name) for name in options.recipes] if options.recipes else COMPARED
    return benchmark(space, recipes, current_commit(settings), progress)
