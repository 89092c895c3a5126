"""Credentials that a program of the user's hands out (kubeconfig `exec`, such as `aws eks get-token`).

Protocol: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.kubeconfig import Access

CLUSTER_FIELDS = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")


def with_credentials(access: Access, environment: Environment) -> Access:
    """The access with what its exec plugin says; unchanged without one.

    Raises:
        PluginError: the program is missing, fails, or answers something else than an ExecCredential.
    """
    if access.exec is None:
        return access
    command = str(access.exec.get("command") or "")
    try:
        status = _status(command, _output(command, access, environment))
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        message = f"credential plugin {command} of the kubeconfig cannot be used: {type(err).__name__} {err}; mend it"
        raise PluginError(message) from err
    certificate, key = (str(status.get(name) or "") for name in ("clientCertificateData", "clientKeyData"))
    return replace(
        access,
        token=str(status.get("token") or ""),
        certificate=(certificate.encode(), key.encode()) if certificate and key else access.certificate,
    )


def _output(command: str, access: Access, environment: Environment) -> str:
    section = access.exec or {}
    added = {entry["name"]: entry["value"] for entry in section.get("env") or []}
    is_interactive = section.get("interactiveMode") != "Never" and sys.stdin.isatty()
    variables = {**environment.variables, **added, "KUBERNETES_EXEC_INFO": _info(access, is_interactive=is_interactive)}
    try:
        done = subprocess.run(
            [command, *(section.get("args") or [])],
            env=variables,
            stdin=None if is_interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    except OSError as err:
        hint = " ".join(str(section.get("installHint") or "install it").split())
        raise PluginError(f"credential plugin {command} cannot be run: {err.strerror}; {hint}") from err
    if done.returncode != 0:
        raise PluginError(f"credential plugin {command} ended with exit code {done.returncode}; log in again")
    return done.stdout


def _info(access: Access, *, is_interactive: bool) -> str:
    section = access.exec or {}
    spec: dict[str, Any] = {"interactive": is_interactive}
    if section.get("provideClusterInfo"):
        spec["cluster"] = {name: access.cluster[name] for name in CLUSTER_FIELDS if name in access.cluster}
    return json.dumps({"apiVersion": section.get("apiVersion"), "kind": "ExecCredential", "spec": spec})


def _status(command: str, text: str) -> Mapping[str, Any]:
    try:
        status = json.loads(text)["status"]
    except (ValueError, KeyError, TypeError) as err:
        message = f"credential plugin {command} did not answer with an ExecCredential that has a status; log in again"
        raise PluginError(message) from err
    if not isinstance(status, Mapping):
        raise PluginError(f"credential plugin {command} answered with an empty status; log in again")
    return status
