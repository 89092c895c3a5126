"""Which API server, and who asks: kubeconfig files as kubectl reads them, or a pod's service account.

The official client's loader does more and takes 0.4 s to import, which is the whole budget of a command. Left out on purpose:
`auth-provider`, which kubectl itself gave up in favour of exec plugins, except oidc.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError

Section = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What flags choose of a kubeconfig; empty leaves it to the file."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one API server as one user.

    Attributes:
        ca: PEM; None for the system's authorities.
        certificate: client certificate and key, PEM.
        exec: the `exec` section of the user, for `credentials`.
        cluster: the cluster section, for exec plugins that ask for it.
    """

    server: str
    namespace: str = "default"
    ca: bytes | None = None
    is_insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    certificate: tuple[bytes, bytes] | None = None
    token: str = ""
    token_file: Path | None = None
    basic: tuple[str, str] | None = None
    exec: Section | None = None
    cluster: Section = field(default_factory=lambda: MappingProxyType({}))
    impersonate: tuple[tuple[str, str], ...] = ()


def load_access(choice: Choice, environment: Environment) -> Access:
    """Read what the flags, the environment and the files say.

    Raises:
        PluginError: there is no cluster, or a name or a file is not there.
    """
    if choice.kubeconfig and not Path(choice.kubeconfig).is_file():
        raise PluginError(f"kubeconfig {choice.kubeconfig} does not exist; correct --kubeconfig")
    paths = (Path(choice.kubeconfig),) if choice.kubeconfig else environment.kubeconfig_paths
    try:
        config = _merged([path for path in paths if path.is_file()])
        if config["contexts"] or config["clusters"]:
            return _from_config(config, choice)
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        looked = ", ".join(str(path) for path in paths)
        raise PluginError(f"kubeconfig {looked} is not shaped as kubectl writes it ({err}); mend it") from err
    return _in_cluster(choice, environment, paths)


def _in_cluster(choice: Choice, environment: Environment, paths: tuple[Path, ...]) -> Access:
    server = environment.in_cluster_server
    if not server:
        looked = ", ".join(str(path) for path in paths)
        raise PluginError(f"no cluster: {looked} names none; set KUBECONFIG, or pass --kubeconfig")
    folder = environment.service_account
    own = folder / "namespace"
    return Access(
        server=server,
        namespace=choice.namespace or (own.read_text().strip() if own.is_file() else "default"),
        ca=(folder / "ca.crt").read_bytes(),
        token_file=folder / "token",
    )


def context_names(choice: Choice, environment: Environment) -> list[str]:
    """Every context there is, for completion."""
    paths = (Path(choice.kubeconfig),) if choice.kubeconfig else environment.kubeconfig_paths
    return sorted(_merged([path for path in paths if path.is_file()])["contexts"])


def _merged(paths: list[Path]) -> dict[str, Any]:
    """Files by kubectl's rule: the first to name something wins. Relative paths are relative to their file."""
    made: dict[str, Any] = {"contexts": {}, "clusters": {}, "users": {}, "current-context": ""}
    for path in paths:
        config = _parsed(path)
        made["current-context"] = made["current-context"] or config.get("current-context") or ""
        for plural, singular in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for entry in config.get(plural) or []:
                section = {**(entry.get(singular) or {}), "__folder": path.parent}
                made[plural].setdefault(str(entry.get("name")), section)
    return made


def _parsed(path: Path) -> Section:
    import yaml  # noqa: PLC0415  # 45 ms that --help can do without

    try:
        config = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    except (OSError, yaml.YAMLError) as err:
        first = str(err).splitlines()[0]
        raise PluginError(f"kubeconfig {path} cannot be read: {first}; mend it or name another one") from err
    if not isinstance(config or {}, Mapping):
        raise PluginError(f"kubeconfig {path} is not a kubeconfig; mend it or name another one")
    return config or {}


def _from_config(config: Mapping[str, Any], choice: Choice) -> Access:
    name = choice.context or config["current-context"]
    context = _named(config, "contexts", name, "--context") if name else {}
    cluster = _named(config, "clusters", choice.cluster or context.get("cluster") or "", "--cluster")
    wanted_user = choice.user or context.get("user") or ""
    user = _named(config, "users", wanted_user, "--user") if wanted_user else {}
    if user.get("auth-provider"):
        kind = user["auth-provider"].get("name")
        raise PluginError(f"user {wanted_user} has auth-provider {kind}, which is not supported; use an exec plugin")
    server = str(cluster.get("server") or "")
    if not server:
        raise PluginError(f"context {name} names a cluster without a server; correct the kubeconfig")
    certificate, key = _bytes(user, "client-certificate"), _bytes(user, "client-key")
    token_file = _path(user, "tokenFile")
    return Access(
        server=server.rstrip("/"),
        namespace=choice.namespace or context.get("namespace") or "default",
        ca=_bytes(cluster, "certificate-authority"),
        is_insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name") or "",
        proxy_url=cluster.get("proxy-url") or "",
        certificate=(certificate, key) if certificate and key else None,
        token="" if token_file else user.get("token") or "",
        token_file=token_file,
        basic=(user["username"], user.get("password") or "") if user.get("username") else None,
        exec=_exec(user),
        cluster={key: value for key, value in cluster.items() if key != "__folder"},
        impersonate=_impersonation(user),
    )


def _exec(user: Section) -> Section | None:
    """A command with a slash is relative to its file, one without is looked up on PATH."""
    section = user.get("exec")
    command = str((section or {}).get("command") or "")
    if section is None or "/" not in command:
        return section
    return {**section, "command": str(user["__folder"] / command)}


def _impersonation(user: Section) -> tuple[tuple[str, str], ...]:
    headers = [("Impersonate-User", user["as"])] if user.get("as") else []
    headers += [("Impersonate-Uid", user["as-uid"])] if user.get("as-uid") else []
    headers += [("Impersonate-Group", group) for group in user.get("as-groups") or []]
    return tuple(headers)


def _named(config: Mapping[str, Any], plural: str, name: str, flag: str) -> Section:
    section: Section | None = config[plural].get(name)
    if section is not None:
        return section
    if not name:
        raise PluginError(f"no context is chosen; run `kubectl config use-context NAME`, or pass {flag}")
    known = ", ".join(sorted(config[plural])) or "none"
    raise PluginError(f"the kubeconfig has no {plural[:-1]} {name!r} (it has: {known}); correct {flag}")


def _bytes(section: Section, name: str) -> bytes | None:
    """`<name>-data`, base64, wins over the file `<name>`."""
    data = section.get(f"{name}-data")
    if data:
        try:
            return base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError) as err:
            raise PluginError(f"{name}-data of the kubeconfig is not base64; mend it") from err
    path = _path(section, name)
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as err:
        raise PluginError(f"{name} {path} of the kubeconfig cannot be read: {err.strerror}; mend it") from err


def _path(section: Section, name: str) -> Path | None:
    text = section.get(name)
    return Path(section["__folder"]) / text if text else None
