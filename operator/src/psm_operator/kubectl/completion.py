"""Shell completion: what kubectl asks `kubectl_complete-psm` for. Never fails aloud, and never waits long.

kubectl hands over the words behind `kubectl psm`, the last of them unfinished, and reads one suggestion per line, a tab before its
description, and a directive for the shell at the end (cobra's ShellCompDirective).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, ShellComplete

from psm_operator.kubectl.cli import PROGRAM, cli, flags_of
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.session import Session

NO_FILES: Final = ":4"
DEFAULT: Final = ":0"
PATIENCE_S: Final = 2.0
"""A person is holding the tab key."""


def complete(words: Sequence[str], environment: Environment | None = None) -> int:
    """Print what the last word may become; the exit code."""
    from psm_operator.kubectl import cli_reads, cli_writes  # noqa: PLC0415  # they build on the command line

    cli_reads.declare()
    cli_writes.declare()
    *before, last = list(words) or [""]
    if before and before[-1].startswith("--") and "=" not in before[-1]:
        # click parses what comes before an unfinished option only if both are one word
        last = f"{before.pop()}={last}"
    asker = ShellComplete(cli, {"obj": environment}, PROGRAM, "")
    items = asker.get_completions(before, last)
    for item in items:
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(DEFAULT if any(item.type in ("file", "dir") for item in items) else NO_FILES)
    return 0


def _session(ctx: click.Context) -> Session:
    environment = ctx.obj if isinstance(ctx.obj, Environment) else Environment.read()
    flags = replace(flags_of(ctx), request_timeout_s=PATIENCE_S)
    return Session(flags, environment, say=lambda _: None, warn=lambda _: None)


def contexts(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Contexts of the kubeconfig."""
    from psm_operator.kubectl.kubeconfig import Choice, context_names  # noqa: PLC0415  # only when needed

    session = _session(ctx)
    try:
        found = context_names(Choice(kubeconfig=session.flags.kubeconfig), session.environment)
    except PluginError:
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def namespaces(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Namespaces of the cluster."""
    try:
        found, _version = _session(ctx).client.items("/api/v1/namespaces")
    except PluginError:
        return []
    names = sorted(item["metadata"]["name"] for item in found)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models that were not named yet, with what they serve."""
    from psm_operator.kubectl.models import name_of, read_all, status_of, version_in  # noqa: PLC0415  # as above

    session, given = _session(ctx), ctx.params.get(param.name or "")
    taken = set(given) if isinstance(given, tuple) else set()
    try:
        models, _ = read_all(session.client, session.namespace)
    except PluginError:
        return []
    return [
        CompletionItem(
            name_of(model), help=f"{status_of(model).get('phase', 'Pending')}, serves {version_in(model, 'current')}"
        )
        for model in models
        if name_of(model).startswith(incomplete) and name_of(model) not in taken
    ]


def versions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Versions that the command can do something with."""
    from psm_operator.kubectl.models import read_one  # noqa: PLC0415  # as above

    session, name = _session(ctx), ctx.params.get("name")
    if not name:
        return []
    try:
        model = read_one(session.client, session.namespace, str(name))
        found = list(_fitting(str(ctx.info_name), model))
    except PluginError:
        return []
    taken = {str(version) for version in ctx.params.get(param.name or "") or ()} if param.nargs == -1 else set()
    return [
        CompletionItem(str(version), help=words)
        for version, words in found
        if str(version).startswith(incomplete) and str(version) not in taken
    ]


def _fitting(command: str, model: Manifest) -> Iterator[tuple[int, str]]:
    from psm_operator.kubectl.models import known_versions, parsed, pin_of, rejections, version_in  # noqa: PLC0415  # as above
    from psm_operator.kubectl.status import roles_of  # noqa: PLC0415  # as above

    if command == "unreject":
        yield from ((entry["version"], str(entry["reason"])) for entry in rejections(model))
        return
    if command == "rollback":
        from psm_operator.decide.rollback import earlier_versions  # noqa: PLC0415  # brings pydantic

        ways: list[Any] = [served.version for served in earlier_versions(parsed(model)[1])]
        serving = version_in(model, "current")
        yield from ((version, ", ".join(roles_of(model, version))) for version in ways if version != serving)
        return
    for version in known_versions(model):
        if not (command == "pin" and version == pin_of(model)):
            yield version, ", ".join(roles_of(model, version))
