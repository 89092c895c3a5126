"""The steps that only need the workspace: ingest, validate, split, features, train, evaluate, package."""

import argparse
from pathlib import Path
from typing import Any

from psm_training.commands.options import add_source
from psm_training.provenance import current_commit
from psm_training.recipes import RECIPES, recipe_named
from psm_training.settings import Settings
from psm_training.workspace import Workspace


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    first = commands.add_parser("ingest", help="source -> silver, the 22 columns")
    add_source(first)
    first.set_defaults(command=_step, step="ingest")
    for name, text in (("validate", "check silver"), ("split", "who trains and who tests")):
        step = commands.add_parser(name, help=text)
        step.add_argument("--out", type=Path, required=True)
        step.set_defaults(command=_step, step=name)
    for name, text in (
        ("features", "gold -> tables and matrices"),
        ("train", "matrix -> forest"),
        ("evaluate", "metrics on other households in later weeks"),
        ("package", "model.tar.gz with its proof"),
    ):
        step = commands.add_parser(name, help=text)
        step.add_argument("--out", type=Path, required=True)
        step.add_argument("--recipe", required=True, choices=[recipe.name for recipe in RECIPES])
        step.set_defaults(command=_step, step=name)


def _step(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training import steps  # noqa: PLC0415  # approve and reject start without scikit-learn

    space, name = Workspace(options.out), options.step
    if name == "ingest":
        return {name: steps.ingest(space, options.source, options.data)}
    if name in steps.OF_DATA:
        return {name: steps.OF_DATA[name](space)}
    recipe = recipe_named(options.recipe)
    if name == "package":
        return {name: steps.package(space, recipe, current_commit(settings))}
    return {name: steps.OF_RECIPE[name](space, recipe)}
