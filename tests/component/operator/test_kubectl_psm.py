"""`kubectl psm` as people call it, on a real API server; the story at the end with the real operator."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from plugin_terminal import LIMIT_S, OBJECT, Terminal
from waiting import until

from psm_operator.kubectl.client import KubeClient
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import Gone
from psm_operator.kubectl.kubeconfig import Choice, load_access
from psm_operator.kubectl.models import path
from psm_operator.kubectl.watching import Follower
from psm_operator.values import Manifest

pytestmark = pytest.mark.component


@pytest.fixture
def client(terminal: Terminal) -> KubeClient:
    """The plugin's client, as administrator."""
    environment = Environment(terminal.variables, Path("/nowhere"), is_terminal=False)
    return KubeClient(load_access(Choice(), environment), environment)


async def test_models_are_listed_by_namespace_label_and_name(terminal: Terminal) -> None:
    await terminal.tell("serving", "de-grocery", labels={"team": "de"})
    await terminal.tell("rolled-back", "uk-grocery", labels={"team": "uk"})
    listed = terminal.psm("status")
    assert [line.split()[:5] for line in listed.lines] == [
        ["NAME", "READY", "VERSION", "LATEST", "PHASE"],
        ["de-grocery", "True", "1", "1", "Ready"],
        ["uk-grocery", "True", "1", "2", "Ready"],
    ]
    assert listed.lines[2].endswith("serving 1; 2 rejected: accuracy 0.71 < 0.75 in version 2")
    assert terminal.psm("status", "-l", "team=de", "-o", "name").lines == [f"{OBJECT}/de-grocery"]
    everywhere = terminal.psm("status", "-A", "-l", "team=uk")
    assert everywhere.lines[1].split()[:2] == [terminal.namespace, "uk-grocery"]
    assert terminal.psm("status", "uk-grocery").lines[0] == "Name:            uk-grocery"
    one = json.loads(terminal.psm("status", "uk-grocery", "-o", "json").out)
    assert one == json.loads(terminal.kubectl("get", "psm", "uk-grocery", "-o", "json"))


async def test_json_and_yaml_are_kubectls(terminal: Terminal) -> None:
    """A script may go from the one to the other."""
    for name in ("a", "b"):
        await terminal.tell("serving", name)
    ours, theirs = terminal.psm("status", "-o", "json"), terminal.kubectl("get", "psm", "-o", "json")
    assert json.loads(ours.out) == json.loads(theirs)
    one = yaml.safe_load(terminal.psm("status", "a", "-o", "yaml").out)
    assert one == yaml.safe_load(terminal.kubectl("get", "psm", "a", "-o", "yaml"))
    assert list(one) == ["apiVersion", "kind", "metadata", "spec", "status"]


@dataclass
class Following:
    """A command that goes on printing."""

    process: "subprocess.Popen[str]"
    lines: list[str]

    def until(self, is_so: Callable[[list[str]], bool], what: str) -> None:
        """Wait for its output."""
        until(lambda: is_so(self.lines), f"{what} in {self.lines}", LIMIT_S)


@contextmanager
def following(terminal: Terminal, *words: str) -> Iterator[Following]:
    """Run a command while the block does."""
    argv = ["kubectl", "psm", *words, "-n", terminal.namespace]
    process = subprocess.Popen(
        argv, env=terminal.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    lines: list[str] = []

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))  # noqa: PERF401  # a line counts when it comes

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield Following(process, lines)
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)
        if process.stdout is not None:
            process.stdout.close()


async def test_a_watch_appends_a_line_for_every_change(terminal: Terminal) -> None:
    await terminal.tell("serving", "a")
    with following(terminal, "status", "-w") as watch:
        watch.until(lambda lines: len(lines) == 2, "the header and one model")
        await terminal.tell("rolled-back", "b")
        watch.until(
            lambda lines: any(line.startswith("b ") and "rejected" in line for line in lines), "the second model"
        )
        terminal.kubectl("delete", "psm", "a")
        watch.until(lambda lines: f"{terminal.namespace}/a is deleted" in lines, "the deletion")
        assert [line for line in watch.lines if line.startswith("NAME")] == [watch.lines[0]]
        column = watch.lines[0].index("PHASE")
        assert {line[column - 1] for line in watch.lines if " Ready " in line} == {" "}


async def test_a_version_that_the_api_server_forgot_is_410_and_followed_all_the_same(
    terminal: Terminal, client: KubeClient
) -> None:
    """A real 410: the watch cache begins later than version 1."""
    await terminal.tell("serving", "a")
    with pytest.raises(Gone, match="too old resource version"):
        list(client.watch(path(terminal.namespace), {"resourceVersion": "1"}, silence_s=10.0))

    class Forgetful(Follower):
        """Its first watch begins in the remote past."""

        is_first = True

        def _watch(self, version: str) -> Iterator[tuple[str, Manifest]]:
            was_first, self.is_first = self.is_first, False
            return super()._watch("1" if was_first else version)

    said: list[str] = []
    follower = Forgetful(client, terminal.namespace, pause=time.sleep, warn=said.append)
    changes = (change for batch in follower.changes() for change in batch)
    assert next(changes)[0] == "ADDED"
    terminal.kubectl("label", "psm", "a", "changed=yes")
    kind, model = next(changes)
    assert (kind, model["metadata"]["labels"]["changed"]) == ("MODIFIED", "yes")
    assert said == []


