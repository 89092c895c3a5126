"""The command `psm-cloud`; each subcommand is a module with `add(commands)`."""

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from psm_cloud.commands import cost, module_docs, teardown
from psm_cloud.errors import CloudError

SUBCOMMANDS: Final[tuple[ModuleType, ...]] = (cost, module_docs, teardown)
"""In the order of `--help`. Each has `add(commands)` and sets `run`: the parsed arguments in, the exit code out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an expected error is one message and exit code 1."""
    given = parser().parse_args(arguments)
    try:
        code: int = given.run(given)
    except CloudError as err:
        sys.stderr.write(f"psm-cloud: {err}\n")
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="psm-cloud", description="The AWS account around the operator.")
    commands = command.add_subparsers(required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
        module.add(commands)
    return command


if __name__ == "__main__":
    sys.exit(main())
