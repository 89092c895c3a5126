"""`psm-train run`: all steps, or the kept outcome; with --register into the registry."""

import argparse
from typing import Any

from psm_training.commands.options import add_source, add_target, add_weeks, examples, say, terms_asked, weeks_of
from psm_training.commands.registry import register_files
from psm_training.recipes import KNOWN, RECIPES, recipe_named
from psm_training.run import Order, run
from psm_training.settings import Settings
from psm_training.workspace import Workspace, write_json


def add(commands: Any) -> None:
    """Puts the subcommand on the parser."""
    whole = commands.add_parser(
        "run",
        help="all steps, or the kept outcome; with --register into the registry",
        **examples(
            "psm-train run --out build/models",
            "psm-train run --out build/models --recipe xgboost --no-cache",
            "psm-train run --source synthetic --out build/mine --register --group first-model",
        ),
    )
    add_source(whole)
    add_weeks(whole)
    whole.add_argument(
        "--recipe", action="append", dest="recipes", choices=list(KNOWN), help="may be repeated; by default v1 and v2"
    )
    whole.add_argument("--no-cache", action="store_true", help="train even if the same was trained before")
    whole.add_argument("--allow-failed-validation", action="store_true", help="train on data that failed validation")
    whole.add_argument("--report", action="store_true", help="train even if trained before, and write the report")
    whole.add_argument("--register", action="store_true", help="register each model, in the order of the recipes")
    add_target(whole)
    whole.set_defaults(command=_run)


def _run(options: argparse.Namespace, settings: Settings) -> Any:
    space = Workspace(options.out)
    names = options.recipes or [recipe.name for recipe in RECIPES]
    order = Order(
        source=options.source,
        data=options.data,
        lake=options.lake,
        recipes=[recipe_named(name) for name in names],
        use_cache=not (options.no_cache or options.report),  # kept outcomes have no data to report on
        allow_failed_validation=options.allow_failed_validation,
        weeks=weeks_of(options),
        terms=terms_asked(options),
    )
    cards = run(space, order, settings, say)
    if options.report:
        from psm_training.report.build import report  # noqa: PLC0415  # matplotlib and jinja2, for this alone

        say(f"report: {report(space, order.recipes, say)['report']}")
    if options.register:
        for name, card in cards.items():
            package = register_files(options, settings, space.of(name))
            card["package"] = package
            say(f"registered {name} as version {package['version']} of {options.group}")
        write_json(space.models, cards)
    return cards