async def test_a_dry_run_is_checked_by_the_server_and_kept_by_nobody(terminal: Terminal) -> None:
    before = await terminal.tell("moved-on", "a")
    told_so = terminal.psm("pin", "a", "2", "--dry-run=server")
    assert (told_so.code, told_so.out) == (0, f"{OBJECT}/a pinned to version 2 (server dry run)\n")
    assert terminal.psm("pin", "a", "2", "--dry-run=client").out == f"{OBJECT}/a pinned to version 2 (dry run)\n"
    assert terminal.model("a") == before
    refused = terminal.psm("pin", "a", "2", "--dry-run=server", "--as", "nobody")
    assert refused.code == 1
    assert 'User "nobody" cannot get resource' in refused.err


async def test_writes_land_under_a_name_of_their_own(terminal: Terminal) -> None:
    """Who changed the spec is seen in its managed fields."""
    await terminal.tell("moved-on", "a")
    assert terminal.psm("pin", "a", "2").out == f"{OBJECT}/a pinned to version 2\n"
    assert terminal.model("a")["spec"]["version"] == {"pin": 2}
    fields = json.loads(terminal.kubectl("get", "psm", "a", "-o", "json", "--show-managed-fields"))["metadata"]
    assert "kubectl-psm" in {entry["manager"] for entry in fields["managedFields"]}
    assert terminal.psm("unpin", "a").out == f"{OBJECT}/a unpinned from version 2, follows policy LatestApproved\n"
    assert terminal.model("a")["spec"]["version"] == {}
    assert terminal.psm("suspend", "a").code == 0
    assert terminal.model("a")["spec"]["suspend"] is True
    assert terminal.psm("resume", "a", "-o", "name").out == f"{OBJECT}/a\n"


async def test_what_the_api_server_refuses_is_one_line(terminal: Terminal) -> None:
    await terminal.tell("pinned", "a")
    refused = terminal.psm("unpin", "a", "--range", "newest")
    assert refused.code == 1
    assert refused.err.startswith('error: PriceSensitivityModel.retail.mlops "a" is invalid: spec.version.range')
    assert refused.err.count("\n") == 1


async def test_a_model_from_git_is_changed_with_a_warning(terminal: Terminal) -> None:
    head = "kustomize.toolkit.fluxcd.io"
    await terminal.tell("moved-on", "a", labels={f"{head}/name": "models", f"{head}/namespace": "flux-system"})
    said = terminal.psm("pin", "a", "2")
    assert said.code == 0
    assert said.err == (
        "warning: a is managed by Flux Kustomization flux-system/models: "
        "its next sync may undo this change; make it in Git too\n"
    )


async def test_rights_are_kubernetes_own(terminal: Terminal) -> None:
    """Who may only look, looks; who may not change, is told in the API server's words."""
    await terminal.tell("moved-on", "a")
    terminal.kubectl(
        "create", "role", "looks", "--verb=get,list,watch", "--resource=pricesensitivitymodels.retail.mlops"
    )
    terminal.kubectl("create", "rolebinding", "looks", "--role=looks", "--user=ann")
    assert terminal.psm("status", "--as=ann").code == 0
    explained = terminal.psm("explain", "a", "--as=ann", "--registry=never")
    assert explained.code == 0
    assert "warning: deployments could not be read" in explained.err
    for words in (("rollback", "a"), ("pin", "a", "1"), ("suspend", "a")):
        refused = terminal.psm(*words, "--as=ann")
        assert refused.code == 1
        assert 'User "ann" cannot patch resource "pricesensitivitymodels"' in refused.err


async def test_kubectl_completes_through_us(terminal: Terminal) -> None:
    """Kubectl asks kubectl_complete-psm, which it finds on PATH."""
    await terminal.tell("rolled-back", "uk-grocery")

    def complete(*words: str) -> list[str]:
        argv = ["kubectl", "__complete", "psm", *words]
        done = subprocess.run(argv, env=terminal.variables, capture_output=True, text=True, check=True)
        assert "ShellCompDirectiveNoFileComp" in done.stderr
        return done.stdout.splitlines()[:-1]

    assert complete("unr") == ["unreject\tForget that versions were rejected."]
    assert complete("status", "-n", terminal.namespace, "") == ["uk-grocery\tReady, serves 1"]
    assert complete("unreject", "-n", terminal.namespace, "uk-grocery", "") == ["2\tMetricBelowThreshold"]
    assert complete("status", "-n", terminal.namespace[:-2]) == [terminal.namespace]
