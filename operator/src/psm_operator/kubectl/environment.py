"""The environment, as the plugin's only reader of it sees it.

Passed on as a value; tests make their own.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Environment:
    """What a command may know of where it runs.

    Attributes:
        variables: as given; credential plugins inherit them.
        service_account: folder of a pod's token, CA and namespace.
    """

    variables: Mapping[str, str]
    home: Path
    is_terminal: bool
    service_account: Path = SERVICE_ACCOUNT

    @classmethod
    def read(cls) -> Self:
        """The process' own; a user without a home, as in some containers, has no ~/.kube either."""
        try:
            home = Path.home()
        except RuntimeError:
            home = Path("/")
        return cls(
            variables=dict(os.environ),  # noqa: TID251  # the only reader of the environment
            home=home,
            is_terminal=sys.stdout.isatty(),
        )

    @property
    def kubeconfig_paths(self) -> tuple[Path, ...]:
        """Files to merge, the first word wins: KUBECONFIG, else ~/.kube/config."""
        named = self.variables.get("KUBECONFIG", "")
        paths = tuple(Path(part) for part in named.split(os.pathsep) if part)
        return paths or (self.home / ".kube" / "config",)

    @property
    def has_color(self) -> bool:
        """On a terminal that can, unless NO_COLOR is set to anything (no-color.org)."""
        is_able = self.variables.get("TERM", "") != "dumb"
        return self.is_terminal and is_able and not self.variables.get("NO_COLOR")

    @property
    def in_cluster_server(self) -> str:
        """The API server's address inside a pod; empty elsewhere."""
        host, port = (self.variables.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        if not host or not (self.service_account / "token").is_file():
            return ""
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def proxy_for(self, server: str) -> str:
        """The proxy that HTTPS_PROXY or HTTP_PROXY name for a server, by the rules of Go's programs; empty for none."""
        parts = urlsplit(server)
        name, host = f"{parts.scheme}_proxy", (parts.hostname or "").lower()
        proxy = self.variables.get(name.upper()) or self.variables.get(name) or ""
        excluded = self.variables.get("NO_PROXY") or self.variables.get("no_proxy") or ""
        is_direct = _is_own(host) or any(_is_excluded(host, entry.strip().lower()) for entry in excluded.split(","))
        return "" if is_direct or not proxy else proxy if "://" in proxy else f"http://{proxy}"


def _is_own(host: str) -> bool:
    return host == "localhost" or (_address(host) is not None and ip_address(host).is_loopback)


def _is_excluded(host: str, entry: str) -> bool:
    """Whether an entry of NO_PROXY names a host: itself, a domain above it, an address range, or everything."""
    if not entry or entry == "*":
        return entry == "*"
    address = _address(host)
    if address is not None:
        try:
            return address in ip_network(entry, strict=False)
        except (ValueError, TypeError):
            return False
    name = entry.partition(":")[0].removeprefix("*").removeprefix(".")
    return host.endswith(f".{name}") or (host == name and not entry.startswith((".", "*.")))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
