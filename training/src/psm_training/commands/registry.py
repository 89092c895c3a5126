"""What talks to the registry: register, approve, reject, record-metrics."""

import argparse
import platform
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psm_training.commands.options import add_group, add_target, examples, registry_of
from psm_training.errors import PipelineError
from psm_training.register import register
from psm_training.registry import APPROVED, REJECTED
from psm_training.settings import Settings
from psm_training.workspace import ModelFiles


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    step = commands.add_parser(
        "register",
        help="files of a model -> bucket and registry, waiting for approval",
        **examples("psm-train register --model build/models/v1"),
    )
    step.add_argument("--model", type=Path, required=True, help="folder with model.tar.gz, evaluation.json, model.json")
    add_target(step)
    step.set_defaults(command=_register)
    by_hand = 'psm-train {} 3 --reason "{}"'
    step = _decision(commands, "approve", "let the operator take a version", by_hand.format("approve", "asked by pricing"),
                     "psm-train approve --auto 3", "psm-train approve --auto --dry-run 3")  # fmt: skip
    step.add_argument(
        "--auto", action="store_true", help="only if every KPI is met and it surely beats the approved one"
    )
    step.add_argument("--dry-run", action="store_true", help="with --auto: rule, and write nothing")
    step.set_defaults(command=_approve, status=APPROVED)
    step = _decision(commands, "reject", "take the approval away", by_hand.format("reject", "wrong prices in week 12"))
    step.set_defaults(command=_decide, status=REJECTED)
    step = commands.add_parser(
        "record-metrics",
        help="write metrics measured on live traffic (psm.live.*)",
        **examples("psm-train record-metrics 3 accuracy=0.61 macro_f1=0.58"),
    )
    step.add_argument("version", help="number or ARN")
    step.add_argument("metrics", nargs="+", metavar="NAME=VALUE", help="such as accuracy=0.61")
    add_group(step)
    step.set_defaults(command=_record_metrics)


def _decision(commands: Any, name: str, text: str, *shown: str) -> argparse.ArgumentParser:
    step: argparse.ArgumentParser = commands.add_parser(name, help=text, **examples(*shown))
    step.add_argument("version", help="number or ARN")
    step.add_argument("--reason", default=f"{name} by psm-train", help="kept with the version, for people")
    add_group(step)
    return step


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


def _approve(options: argparse.Namespace, settings: Settings) -> Any:
    if not options.auto:
        if options.dry_run:
            raise PipelineError("--dry-run goes with --auto; who approves by hand writes")
        return _decide(options, settings)
    from psm_training.auto_approval import auto_approve  # noqa: PLC0415  # by hand needs no numpy

    holder = f"psm-train {uuid.uuid4()} on {platform.node()}"
    registry = registry_of(options, settings)
    return auto_approve(registry, options.group, options.version, holder=holder, write=not options.dry_run)


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
