"""The steps that only need the workspace: ingest, split, features, train, evaluate, package; and a look at the lake."""

import argparse
from pathlib import Path
from typing import Any

from psm_training.commands.options import add_source, add_weeks, examples, say, terms_asked, weeks_of
from psm_training.provenance import current_commit
from psm_training.recipes import KNOWN, recipe_named
from psm_training.settings import Settings
from psm_training.windows import SplitOptions
from psm_training.workspace import Workspace


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    first = commands.add_parser(
        "ingest",
        help="source -> silver, the 22 columns; only files that are new or changed",
        **examples(
            "psm-train ingest --out build/models",
            "psm-train ingest --source source-files --data till/2008.zip --out build/models",
            "psm-train ingest --source source-files --data s3://till/weekly --lake s3://lake/psm --out build/models",
        ),
    )
    add_source(first)
    add_weeks(first)
    first.set_defaults(command=_step, step="ingest")
    for name, text, command in (
        ("split", "silver -> gold: one row per basket, and who trains and who tests", _step),
        ("verify-lake", "compare every file of the lake with its manifest", _verify),
    ):
        step = commands.add_parser(name, help=text, **examples(f"psm-train {name} --out build/models"))
        step.add_argument("--out", type=Path, required=True)
        if name == "split":
            add_weeks(step)
        step.set_defaults(command=command, step=name)
    for name, text in (
        ("features", "gold -> tables and matrices"),
        ("train", "matrix -> estimator"),
        ("evaluate", "metrics on other households in later weeks"),
        ("package", "model.tar.gz with its proof"),
    ):
        step = commands.add_parser(name, help=text, **examples(f"psm-train {name} --out build/models --recipe v2"))
        step.add_argument("--out", type=Path, required=True)
        step.add_argument("--recipe", required=True, choices=list(KNOWN))
        step.set_defaults(command=_step, step=name)


def _asked(options: argparse.Namespace) -> SplitOptions | None:
    """The weeks that were asked for; None leaves them as they were."""
    asked = weeks_of(options)
    return asked if asked.describe() else None


def _verify(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.lake.place import lake_of  # noqa: PLC0415  # as below

    del settings
    lake = lake_of(Workspace(options.out))
    return {"verify-lake": f"{lake.silver.verify()} files of silver, {lake.gold.verify()} of gold are as written"}


def _step(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training import steps  # noqa: PLC0415  # approve and reject start without scikit-learn

    space, name = Workspace(options.out), options.step
    if name == "ingest":
        weeks, terms = _asked(options), terms_asked(options)
        return {
            name: steps.ingest(space, options.source, options.data, options.lake, weeks=weeks, terms=terms, say=say)
        }
    if name == "split":
        return {name: steps.split(space, _asked(options))}
    if name in steps.OF_DATA:
        return {name: steps.OF_DATA[name](space)}
    recipe = recipe_named(options.recipe)
    if name == "package":
        return {name: steps.package(space, recipe, current_commit(settings))}
    return {name: steps.OF_RECIPE[name](space, recipe)}
