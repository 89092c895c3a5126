"""Kubeconfig files as kubectl reads them, a pod's service account, and credentials that programs hand out."""

import base64
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from psm_operator.kubectl.credentials import with_credentials
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.kubeconfig import Access, Choice, context_names, load_access


def environment(tmp_path: Path, **variables: str) -> Environment:
    return Environment(variables, home=tmp_path / "home", is_terminal=False, service_account=tmp_path / "account")


def written(path: Path, **config: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


def cluster(name: str, server: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "cluster": {"server": server, **more}}


def context(name: str, cluster_name: str, user: str = "", **more: str) -> dict[str, Any]:
    return {"name": name, "context": {"cluster": cluster_name, **({"user": user} if user else {}), **more}}


def test_the_current_context_chooses_cluster_user_and_namespace(tmp_path: Path) -> None:
    written(
        tmp_path / "home/.kube/config",
        clusters=[cluster("c", "https://c:6443/")],
        users=[{"name": "u", "user": {"token": "secret"}}],
        contexts=[context("x", "c", "u", namespace="team")],
        **{"current-context": "x"},
    )
    access = load_access(Choice(), environment(tmp_path))
    assert (access.server, access.namespace, access.token) == ("https://c:6443", "team", "secret")


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "config",
        clusters=[cluster("c", "https://c"), cluster("d", "https://d")],
        users=[{"name": "u", "user": {"token": "1"}}, {"name": "v", "user": {"token": "2"}}],
        contexts=[context("x", "c", "u"), context("y", "d", "v")],
        **{"current-context": "x"},
    )
    by_context = load_access(Choice(kubeconfig=str(path), context="y"), environment(tmp_path))
    assert (by_context.server, by_context.token, by_context.namespace) == ("https://d", "2", "default")
    mixed = load_access(
        Choice(kubeconfig=str(path), cluster="d", user="u", namespace="n"), environment(tmp_path, KUBECONFIG="/nope")
    )
    assert (mixed.server, mixed.token, mixed.namespace) == ("https://d", "1", "n")


def test_of_several_files_the_first_to_name_something_wins(tmp_path: Path) -> None:
    first = written(tmp_path / "a/config", clusters=[cluster("c", "https://first")], **{"current-context": "x"})
    second = written(
        tmp_path / "b/config",
        clusters=[cluster("c", "https://second")],
        contexts=[context("x", "c", "u")],
        users=[{"name": "u", "user": {"tokenFile": "token"}}],
        **{"current-context": "y"},
    )
    missing = tmp_path / "missing"
    paths = os.pathsep.join(map(str, (missing, first, second)))
    access = load_access(Choice(), environment(tmp_path, KUBECONFIG=paths))
    assert access.server == "https://first"
    assert access.token_file == tmp_path / "b/token", "a relative path is relative to its own file"
    assert context_names(Choice(), environment(tmp_path, KUBECONFIG=paths)) == ["x"]


def test_certificates_come_as_data_or_as_files(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"CA")
    data = {f"client-{part}-data": base64.b64encode(part.encode()).decode() for part in ("certificate", "key")}
    path = written(
        tmp_path / "config",
        clusters=[cluster("c", "https://c", **{"certificate-authority": "ca.pem", "tls-server-name": "api"})],
        users=[{"name": "u", "user": data}],
        contexts=[context("x", "c", "u")],
        **{"current-context": "x"},
    )
    access = load_access(Choice(kubeconfig=str(path)), environment(tmp_path))
    assert (access.ca, access.certificate, access.tls_server_name) == (b"CA", (b"certificate", b"key"), "api")


