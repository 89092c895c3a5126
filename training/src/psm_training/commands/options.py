"""Options that several subcommands take, and how each gets its registry."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from psm_training.register import DEFAULT_BUCKET, DEFAULT_GROUP, DEFAULT_IMAGE
from psm_training.registry import ModelRegistry
from psm_training.settings import Settings
from psm_training.terms import Terms, terms_of
from psm_training.windows import SplitOptions

Command = Callable[[argparse.Namespace, Settings], Any]
"""What a subcommand does; its result is printed as JSON."""


def say(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def examples(*commands: str) -> dict[str, Any]:
    """Arguments of add_parser that let --help end with these commands."""
    lines = "".join(f"  {command}\n" for command in commands)
    return {"epilog": f"examples:\n{lines}", "formatter_class": argparse.RawDescriptionHelpFormatter}


def add_source(step: argparse.ArgumentParser) -> None:
    """Where the data comes from and where everything goes."""
    step.add_argument("--source", default="complete-journey", choices=["complete-journey", "source-files", "synthetic"])
    step.add_argument("--data", help="source-files: a folder, a .csv, .csv.gz or .zip file, or an s3:// address")
    step.add_argument("--lake", help="folder or s3:// address of silver and gold; by default in --out")
    step.add_argument("--out", type=Path, required=True, help="folder for everything that is made")
    files = step.add_argument_group("source-files", "what of a delivery is taken as it is")
    files.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", help="a column's name in the files; repeatable"
    )
    files.add_argument("--allow-extra-columns", action="store_true", help="leave columns beyond the 22 out")
    files.add_argument("--refunds", action="store_true", help="keep negative quantities and spends apart, as refunds")
    files.add_argument("--zero-prices", action="store_true", help="keep lines that cost nothing apart")
    files.add_argument(
        "--missing-week",
        type=int,
        action="append",
        default=[],
        metavar="YYYYWW",
        help="known to be missing; repeatable",
    )


def terms_asked(options: argparse.Namespace) -> Terms:
    """Return what of a delivery is taken as it is.

    Raises:
        PipelineError: An option makes no sense.
    """
    return terms_of(
        rename=options.rename,
        extra_columns=options.allow_extra_columns,
        refunds=options.refunds,
        zero_prices=options.zero_prices,
        missing_weeks=options.missing_week,
    )


def positive(text: str) -> int:
    """Return a number of things of which there must be one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def add_weeks(step: argparse.ArgumentParser) -> None:
    """Which weeks train, validate and test."""
    step.add_argument("--test-weeks", type=int, metavar="N", help="the last N weeks are the test")
    step.add_argument("--valid-weeks", type=int, metavar="N", help="the N weeks before the test are the validation")
    step.add_argument(
        "--train-until", type=int, metavar="YYYYWW", help="last week of the training; all before it train"
    )


def weeks_of(options: argparse.Namespace) -> SplitOptions:
    """What was asked of the split."""
    return SplitOptions(options.test_weeks, options.valid_weeks, options.train_until)


def add_group(step: argparse.ArgumentParser) -> None:
    """Which model package group."""
    step.add_argument("--group", default=DEFAULT_GROUP, help="model package group")
    step.add_argument("--region", help="by default AWS_REGION")


def add_target(step: argparse.ArgumentParser) -> None:
    """Where a model is registered."""
    add_group(step)
    step.add_argument("--bucket", default=DEFAULT_BUCKET)
    step.add_argument("--image", default=DEFAULT_IMAGE, help="image that serves the model")


def registry_of(options: argparse.Namespace, settings: Settings) -> ModelRegistry:
    """The registry of the region that was named.

    Raises:
        PipelineError: None was.
    """
    return ModelRegistry(options.region or settings.region)
