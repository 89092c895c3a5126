"""The command line: one line per error, nothing imported that is not needed, help that is complete."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from plugin_server import kubeconfig, listed
from scripted_server import Answer, Script, scripted, status

from psm_operator.kubectl.cli import run
from psm_operator.kubectl.environment import Environment
from psm_operator.values import Manifest

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


ERRORS: dict[str, tuple[list[str], int, str]] = {
    "an unknown command": (["frobnicate"], 1, "error: no such command 'frobnicate'; see `kubectl psm --help`"),
    "an unknown flag": (["status", "--frob"], 1, "error: no such option '--frob'; see `kubectl psm status --help`"),
    "a missing argument": (["pin", "x"], 1, "error: missing argument 'VERSION'; see `kubectl psm pin --help`"),
    "a version that is none": (
        ["pin", "x", "latest"],
        1,
        "error: invalid value for 'VERSION': 'latest' is not a valid version; see `kubectl psm pin --help`",
    ),
    "a timeout that is none": (
        ["pin", "x", "3", "--timeout=soon"],
        1,
        (
            "error: invalid value for '--timeout': 'soon' is not a duration; write it like 60s, 5m or 1h30m; "
            "see `kubectl psm pin --help`"
        ),
    ),
    "a form that is none": (
        ["status", "-o", "xml"],
        1,
        (
            "error: invalid value for '-o' / '--output': 'xml' is not one of 'json', 'yaml', 'wide', 'name'; "
            "see `kubectl psm status --help`"
        ),
    ),
    "a diff that cannot be asked for": (
        ["diff"],
        2,
        "error: missing argument 'NAME...'; see `kubectl psm diff --help`",
    ),
    "no cluster": (["status"], 1, "/.kube/config names none; set KUBECONFIG, or pass --kubeconfig"),
    "no cluster for a diff": (["diff", "x"], 2, "/.kube/config names none; set KUBECONFIG, or pass --kubeconfig"),
    "two ways to follow": (
        ["unpin", "x", "--policy=LatestApproved", "--range=>3"],
        1,
        "error: --policy and --range exclude each other; leave one of them out",
    ),
}


@pytest.mark.parametrize(("words", "code", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_is_one_line(nowhere: Environment, capsys: Capture, words: list[str], code: int, message: str) -> None:
    """Kubectl diff's codes for diff: 1 would mean that there are differences."""
    assert run(words, nowhere) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.rstrip("\n").endswith(message)
    assert err.count("\n") == 1


def test_a_bug_is_one_line_too(nowhere: Environment, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the place, and no stack trace frightens anybody."""

    def broken(*_: object) -> None:
        raise KeyError("missing")

    monkeypatch.setattr("psm_operator.kubectl.show.show", broken)
    assert run(["status"], nowhere) == 1
    _, err = capsys.readouterr()
    assert err.startswith("error: this is a bug of kubectl-psm: KeyError: 'missing' (")
    assert err.count("\n") == 1


def test_an_interrupt_ends_quietly(nowhere: Environment, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("psm_operator.kubectl.show.show", interrupted)
    assert run(["status"], nowhere) == 130
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`kubectl psm --help | head -0`, with a pipe that is closed before anything is written."""
    script = "import sys; from psm_operator.kubectl.cli import run; sys.exit(run(['--help']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_models_are_printed_as_lines_objects_or_names(server: tuple[Script, Environment], capsys: Capture) -> None:
    _, here = server
    assert run(["status"], here) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "de-grocery", "uk-grocery", "uk-wine"]
    assert run(["status", "-o", "name"], here) == 0
    assert capsys.readouterr().out.splitlines()[1] == "pricesensitivitymodel.retail.mlops/uk-grocery"
    assert run(["status", "-o", "json"], here) == 0
    everything = json.loads(capsys.readouterr().out)
    assert (everything["kind"], len(everything["items"])) == ("List", 3)
    assert run(["status", "uk-wine", "-o", "yaml"], here) == 0
    one = yaml.safe_load(capsys.readouterr().out)
    assert (one["kind"], one["metadata"]["name"]) == ("PriceSensitivityModel", "uk-wine")
    assert "managedFields" not in one["metadata"]
    assert run(["status", "--no-headers"], here) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("de-grocery")


