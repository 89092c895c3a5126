"""`psm-cloud module-docs`: write the README of each Terraform module, or tell which is not up to date."""

import argparse
import sys
from pathlib import Path
from typing import Any

from psm_cloud.module_docs import readmes


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser("module-docs", help="write the README of each Terraform module")
    command.add_argument("--tree", type=Path, default=Path("terraform"), help="the folder terraform/ (%(default)s)")
    command.add_argument("--check", action="store_true", help="write nothing; fail if a README is not up to date")
    command.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    written = readmes(given.tree)
    stale = [path for path, text in written.items() if not path.exists() or path.read_text() != text]
    if given.check:
        for path in stale:
            sys.stderr.write(f"{path} is not what the .tf files say; run psm-cloud module-docs\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(written[path])
        sys.stdout.write(f"{path}\n")
    return 0
