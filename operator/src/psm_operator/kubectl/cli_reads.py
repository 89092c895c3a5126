"""Commands that only look: status, history, explain, diff, await."""

from collections.abc import Callable
from typing import Any

import click

from psm_operator.kubectl.cli import (
    DIFF_FAILED,
    Action,
    Seconds,
    Version,
    cli,
    complete_names,
    complete_versions,
    flagged,
)
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.session import Session

REGISTRY = click.option(
    "--registry",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether to ask SageMaker and S3 with your own AWS credentials; auto goes on without when that fails.",
)
NAMES = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)


def output_option(*forms: str) -> Callable[[Action], Action]:
    """`-o`."""
    return click.option("-o", "--output", type=click.Choice(forms), help="How to print.")


@click.command("status", short_help="Show what is served, and what stands in the way of more.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_names)
@output_option("json", "yaml", "wide", "name")
@click.option("-A", "--all-namespaces", "is_everywhere", is_flag=True, help="Models of every namespace.")
@click.option("-l", "--selector", default="", metavar="QUERY", help="Only models with these labels, like team=pricing.")
@click.option("-w", "--watch", "is_watching", is_flag=True, help="Go on printing what changes.")
@click.option("--no-headers", "has_headers", is_flag=True, flag_value=False, default=True, help="Print no header.")
@flagged
def status_command(session: Session, **given: Any) -> None:
    r"""Show what is served and what stands in the way of more.

    Without NAME one line per model; with NAME everything about it, unless -o or -w asks for lines.

    \b
    Examples:
      kubectl psm status
      kubectl psm status uk-grocery
      kubectl psm status -A -w
      kubectl psm status -l team=pricing -o wide
    """
    from psm_operator.kubectl.show import Listing, show  # noqa: PLC0415  # heavy

    show(session, Listing(**given))


@click.command("history", short_help="Show what happened to a model's versions.")
@NAMES
@output_option("json", "yaml", "wide")
@flagged
def history_command(session: Session, names: tuple[str, ...], output: str) -> None:
    r"""Show what happened to a model's versions, newest first.

    \b
    Examples:
      kubectl psm history uk-grocery
      kubectl psm history uk-grocery -o wide
    """
    from psm_operator.kubectl.show import show_history  # noqa: PLC0415  # heavy

    show_history(session, names, output)


@click.command("explain", short_help="Say why a version is not served, rule by rule.")
@click.argument("name", shell_complete=complete_names)
@click.argument("version", required=False, type=Version(), shell_complete=complete_versions)
@output_option("json", "yaml")
@REGISTRY
@flagged
def explain_command(session: Session, name: str, version: int | None, output: str, registry: str) -> None:
    r"""Say why a version is not served: every rule in order, with its values.

    Without VERSION: the newest that the policy would pick, rejections ignored.
    The first rule that stops it is marked with an arrow.
    SageMaker and S3 are asked with your own AWS credentials, and the operator's own code judges.

    \b
    Examples:
      kubectl psm explain uk-grocery
      kubectl psm explain uk-grocery 18
      kubectl psm explain uk-grocery 18 --registry=never
    """
    from psm_operator.kubectl.explain import explain  # noqa: PLC0415  # heavy

    explain(session, name, version, output=output, registry=registry)


@click.command("diff", short_help="Show what the operator would write now.")
@NAMES
@REGISTRY
@click.option(
    "--operator-namespace", default="", metavar="NAME", help="Where the operator runs; else it is looked for."
)
@flagged
def diff_command(session: Session, names: tuple[str, ...], registry: str, operator_namespace: str) -> int:
    r"""Show what the operator would write now: live children against desired ones, as a unified diff.

    Exit code 0: no difference. 1: there are differences. 2: it could not be found out.

    \b
    Examples:
      kubectl psm diff uk-grocery
      kubectl psm diff uk-grocery --registry=never
    """
    from psm_operator.kubectl.diff import diff  # noqa: PLC0415  # heavy

    try:
        return diff(session, names, registry=registry, operator_namespace=operator_namespace)
    except PluginError as err:
        err.exit_code = DIFF_FAILED
        raise


@click.command("await", short_help="Return once a version serves.")
@click.argument("name", shell_complete=complete_names)
@click.argument("version", type=Version(), shell_complete=complete_versions)
@click.option("--timeout", default=300.0, type=Seconds(), show_default="5m", help="How long; 0 for ever.")
@flagged
def await_command(session: Session, name: str, version: int, timeout: float) -> None:
    r"""Return once every replica serves a version; fail as soon as it cannot come true any more.

    For pipelines: nothing is written. It fails when the version is rejected, overtaken by a newer one, or kept out by
    a pin, and when the model is suspended. A stall may be from before the approval, so it is waited out.

    \b
    Examples:
      kubectl psm await uk-grocery 18 --timeout 20m
    """
    from psm_operator.kubectl.waiting import wait_for_version  # noqa: PLC0415  # heavy

    wait_for_version(session, name, version, timeout)


def declare() -> None:
    """Make the commands known; again is fine."""
    for command in (status_command, history_command, explain_command, diff_command, await_command):
        cli.add_command(command)
