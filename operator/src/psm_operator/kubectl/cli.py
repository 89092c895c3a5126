"""The command line: flags that every command has, and one line for every error.

Commands are declared in `cli_reads` and `cli_writes`; what they do lies in modules that they import when they run.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import click

from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.session import REQUEST_TIMEOUT_S, Flags, Session

Action = Callable[..., int | None]
"""What a command does; the exit code, or nothing for 0."""

PROGRAM: Final = "kubectl psm"
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 1
DIFF_FAILED: Final = 2
"""kubectl diff's way: 1 says that there are differences, more says that it could not be found out."""


class Seconds(click.ParamType[float]):
    """A length of time like 30s, 5m or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a plain number is seconds too."""
        if isinstance(value, int | float) or str(value).isdecimal():
            return float(value)
        from psm_operator.api.quantities import seconds  # noqa: PLC0415  # brings pydantic

        try:
            return float(seconds(str(value)))
        except ValueError as err:
            self.fail(str(err), param, ctx)


class Version(click.IntRange):
    """The number of a model package version."""

    name = "version"

    def __init__(self) -> None:
        super().__init__(min=1, max=2147483647)


class CommandLine(click.Group):
    """Lists its commands in the order in which they were declared, which is the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Names, in order."""
        return list(self.commands)


def complete_namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Namespaces, from the cluster."""
    from psm_operator.kubectl.completion import namespaces  # noqa: PLC0415  # only when the shell asks

    return namespaces(ctx, param, incomplete)


def complete_contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Contexts, from the kubeconfig."""
    from psm_operator.kubectl.completion import contexts  # noqa: PLC0415  # only when the shell asks

    return contexts(ctx, param, incomplete)


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Models, from the cluster."""
    from psm_operator.kubectl.completion import names  # noqa: PLC0415  # only when the shell asks

    return names(ctx, param, incomplete)


def complete_versions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Versions that make sense for this command, from the model's status."""
    from psm_operator.kubectl.completion import versions  # noqa: PLC0415  # only when the shell asks

    return versions(ctx, param, incomplete)


FLAGS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "-n",
        "--namespace",
        default="",
        metavar="NAME",
        help="Where the model lives; else the context's namespace.",
        shell_complete=complete_namespaces,
    ),
    click.option(
        "--context", default="", metavar="NAME", help="Context of the kubeconfig.", shell_complete=complete_contexts
    ),
    click.option("--cluster", default="", metavar="NAME", help="Cluster of the kubeconfig."),
    click.option("--user", default="", metavar="NAME", help="User of the kubeconfig."),
    click.option("--kubeconfig", default="", type=click.Path(), metavar="FILE", help="Instead of KUBECONFIG."),
    click.option("--as", "impersonate", default="", metavar="USER", help="Act as another user."),
    click.option(
        "--request-timeout", default=REQUEST_TIMEOUT_S, type=Seconds(), help="How long one answer may take, like 30s."
    ),
)
FLAG_NAMES: Final = ("namespace", "context", "cluster", "user", "kubeconfig", "impersonate", "request_timeout")


def with_options(action: Action, options: Iterable[Callable[[Any], Any]]) -> Action:
    """The function with some options, shown in their order."""
    for option in reversed(list(options)):
        action = option(action)
    return action


def flagged(action: Action) -> Action:
    """A command of ours: it is given its session first, and has the flags that every command has."""

    @functools.wraps(action)
    def call(ctx: click.Context, /, **given: Any) -> int | None:
        own = {name: value for name, value in given.items() if name not in FLAG_NAMES}
        own |= {"output": own["output"] or ""} if "output" in own else {}
        return action(session_of(ctx), **own)

    return with_options(click.pass_context(call), FLAGS)


def flags_of(ctx: click.Context) -> Flags:
    """The flags as chosen: behind the command's name, else before it."""
    chosen: dict[str, Any] = {}
    for level in (ctx.parent, ctx):
        if level is None:
            continue
        given = {name: level.params[name] for name in FLAG_NAMES if name in level.params}
        default = click.core.ParameterSource.DEFAULT
        chosen |= {n: v for n, v in given.items() if level.get_parameter_source(n) is not default or n not in chosen}
    chosen["request_timeout_s"] = chosen.pop("request_timeout", REQUEST_TIMEOUT_S)
    return Flags(**{name: value for name, value in chosen.items() if value is not None})


def session_of(ctx: click.Context) -> Session:
    """What the command works with; a test hands in its own by `obj`."""
    environment = ctx.obj if isinstance(ctx.obj, Environment) else Environment.read()
    return Session(
        flags=flags_of(ctx),
        environment=environment,
        say=lambda line: click.echo(line, color=True),
        warn=lambda line: click.echo(line, err=True),
    )


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command explains itself: kubectl psm COMMAND --help",
)
@click.version_option(package_name="psm-operator", prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli(**_: Any) -> None:
    """Look at PriceSensitivityModels and move them between versions."""


for flag in FLAGS:
    flag(cli)


def run(arguments: Sequence[str], environment: Environment | None = None) -> int:
    """Run one command line; the exit code. Errors become one line on stderr, never a stack trace."""
    from psm_operator.kubectl import cli_reads, cli_writes  # noqa: PLC0415  # they build on this module

    cli_reads.declare()
    cli_writes.declare()
    try:
        code = cli.main(list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=environment)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # what reads our output went away; nothing may be written at the end either
        sys.stdout = None  # the documented way to keep Python quiet
        return BROKEN_PIPE
    except click.ClickException as err:
        return _usage_error(err)
    except PluginError as err:
        return _failed(str(err), err.exit_code)
    except Exception as err:  # noqa: BLE001  # the process' edge
        return _failed(_bug(err), 1)
    return code if isinstance(code, int) else 0


def _usage_error(err: click.ClickException) -> int:
    ctx = getattr(err, "ctx", None)
    where = ctx.command_path if ctx is not None else PROGRAM
    text = err.format_message().rstrip(".")
    is_diff = ctx is not None and ctx.info_name == "diff"
    return _failed(f"{text[:1].lower()}{text[1:]}; see `{where} --help`", DIFF_FAILED if is_diff else 1)


def _failed(message: str, code: int) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return code


def _bug(err: Exception) -> str:
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace is not None else "?"
    return f"this is a bug of kubectl-psm: {type(err).__name__}: {err} ({place}); please report it"