def test_several_models_are_told_one_after_the_other(server: tuple[Script, Environment], capsys: Capture) -> None:
    _, here = server
    assert run(["status", "uk-wine", "de-grocery"], here) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("Name:")] == [
        "Name:            uk-wine",
        "Name:            de-grocery",
    ]
    assert run(["history", "uk-wine", "uk-grocery"], here) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("NAME ")
    assert run(["history", "uk-grocery", "-o", "json"], here) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["result"] for entry in found["history"]] == ["RolledBack", "Promoted", "Promoted"]


def test_colour_is_for_terminals(server: tuple[Script, Environment], capsys: Capture) -> None:
    _, here = server
    for place, has_color in ((here, False), (replace(here, is_terminal=True), True)):
        for words in (["status"], ["status", "uk-wine"], ["history", "uk-grocery"]):
            assert run(words, place) == 0
            assert ("\033[" in capsys.readouterr().out) == has_color


def test_a_name_that_is_not_there_is_answered_with_those_that_are(
    server: tuple[Script, Environment], capsys: Capture
) -> None:
    _, here = server
    for wrong, hint in (
        ("uk-grocry", "; did you mean uk-grocery?"),
        ("wine", "; did you mean uk-wine?"),
        ("zzz", "; there are de-grocery, uk-grocery, uk-wine"),
    ):
        assert run(["rollback", wrong], here) == 1
        message = f"error: pricesensitivitymodel.retail.mlops '{wrong}' not found in namespace mlops{hint}\n"
        assert capsys.readouterr().err == message


def test_a_name_in_every_namespace_is_refused_as_kubectl_does(
    server: tuple[Script, Environment], capsys: Capture
) -> None:
    _, here = server
    assert run(["status", "uk-wine", "-A"], here) == 1
    assert "cannot be retrieved by name across all namespaces" in capsys.readouterr().err


def test_flags_may_stand_before_the_command_and_count_less_than_those_behind(
    server: tuple[Script, Environment],
) -> None:
    script, here = server
    for words, namespace in (
        (["status"], "mlops"),
        (["-n", "before", "status"], "before"),
        (["status", "--namespace=behind"], "behind"),
        (["-n", "before", "status", "-n", "behind"], "behind"),
    ):
        run(words, here)
        assert f"/namespaces/{namespace}/" in script.asked[-1].path
    run(["status", "-A", "-l", "team=pricing"], here)
    assert script.asked[-1].path == "/apis/retail.mlops/v1alpha1/pricesensitivitymodels"
    assert script.asked[-1].query["labelSelector"] == "team=pricing"


def test_without_the_crd_people_are_told_what_to_install(tmp_path: Path, capsys: Capture) -> None:
    with scripted(status(404, "404 page not found")) as script:
        assert run(["status"], kubeconfig(tmp_path, script.url)) == 1
    assert (
        "the cluster has no pricesensitivitymodels.retail.mlops; install the chart psm-crds" in capsys.readouterr().err
    )


def test_nothing_there_is_said_beside_the_output(tmp_path: Path, capsys: Capture) -> None:
    """As kubectl does: a script that counts lines counts none."""
    with scripted(listed()) as script:
        here = kubeconfig(tmp_path, script.url)
        assert run(["status"], here) == 0
        assert capsys.readouterr() == ("", "No resources found in mlops namespace.\n")
        assert run(["status", "-A"], here) == 0
        assert capsys.readouterr() == ("", "No resources found.\n")
        assert run(["status", "-o", "json"], here) == 0
        assert json.loads(capsys.readouterr().out)["items"] == []


