"""`psm-cloud teardown`: take an environment away; without `--execute` or `--yes` only say what would go."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Final

from psm_cloud.errors import CloudError
from psm_cloud.settings import read_settings
from psm_cloud.teardown.account import account, whose
from psm_cloud.teardown.adapters.terraform import EnvironmentDestroyer
from psm_cloud.teardown.consent import Wish, consented
from psm_cloud.teardown.decide import Keep
from psm_cloud.teardown.run import Outcome, Run, Survey
from psm_cloud.teardown.scope import Scope
from psm_cloud.teardown.verify import left_over
from psm_cloud.terraform import Terraform

REGION: Final = "ap-southeast-1"


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "teardown", help="take an environment away; a dry run by default", description=__doc__
    )
    command.add_argument("--env", required=True, help="dev, prod")
    command.add_argument("--region", default=REGION)
    command.add_argument(
        "--account", help="the account's number, checked against the credentials; else it is asked for"
    )
    command.add_argument("--execute", action="store_true", help="delete, after the environment's name has been typed")
    command.add_argument(
        "--yes", action="store_true", help="delete without asking for the name; prod asks all the same"
    )
    command.add_argument("--include-audit", action="store_true", help="the audit trail's bucket too")
    command.add_argument("--include-state", action="store_true", help="the content of the state's bucket too")
    command.add_argument("--no-terraform", action="store_true", help="leave out terraform destroy")
    command.add_argument("--tree", type=Path, default=Path("terraform"), help="where envs/ lies")
    command.add_argument("--state-bucket", help="of Terraform's state; needed unless --no-terraform")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Look, ask, delete, look again; the exit code says whether nothing unexpected is left."""
    scope = Scope(given.env, whose(given.region), given.region)
    keep = Keep(audit=not given.include_audit, state=not given.include_state)
    wish = Wish(execute=given.execute, yes=given.yes, account=given.account)
    with account(scope) as opened:
        one = Run(opened, scope, keep, _tell, time.sleep)
        _tell(f"{scope.name} in account {scope.account}, {scope.region}")
        seen = one.survey()
        _show(seen)
        if not consented(wish, scope, _ask):
            for left in left_over(opened, scope, keep):
                _tell(f"exists: {left.what}" + (f" ({left.reason})" if left.reason else ""))
            _tell("this was a dry run: --execute deletes, after you typed the environment's name")
            return 1 if seen.failures else 0
        destroyer = None if given.no_terraform else _destroyer(given, scope, keep)
        return _conclude(one.execute(destroyer))


def _destroyer(given: argparse.Namespace, scope: Scope, keep: Keep) -> EnvironmentDestroyer:
    if not given.state_bucket:
        message = "say with --state-bucket where Terraform keeps its state, or leave Terraform out with --no-terraform"
        raise CloudError(message)
    root = Terraform.found(read_settings()).at(given.tree / "envs" / scope.environment)
    return EnvironmentDestroyer(root.init(backend_config={"bucket": given.state_bucket}), scope, keep)


def _show(seen: Survey) -> None:
    for found in seen.decision.delete:
        _tell(f"would delete: {found.kind.label} {found.name or found.id}")
    for kept in seen.decision.kept:
        _tell(f"keeps: {kept.found.kind.label} {kept.found.name}: {kept.reason}")
    for failure in seen.failures:
        _tell(f"FAILED {failure.what}: {failure.told}")


def _conclude(outcome: Outcome) -> int:
    for left in outcome.left:
        _tell(f"left: {left.what}" + (f" ({left.reason})" if left.reason else ""))
    for failure in outcome.failures:
        _tell(f"FAILED {failure.what}: {failure.told}")
    unexpected = sum(1 for left in outcome.left if left.is_unexpected)
    _tell(f"deleted {len(outcome.removed)}; {len(outcome.failures)} failed; {unexpected} left that should not be there")
    if not outcome.is_clean:
        _tell("run it again: it goes on with what is left")
    return 0 if outcome.is_clean else 1


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _ask(question: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline()
