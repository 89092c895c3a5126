"""Kubeconfig files and the token list by which an instance's components know each other."""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """Someone who talks to the API server."""

    file_name: str
    user: str
    groups: tuple[str, ...] = ()


ADMIN = Identity("admin", "admin", ("system:masters",))
CONTROLLER_MANAGER = Identity("controller-manager", "system:kube-controller-manager")
SCHEDULER = Identity("scheduler", "system:kube-scheduler")
PROXY = Identity("proxy", "system:kube-proxy")


def new_token() -> str:
    """Return a fresh bearer token."""
    return secrets.token_hex(16)


def token_list(tokens: dict[Identity, str]) -> str:
    """Return the API server's static token file."""
    lines = [
        f'{token},{identity.user},uid-{identity.file_name},"{",".join(identity.groups)}"'
        for identity, token in tokens.items()
    ]
    return "\n".join(lines) + "\n"


def write_kubeconfig(path: Path, *, server: str, ca_file: Path, user: str, token: str) -> Path:
    """Write a kubeconfig with one cluster, one user and one context; the authority is embedded."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "psm-local",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(ca_file.read_bytes()).decode(),
                },
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "psm-local", "context": {"cluster": "psm-local", "user": user}}],
        "current-context": "psm-local",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path
