"""`kubectl psm` and the real operator: the story of a person on call."""

import json

import pytest
from plugin_terminal import LIMIT_S, OBJECT, REGION, Terminal
from waiting import until
from whole_operator import register, running_operator

pytestmark = pytest.mark.component

OPERATOR = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "psm-operator", "labels": {"app.kubernetes.io/name": "psm-operator"}},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "psm-operator"}},
        "template": {
            "metadata": {"labels": {"app": "psm-operator"}},
            "spec": {"containers": [{"name": "operator", "image": "psm-operator", "env": []}]},
        },
    },
}
"""Where `diff` reads the installation's settings; the operator of this test runs beside the cluster."""


def serves(terminal: Terminal, name: str, version: int) -> None:
    """Wait until a version is the way back."""

    def is_so() -> bool:
        status = terminal.model(name).get("status") or {}
        return (status.get("stable") or {}).get("version") == version and status.get("phase") == "Ready"

    until(is_so, f"{name} to serve {version}", LIMIT_S)


async def test_the_story_of_a_person_on_call(terminal: Terminal) -> None:
    """Two versions, a way back, an explanation, a second chance, a pin, and a look at what would be written."""
    name = terminal.namespace
    register(terminal.cluster, name, "0.810000")
    spec = {
        "interval": "15s",
        "registry": {"modelPackageGroupName": name, "region": REGION},
        "rollout": {"soak": "1s", "minReadySeconds": 0},
        "rollback": {"cooldown": "0s"},
    }
    with running_operator(terminal.cluster, terminal.namespace):
        terminal.create("m", spec)
        serves(terminal, "m", 1)
        refused = terminal.psm("rollback", "m")
        assert (refused.code, refused.out) == (1, "")
        assert "m has no way back from version 1: no other version has served" in refused.err

        register(terminal.cluster, name, "0.830000")
        serves(terminal, "m", 2)
        done = terminal.psm("rollback", "m", "--wait", "--timeout=60s")
        assert done.code == 0, done.err
        assert (
            done.lines[0] == f"{OBJECT}/m rollback requested from version 2 to version 1 or the next that may be served"
        )
        assert done.lines[-1] == f"{OBJECT}/m rolled back from version 2 to 1"
        assert terminal.psm("history", "m").lines[1].split()[1:] == ["2", "RolledBack", "RequestedByPerson", "2", "1"]

        why = terminal.psm("explain", "m", "--registry=always")
        assert why.lines[0].startswith(
            "version 2 of m is not served: rejection: a person asked to go back from version 2"
        )
        assert any(line.startswith("->    rejection") for line in why.lines)
        assert any(line.split()[:4] == ["metric", "accuracy", "pass", "0.830000"] for line in why.lines), why.out
        assert any(line.split()[:3] == ["artifact", "pass", "present"] for line in why.lines), why.out

        tried = terminal.psm("retry", "m", "--wait", "--timeout=60s")
        assert tried.code == 0, tried.err
        assert tried.lines[-1] == f"{OBJECT}/m serves version 2"
        serves(terminal, "m", 2)

        assert terminal.psm("rollback", "m", "--to=1", "--wait").code == 0
        assert terminal.psm("unreject", "m", "2").out == f"{OBJECT}/m rejection of version 2 cleared\n"
        serves(terminal, "m", 2)

        held = terminal.psm("pin", "m", "1", "--wait", "--timeout=60s")
        assert held.lines[-1] == f"{OBJECT}/m serves version 1", held.err
        assert "m is pinned to version 1; `kubectl psm unpin m` first" in terminal.psm("rollback", "m").err
        absent = terminal.psm("pin", "m", "7", "--wait", "--timeout=60s")
        assert absent.code == 1
        assert "error: m is stalled: spec.version.pin is 7, which is not in group" in absent.err
        assert terminal.psm("unpin", "m").code == 0
        serves(terminal, "m", 2)
        _diff(terminal)
        hopeless = terminal.psm("explain", "m", "9", "--registry=always")
        assert f"version 9 of m is not served: approval: group {name} has no version 9" in hopeless.out


def _diff(terminal: Terminal) -> None:
    """Nothing to write; then, suspended, what a person changed."""
    place = ("--operator-namespace", terminal.namespace)
    unknown = terminal.psm("diff", "m", *place)
    assert unknown.code == 2
    assert "error: no Deployment with label app.kubernetes.io/name=psm-operator" in unknown.err
    terminal.kubectl("create", "-f", "-", stdin=json.dumps(OPERATOR))
    settled = terminal.psm("diff", "m", *place)
    assert (settled.code, settled.out, settled.err) == (0, "", "")
    assert terminal.psm("suspend", "m").code == 0
    until(lambda: terminal.model("m")["status"]["phase"] == "Suspended", "the operator to stand still", LIMIT_S)
    terminal.kubectl("set", "image", "deployment/m", "predictor=other:1")
    terminal.kubectl("delete", "poddisruptionbudget", "m")
    for extra in ((), ("--registry=never",)):
        changed = terminal.psm("diff", "m", *place, *extra)
        assert changed.code == 1
        assert "-        image: other:1" in changed.lines
        assert "# PodDisruptionBudget/m: absent" in changed.lines
        assert not [line for line in changed.lines if line.startswith(("+", "-")) and "replicas:" in line]
        assert "is suspended: this is what the operator would write once it is resumed" in changed.err
    assert terminal.psm("resume", "m").code == 0
    until(lambda: terminal.psm("diff", "m", *place).code == 0, "the operator to put it right", LIMIT_S)
