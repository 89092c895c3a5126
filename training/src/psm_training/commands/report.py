"""`psm-train report`: what a run made, as one HTML page, as JSON, and as model cards."""

import argparse
from pathlib import Path
from typing import Any

from psm_training.commands.options import examples, say
from psm_training.recipes import KNOWN, recipe_named
from psm_training.settings import Settings
from psm_training.workspace import Workspace


def add(commands: Any) -> None:
    """Puts the subcommand on the parser."""
    step = commands.add_parser(
        "report",
        help="files of a run -> report.html, report.json and model cards",
        description="Data, quality, calibration, importance, learning curve and slices of the models of a run, in one "
        "HTML page that loads nothing from anywhere; the same as JSON; a model card for each model.",
        **examples(
            "psm-train run --no-cache --out build/models",
            "psm-train report --out build/models",
            "psm-train report --out build/models --recipe v2 --no-curve",
        ),
    )
    step.add_argument("--out", type=Path, required=True, help="folder of the run")
    step.add_argument(
        "--recipe",
        action="append",
        dest="recipes",
        choices=list(KNOWN),
        help="a model to report on; by default all that were evaluated there",
    )
    step.add_argument(
        "--curve",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fit the best model again on fewer households; takes about as long as training it",
    )
    step.set_defaults(command=_report)


def _report(options: argparse.Namespace, _settings: Settings) -> Any:
    from psm_training.report.build import report, reported  # noqa: PLC0415  # matplotlib and jinja2, for this alone

    space = Workspace(options.out)
    recipes = [recipe_named(name) for name in options.recipes] if options.recipes else reported(space, KNOWN.values())
    return report(space, recipes, say, curve=options.curve)