def test_without_a_kubeconfig_a_pod_is_its_service_account(tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.mkdir()
    for name, text in (("token", "t"), ("ca.crt", "CA"), ("namespace", "psm-system\n")):
        (account / name).write_text(text)
    inside = environment(tmp_path, KUBERNETES_SERVICE_HOST="10.0.0.1", KUBERNETES_SERVICE_PORT="443")
    access = load_access(Choice(), inside)
    assert (access.server, access.namespace, access.ca) == ("https://10.0.0.1:443", "psm-system", b"CA")
    assert access.token_file == account / "token", "it rotates: read at every request"
    six = environment(tmp_path, KUBERNETES_SERVICE_HOST="fd00::1", KUBERNETES_SERVICE_PORT="443")
    assert load_access(Choice(namespace="x"), six).server == "https://[fd00::1]:443"


USER = {"auth-provider": {"name": "oidc"}}
REFUSED: dict[str, tuple[dict[str, Any], Choice, str]] = {
    "no cluster at all": ({}, Choice(), "no cluster: .* names none; set KUBECONFIG, or pass --kubeconfig"),
    "an unknown context": (
        {"contexts": [context("x", "c")], "clusters": [cluster("c", "https://c")]},
        Choice(context="y"),
        r"the kubeconfig has no context 'y' \(it has: x\); correct --context",
    ),
    "no context chosen": (
        {"contexts": [context("x", "c")], "clusters": [cluster("c", "https://c")]},
        Choice(),
        "no context is chosen; run `kubectl config use-context NAME`",
    ),
    "a cluster that is not there": (
        {"contexts": [context("x", "c")], "current-context": "x"},
        Choice(),
        r"the kubeconfig has no cluster 'c' \(it has: none\)",
    ),
    "a cluster without a server": (
        {"contexts": [context("x", "c")], "clusters": [cluster("c", "")], "current-context": "x"},
        Choice(),
        "context x names a cluster without a server",
    ),
    "an auth-provider": (
        {
            "contexts": [context("x", "c", "u")],
            "clusters": [cluster("c", "https://c")],
            "users": [{"name": "u", "user": USER}],
            "current-context": "x",
        },
        Choice(),
        "user u has auth-provider oidc, which is not supported; use an exec plugin",
    ),
    "a certificate that is not there": (
        {
            "contexts": [context("x", "c")],
            "clusters": [cluster("c", "https://c", **{"certificate-authority": "/nope/ca.pem"})],
            "current-context": "x",
        },
        Choice(),
        "certificate-authority /nope/ca.pem of the kubeconfig cannot be read: No such file",
    ),
}


@pytest.mark.parametrize(("config", "choice", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_said(tmp_path: Path, config: dict[str, Any], choice: Choice, message: str) -> None:
    written(tmp_path / "home/.kube/config", **config)
    with pytest.raises(PluginError, match=message):
        load_access(choice, environment(tmp_path))


@pytest.mark.parametrize("text", ["{", "- 1\n- 2\n"], ids=["no YAML", "no map"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(PluginError, match=r"kubeconfig .*broken .*; mend it or name another one"):
        load_access(Choice(kubeconfig=str(path)), environment(tmp_path))
    with pytest.raises(PluginError, match="kubeconfig nope does not exist; correct --kubeconfig"):
        load_access(Choice(kubeconfig="nope"), environment(tmp_path))


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def asks(tmp_path: Path, script: str, **section: Any) -> Access:
    command = program(tmp_path / "login", script)
    made = {"command": str(command), "apiVersion": "client.authentication.k8s.io/v1", **section}
    access = Access(server="https://c", exec=made, cluster={"server": "https://c", "extensions": []})
    return with_credentials(access, Environment({"PATH": "/usr/bin:/bin"}, tmp_path, is_terminal=False))


CREDENTIAL = '{"kind": "ExecCredential", "status": {"token": "\'$WHO-$1\'"}}'


def test_a_program_hands_out_a_token(tmp_path: Path) -> None:
    """With the arguments and the environment of its section."""
    access = asks(tmp_path, f"echo '{CREDENTIAL}'", args=["arg"], env=[{"name": "WHO", "value": "me"}])
    assert access.token == "me-arg"  # noqa: S105  # no password


def test_a_program_is_told_about_the_cluster_if_it_asks(tmp_path: Path) -> None:
    script = 'echo "$KUBERNETES_EXEC_INFO" > info; echo \'{"status": {"token": "x"}}\''
    asks(tmp_path, f"cd {tmp_path}; {script}", provideClusterInfo=True)
    info = json.loads((tmp_path / "info").read_text())
    assert info["spec"] == {"interactive": False, "cluster": {"server": "https://c"}}


def test_a_program_hands_out_a_certificate(tmp_path: Path) -> None:
    status = {"clientCertificateData": "CERT", "clientKeyData": "KEY"}
    access = asks(tmp_path, f"echo '{json.dumps({'status': status})}'")
    assert (access.certificate, access.token) == ((b"CERT", b"KEY"), "")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "ended with exit code 3; log in again"),
        ("echo hello", "did not answer with an ExecCredential"),
        ("echo '{\"status\": null}'", "answered with an empty status"),
    ],
)
def test_a_program_that_fails_is_named(tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(PluginError, match=f"credential plugin .*login {message}"):
        asks(tmp_path, script)


def test_a_program_that_is_missing_is_named_with_its_hint(tmp_path: Path) -> None:
    access = Access(server="https://c", exec={"command": "no-such-login", "installHint": "brew install\n  login"})
    with pytest.raises(PluginError, match=r"no-such-login cannot be run: No such file.*; brew install login"):
        with_credentials(access, Environment({"PATH": "/usr/bin"}, tmp_path, is_terminal=False))


def test_a_command_with_a_slash_is_relative_to_its_kubeconfig(tmp_path: Path) -> None:
    path = written(
        tmp_path / "deep/config",
        clusters=[cluster("c", "https://c")],
        users=[{"name": "u", "user": {"exec": {"command": "./login"}}}],
        contexts=[context("x", "c", "u")],
        **{"current-context": "x"},
    )
    access = load_access(Choice(kubeconfig=str(path)), environment(tmp_path))
    assert access.exec is not None
    assert access.exec["command"] == str(tmp_path / "deep/login")


def test_colour_needs_a_terminal_and_nobody_against_it(tmp_path: Path) -> None:
    plain = environment(tmp_path)
    terminal = replace(plain, is_terminal=True)
    assert not plain.has_color
    assert terminal.has_color
    assert not replace(terminal, variables={"NO_COLOR": "1"}).has_color
    assert replace(terminal, variables={"NO_COLOR": ""}).has_color, "empty counts as unset (no-color.org)"
    assert not replace(terminal, variables={"TERM": "dumb"}).has_color
