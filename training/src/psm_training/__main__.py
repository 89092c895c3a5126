"""Command psm-train: one subcommand per step, and `run` for all. Progress goes to stderr, results as JSON to stdout."""

import argparse
import json
import sys
from collections.abc import Sequence

from psm_training.commands import (
    feature_store,
    live,
    models,
    registry,
    release,
    report,
    run,
    sagemaker,
    steps,
    synthesize,
    validate,
)
from psm_training.commands.options import Command, say
from psm_training.errors import PipelineError
from psm_training.settings import Settings

SUBCOMMANDS = (steps, validate, registry, release, live, run, models, synthesize, sagemaker, report, feature_store)
"""In the order of --help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; 0 on success, 1 with a message on an error of the data or the registry."""
    options = parser().parse_args(arguments)
    command: Command = options.command
    try:
        result = command(options, Settings.from_environment())
    except (PipelineError, ValueError) as err:
        say(f"psm-train: {err}")
        return 1
    except OSError as err:
        named = f"{err.filename}: " if err.filename is not None else ""
        say(f"psm-train: {named}{err.strerror or err}")
        return 1
    sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="psm-train", description="From till transactions to an approved model package.")
    commands = top.add_subparsers(required=True, metavar="STEP")
    for module in SUBCOMMANDS:
        module.add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
