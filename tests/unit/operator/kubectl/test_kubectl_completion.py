"""What the shell is offered, and that pages and help name what there is."""

import re
import shlex
from pathlib import Path

import click
import pytest
from scripted_server import Script

from psm_operator.decide import explain_steps
from psm_operator.kubectl import cli_reads, cli_writes, completion
from psm_operator.kubectl.cli import cli
from psm_operator.kubectl.environment import Environment

Capture = pytest.CaptureFixture[str]
COMMANDS = (
    "status",
    "history",
    "explain",
    "diff",
    "await",
    "rollback",
    "retry",
    "unreject",
    "pin",
    "unpin",
    "suspend",
    "resume",
)


def test_every_command_is_declared_in_the_order_of_need_and_explains_itself() -> None:
    cli_reads.declare()
    cli_writes.declare()
    assert tuple(cli.list_commands(click.Context(cli))) == COMMANDS
    for name in COMMANDS:
        command = cli.commands[name]
        assert command.help
        assert len(command.get_short_help_str(100)) < 60
        assert [it.name for it in command.params if isinstance(it, click.Option) and not it.help] == []


def completed(here: Environment, capsys: Capture, *words: str) -> list[str]:
    assert completion.complete(words, here) == 0
    *values, directive = capsys.readouterr().out.splitlines()
    assert directive == ":4", "no file names"
    return values


COMPLETIONS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "commands": (("re",), ["retry\tLet the newest approved version be tried again.", "resume\tAct on a model again."]),
    "names": (
        ("status", ""),
        ["de-grocery\tReady, serves 1", "uk-grocery\tReady, serves 1", "uk-wine\tVerifying, serves 1"],
    ),
    "names not named yet": (("status", "uk-grocery", "uk"), ["uk-wine\tVerifying, serves 1"]),
    "rejected versions": (("unreject", "uk-grocery", ""), ["2\tMetricBelowThreshold"]),
    "rejected versions not named yet": (("unreject", "uk-grocery", "2", ""), []),
    "versions to go back to": (("rollback", "uk-grocery", "--to", ""), ["2\tlatest, rejected"]),
    "versions to go back to, in one word": (("rollback", "uk-grocery", "--to="), ["2\tlatest, rejected"]),
    "versions to pin": (("pin", "uk-wine", ""), ["2\tlatest, candidate", "1\tcurrent, stable"]),
    "versions to explain": (("explain", "uk-grocery", "1"), ["1\tcurrent, stable"]),
    "contexts": (("status", "--context", "p"), ["prod"]),
    "namespaces": (("status", "-n", "ml"), ["mlops", "mlops-test"]),
    "namespaces before the command": (("--namespace", "d"), ["default"]),
    "forms": (("history", "-o", ""), ["json", "yaml", "wide"]),
    "flags": (
        ("resume", "--dr"),
        ["--dry-run\tclient: only say what would be sent. server: let the API server check it and keep nothing."],
    ),
    "an unknown model": (("pin", "nobody", ""), []),
    "an unknown command": (("frobnicate", ""), []),
}


@pytest.mark.parametrize(("words", "values"), COMPLETIONS.values(), ids=COMPLETIONS.keys())
def test_the_shell_is_offered_what_makes_sense(
    server: tuple[Script, Environment], capsys: Capture, words: tuple[str, ...], values: list[str]
) -> None:
    _, here = server
    if words[0] == "frobnicate":
        assert completion.complete(words, here) == 0
        return
    assert completed(here, capsys, *words) == values


def test_without_a_cluster_completion_is_silent(nowhere: Environment, capsys: Capture) -> None:
    for words in (("status", ""), ("pin", "x", ""), ("status", "-n", ""), ("status", "--context", "")):
        assert completed(nowhere, capsys, *words) == []
    assert capsys.readouterr().err == ""


ROOT = Path(__file__).parents[4]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "operator").glob("*.md")]


def commands_in(page: Path) -> list[str]:
    """Every `kubectl psm …` of a page, up to the end of its line or quote."""
    return re.findall(r"kubectl psm (\w[^`\n#|]*)", page.read_text(encoding="utf-8"))


def test_every_command_in_the_documentation_parses() -> None:
    """Names and flags; what stands for a value is not looked at."""
    cli_reads.declare()
    cli_writes.declare()
    assert sum(len(commands_in(page)) for page in PAGES) > 10
    for page in PAGES:
        for text in commands_in(page):
            name, *words = shlex.split(text)
            assert name in cli.commands, f"{page.name}: kubectl psm {text}"
            known = {flag for param in cli.commands[name].params for flag in param.opts}
            used = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-zA-Z].*", word)}
            assert used <= known, f"{page.name}: kubectl psm {text}"


def test_the_page_lists_every_command_with_its_arguments() -> None:
    cli_reads.declare()
    cli_writes.declare()
    rows = re.findall(r"^\| `(\w+)([^`]*)` \|", (ROOT / "docs/kubectl-psm.md").read_text(), re.MULTILINE)
    listed = {name: arguments for name, arguments in rows if name in cli.commands}
    assert tuple(listed) == COMMANDS
    for name, arguments in listed.items():
        pieces = cli.commands[name].collect_usage_pieces(click.Context(cli.commands[name]))
        assert arguments.replace(" [--to N]", "").split() == pieces[1:], name
    assert [name for name, _ in rows if name not in cli.commands] == [answer.value for answer in explain_steps.Answer]
