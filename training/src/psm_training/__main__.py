"""Command psm-train: one subcommand per step, and `run` for all. Progress goes to stderr, results as JSON to stdout."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psm_training.errors import PipelineError
from psm_training.provenance import current_commit
from psm_training.recipes import RECIPES, recipe_named
from psm_training.register import DEFAULT_BUCKET, DEFAULT_GROUP, DEFAULT_IMAGE, register
from psm_training.registry import APPROVED, REJECTED, ModelRegistry
from psm_training.run import Order, run
from psm_training.settings import Settings
from psm_training.workspace import ModelFiles, Workspace, write_json

Command = Callable[[argparse.Namespace, Settings], Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; 0 on success, 1 with a message on an error of the data or the registry."""
    options = parser().parse_args(arguments)
    command: Command = options.command
    try:
        result = command(options, Settings.from_environment())
    except (PipelineError, ValueError) as err:
        say(f"psm-train: {err}")
        return 1
    sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
    return 0


def say(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="psm-train", description="From till transactions to an approved model package.")
    commands = top.add_subparsers(required=True, metavar="STEP")
    _add_steps(commands)
    _add_registry(commands)
    whole = commands.add_parser("run", help="all steps, or the kept outcome; with --register into the registry")
    _add_source(whole)
    whole.add_argument("--recipe", action="append", dest="recipes", choices=[recipe.name for recipe in RECIPES])
    whole.add_argument("--no-cache", action="store_true", help="train even if the same was trained before")
    whole.add_argument("--allow-failed-validation", action="store_true", help="train on data that failed validation")
    whole.add_argument("--register", action="store_true", help="register each model, in the order of the recipes")
    _add_target(whole)
    whole.set_defaults(command=_run)
    return top


def _add_steps(commands: Any) -> None:
    """The steps that only need the workspace."""
    first = commands.add_parser("ingest", help="source -> silver, the 22 columns")
    _add_source(first)
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


def _add_registry(commands: Any) -> None:
    """What talks to the registry."""
    step = commands.add_parser("register", help="files of a model -> bucket and registry, waiting for approval")
    step.add_argument("--model", type=Path, required=True, help="folder with model.tar.gz, evaluation.json, model.json")
    _add_target(step)
    step.set_defaults(command=_register)
    for name, status, text in (
        ("approve", APPROVED, "let the operator take a version"),
        ("reject", REJECTED, "take the approval away"),
    ):
        step = commands.add_parser(name, help=text)
        step.add_argument("version", help="number or ARN")
        step.add_argument("--reason", default=f"{name} by psm-train")
        _add_group(step)
        step.set_defaults(command=_decide, status=status)
    step = commands.add_parser("record-metrics", help="write metrics measured on live traffic (psm.live.*)")
    step.add_argument("version", help="number or ARN")
    step.add_argument("metrics", nargs="+", metavar="NAME=VALUE", help="such as accuracy=0.61")
    _add_group(step)
    step.set_defaults(command=_record_metrics)
    _add_evaluate_live(commands)


def _add_evaluate_live(commands: Any) -> None:
    step = commands.add_parser(
        "evaluate-live", help="logged predictions and later labels -> metrics of a served version"
    )
    step.add_argument(
        "--predictions", required=True, help="log lines of a predictor: path or s3:// address, with * and ?"
    )
    step.add_argument("--labels", required=True, help="request_id,label[,index]: .csv, .parquet or .jsonl; likewise")
    step.add_argument("--version", type=int, help="of the model; by default the newest that was logged")
    step.add_argument("--min-labels", type=int, default=200, help="refuse to judge by fewer (200)")
    step.add_argument("--write", action="store_true", help="write the evaluation to S3 and psm.live.* to the registry")
    _add_group(step)
    step.set_defaults(command=_evaluate_live)


def _add_source(step: argparse.ArgumentParser) -> None:
    step.add_argument("--source", default="complete-journey", choices=["complete-journey", "source-files", "synthetic"])
    step.add_argument("--data", type=Path, help="folder of the files of source-files")
    step.add_argument("--out", type=Path, required=True, help="folder for everything that is made")


def _add_group(step: argparse.ArgumentParser) -> None:
    step.add_argument("--group", default=DEFAULT_GROUP, help="model package group")
    step.add_argument("--region", help="by default AWS_REGION")


def _add_target(step: argparse.ArgumentParser) -> None:
    _add_group(step)
    step.add_argument("--bucket", default=DEFAULT_BUCKET)
    step.add_argument("--image", default=DEFAULT_IMAGE, help="image that serves the model")


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


def _run(options: argparse.Namespace, settings: Settings) -> Any:
    space = Workspace(options.out)
    names = options.recipes or [recipe.name for recipe in RECIPES]
    order = Order(
        source=options.source,
        data=options.data,
        recipes=[recipe_named(name) for name in names],
        use_cache=not options.no_cache,
        allow_failed_validation=options.allow_failed_validation,
    )
    cards = run(space, order, settings, say)
    if options.register:
        for name, card in cards.items():
            package = _register_files(options, settings, space.of(name))
            card["package"] = package
            say(f"registered {name} as version {package['version']} of {options.group}")
        write_json(space.models, cards)
    return cards


def _register(options: argparse.Namespace, settings: Settings) -> Any:
    return _register_files(options, settings, ModelFiles(options.model))


def _register_files(options: argparse.Namespace, settings: Settings, files: ModelFiles) -> dict[str, Any]:
    registry = ModelRegistry(options.region or settings.region)
    package = register(registry, files, group=options.group, bucket=options.bucket, image=options.image)
    return asdict(package)


def _decide(options: argparse.Namespace, settings: Settings) -> Any:
    registry = ModelRegistry(options.region or settings.region)
    package = registry.find(options.group, options.version)
    return asdict(registry.decide(package, options.status, options.reason))


def _record_metrics(options: argparse.Namespace, settings: Settings) -> Any:
    metrics = {}
    for item in options.metrics:
        name, separator, value = item.partition("=")
        if not separator:
            raise PipelineError(f"{item!r} is not NAME=VALUE; write for example accuracy=0.61")
        metrics[name] = float(value)
    registry = ModelRegistry(options.region or settings.region)
    package = registry.find(options.group, options.version)
    return {**asdict(package), "recorded": registry.record_metrics(package, metrics)}


def _evaluate_live(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.evaluate_live import LiveOrder, evaluate_live  # noqa: PLC0415  # as in _step

    order = LiveOrder(
        predictions=options.predictions,
        labels=options.labels,
        group=options.group,
        version=options.version,
        least_labels=options.min_labels,
        write=options.write,
    )
    return evaluate_live(order, lambda: ModelRegistry(options.region or settings.region))


if __name__ == "__main__":
    sys.exit(main())
