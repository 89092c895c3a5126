"""Commands that move a model: rollback, retry, unreject, pin, unpin, suspend, resume."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from psm_operator.kubectl.cli import (
    Action,
    Seconds,
    Version,
    cli,
    complete_names,
    complete_versions,
    flagged,
    with_options,
)
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.session import Session

WRITE_OPTIONS: Final = (
    click.option(
        "--dry-run",
        type=click.Choice(["none", "client", "server"]),
        default="none",
        help="client: only say what would be sent. server: let the API server check it and keep nothing.",
    ),
    click.option("-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="How to print."),
)
WAIT_OPTIONS: Final = (
    click.option("--wait", is_flag=True, help="Return when it came true; fail when it cannot."),
    click.option(
        "--timeout", default=300.0, type=Seconds(), show_default="5m", help="How long --wait waits; 0 for ever."
    ),
)
VERSION: Final = Version()
NAME: Final = click.argument("name", shell_complete=complete_names)
NAMES: Final = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)


def writing(action: Action) -> Action:
    """A command that writes."""
    return with_options(flagged(action), WRITE_OPTIONS)


def waiting(action: Action) -> Action:
    """A command that writes and may wait for what follows."""
    return with_options(writing(action), WAIT_OPTIONS)


def send(session: Session, names: Sequence[str], make: Callable[[Manifest], Any], manner: Mapping[str, Any]) -> None:
    """Write what `make` says on every named model."""
    from psm_operator.kubectl.writes import Manner, write_each  # noqa: PLC0415  # heavy

    wait_s = manner["timeout"] if manner.get("wait") else None
    write_each(session, names, make, Manner(manner["dry_run"], manner["output"], wait_s))


@click.command("rollback", short_help="Go back to an earlier version.")
@NAME
@click.option("--to", type=VERSION, metavar="N", help="Only to this version.", shell_complete=complete_versions)
@waiting
def rollback_command(session: Session, name: str, to: int | None, **manner: Any) -> None:
    r"""Go back from the version that serves, and reject it.

    Without --to the operator picks: the stable version, else the newest in the history that may be served.
    Cooldown, failureLimit, maxPerHour, soak and metric gates are skipped; approval, artifact and readiness never are.

    \b
    Examples:
      kubectl psm rollback uk-grocery --wait
      kubectl psm rollback uk-grocery --to 15
    """
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    send(session, [name], lambda model: wishes.rollback(model, to, session.now()), manner)


@click.command("retry", short_help="Let the newest approved version be tried again.")
@NAMES
@waiting
def retry_command(session: Session, names: tuple[str, ...], **manner: Any) -> None:
    r"""Let the newest approved version be tried again though it was rejected.

    It must pass every gate anew.

    \b
    Examples:
      kubectl psm retry uk-grocery --wait --timeout 10m
    """
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    send(session, names, lambda model: wishes.retry(model, session.now()), manner)


@click.command("unreject", short_help="Forget that versions were rejected.")
@NAME
@click.argument(
    "versions", metavar="VERSION...", nargs=-1, required=True, type=VERSION, shell_complete=complete_versions
)
@writing
def unreject_command(session: Session, name: str, versions: tuple[int, ...], **manner: Any) -> None:
    r"""Forget that versions were rejected; they may be chosen, or gone back to, again.

    \b
    Examples:
      kubectl psm unreject uk-grocery 18
      kubectl psm unreject uk-grocery 18 16
    """
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    send(session, [name], lambda model: wishes.unreject(model, versions), manner)


@click.command("pin", short_help="Serve exactly one version.")
@NAME
@click.argument("version", type=VERSION, shell_complete=complete_versions)
@waiting
def pin_command(session: Session, name: str, version: int, **manner: Any) -> None:
    r"""Serve exactly one version; nothing moves by itself until `unpin`.

    Only spec.version.pin is set: the policy or range beside it counts again after `unpin`.

    \b
    Examples:
      kubectl psm pin uk-grocery 17 --wait
    """
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    send(session, [name], lambda model: wishes.pin(model, version), manner)


@click.command("unpin", short_help="Follow approvals again.")
@NAMES
@click.option("--policy", type=click.Choice(["LatestApproved"]), help="Follow this policy.")
@click.option("--range", "range_", default="", metavar="RANGE", help='Follow approvals in a range, like ">=12 <40".')
@writing
def unpin_command(session: Session, names: tuple[str, ...], policy: str | None, range_: str, **manner: Any) -> None:
    r"""Follow approvals again: by the policy or range beside the pin, unless --policy or --range says how.

    \b
    Examples:
      kubectl psm unpin uk-grocery
      kubectl psm unpin uk-grocery --range ">=12 <40"
    """
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    if policy and range_:
        raise PluginError("--policy and --range exclude each other; leave one of them out")
    choice = {"range": range_} if range_ else {"policy": policy} if policy else None
    send(session, names, lambda model: wishes.unpin(model, choice), manner)


@click.command("suspend", short_help="Stop all action on a model.")
@NAMES
@writing
def suspend_command(session: Session, names: tuple[str, ...], **manner: Any) -> None:
    """Stop all action on a model; what serves goes on serving, and the status is kept current."""
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    send(session, names, lambda model: wishes.suspend(model, is_wanted=True), manner)


@click.command("resume")
@NAMES
@writing
def resume_command(session: Session, names: tuple[str, ...], **manner: Any) -> None:
    """Act on a model again."""
    from psm_operator.kubectl import wishes  # noqa: PLC0415  # heavy

    send(session, names, lambda model: wishes.suspend(model, is_wanted=False), manner)


def declare() -> None:
    """Make the commands known; again is fine."""
    commands = (
        rollback_command,
        retry_command,
        unreject_command,
        pin_command,
        unpin_command,
        suspend_command,
        resume_command,
    )
    for command in commands:
        cli.add_command(command)
