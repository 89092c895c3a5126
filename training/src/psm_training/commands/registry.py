"""What talks to the registry: register, approve, reject, record-metrics."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psm_training.commands.options import add_group, add_target, registry_of
from psm_training.errors import PipelineError
from psm_training.register import register
from psm_training.registry import APPROVED, REJECTED
from psm_training.settings import Settings
from psm_training.workspace import ModelFiles


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    step = commands.add_parser("register", help="files of a model -> bucket and registry, waiting for approval")
    step.add_argument("--model", type=Path, required=True, help="folder with model.tar.gz, evaluation.json, model.json")
    add_target(step)
    step.set_defaults(command=_register)
    for name, status, text in (
        ("approve", APPROVED, "let the operator take a version"),
        ("reject", REJECTED, "take the approval away"),
    ):
        step = commands.add_parser(name, help=text)
        step.add_argument("version", help="number or ARN")
        step.add_argument("--reason", default=f"{name} by psm-train")
        add_group(step)
        step.set_defaults(command=_decide, status=status)
    step = commands.add_parser("record-metrics", help="write metrics measured on live traffic (psm.live.*)")
    step.add_argument("version", help="number or ARN")
    step.add_argument("metrics", nargs="+", metavar="NAME=VALUE", help="such as accuracy=0.61")
    add_group(step)
    step.set_defaults(command=_record_metrics)


def register_files(options: argparse.Namespace, settings: Settings, files: ModelFiles) -> dict[str, Any]:
    """Registers a trained model as the options say; the model package as JSON."""
    registry = registry_of(options, settings)
    return asdict(register(registry, files, group=options.group, bucket=options.bucket, image=options.image))


def _register(options: argparse.Namespace, settings: Settings) -> Any:
    return register_files(options, settings, ModelFiles(options.model))


def _decide(options: argparse.Namespace, settings: Settings) -> Any:
    registry = registry_of(options, settings)
    package = registry.find(options.group, options.version)
    return asdict(registry.decide(package, options.status, options.reason))


def _record_metrics(options: argparse.Namespace, settings: Settings) -> Any:
    metrics = {}
    for item in options.metrics:
        name, separator, value = item.partition("=")
        if not separator:
            raise PipelineError(f"{item!r} is not NAME=VALUE; write for example accuracy=0.61")
        metrics[name] = float(value)
    registry = registry_of(options, settings)
    package = registry.find(options.group, options.version)
    return {**asdict(package), "recorded": registry.record_metrics(package, metrics)}