def test_a_write_is_fenced_and_tried_again_on_what_is_there_then(tmp_path: Path, capsys: Capture) -> None:
    """The operator writes the status meanwhile; every attempt reads and judges anew."""
    model: Manifest = {
        "metadata": {"namespace": "mlops", "name": "m", "resourceVersion": "7", "generation": 1},
        "spec": {"registry": {"modelPackageGroupName": "g", "region": "eu-west-1"}},
    }
    newer = {**model, "metadata": {**model["metadata"], "resourceVersion": "8"}}
    conflict = status(409, "the object has been modified", "Conflict")
    with scripted(Answer(model), conflict, Answer(newer), Answer(newer)) as script:
        assert run(["suspend", "m"], kubeconfig(tmp_path, script.url)) == 0
    patches = [asked for asked in script.asked if asked.method == "PATCH"]
    assert [asked.body["metadata"]["resourceVersion"] for asked in patches] == ["7", "8"]
    assert patches[0].body["spec"] == {"suspend": True}
    assert patches[0].query == {"fieldManager": "kubectl-psm"}
    assert capsys.readouterr().out == "pricesensitivitymodel.retail.mlops/m suspended\n"
    with scripted(*[Answer(model), conflict] * 9) as script:
        assert run(["suspend", "m"], kubeconfig(tmp_path, script.url)) == 1
    assert len([asked for asked in script.asked if asked.method == "PATCH"]) == 5


def test_waiting_for_a_dry_run_is_refused(server: tuple[Script, Environment], capsys: Capture) -> None:
    _, here = server
    assert run(["pin", "uk-grocery", "1", "--wait", "--dry-run=server"], here) == 1
    assert "--wait makes no sense with --dry-run" in capsys.readouterr().err


def test_a_dry_run_of_the_client_sends_nothing(server: tuple[Script, Environment], capsys: Capture) -> None:
    script, here = server
    assert run(["pin", "uk-grocery", "2", "--dry-run=client", "-o", "json"], here) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["spec"]["version"] == {"policy": "LatestApproved", "pin": 2}
    assert "warning: version 2 was rejected" in err
    assert {asked.method for asked in script.asked} == {"GET"}


HEAVY = ("aiohttp", "boto3", "botocore", "kopf", "kubernetes", "pydantic", "urllib3", "yaml")


def imported(*words: str, variables: dict[str, str] | None = None) -> tuple[set[str], str]:
    """The heavy packages that a command line imports, and its output."""
    script = (
        "import sys; from psm_operator.kubectl.cli import run; code = run(sys.argv[1:]); "
        f"print('\\n#', code, *[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, env=variables or {}
    )
    output, _, last = done.stdout.rpartition("#")
    code, *names = last.split()
    assert code == "0", done.stderr
    return set(names), output


@pytest.mark.parametrize(
    "words", [["--help"], ["status", "--help"], ["explain", "--help"], ["rollback", "--help"]], ids=" ".join
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    names, output = imported(*words)
    assert names == set()
    assert output.startswith("Usage: kubectl psm")


def test_status_imports_what_it_needs_and_no_more(server: tuple[Script, Environment]) -> None:
    """A client and a parser of the kubeconfig; neither pydantic, nor AWS, nor the official Kubernetes client."""
    _, here = server
    names, output = imported("status", variables=dict(here.variables))
    assert names == {"urllib3", "yaml"}
    assert "uk-grocery" in output


def test_a_write_brings_the_operators_rules_but_no_aws(server: tuple[Script, Environment]) -> None:
    _, here = server
    names, _ = imported("pin", "uk-grocery", "2", "--dry-run=client", variables=dict(here.variables))
    assert names == {"pydantic", "urllib3", "yaml"}


def test_an_explanation_without_the_registry_brings_no_aws(server: tuple[Script, Environment]) -> None:
    _, here = server
    names, output = imported("explain", "uk-grocery", "--registry=never", variables=dict(here.variables))
    assert names.isdisjoint({"boto3", "botocore", "kubernetes", "aiohttp", "kopf"})
    assert output.startswith("version 2 of uk-grocery is not served: rejection: accuracy 0.71 < 0.75")
