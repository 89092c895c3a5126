"""What a command is given: flags as chosen, the API server on first use, and where words go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from psm_operator.adapters.clock import SystemClock
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError

if TYPE_CHECKING:
    from psm_operator.kubectl.client import KubeClient

REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that every command has."""

    namespace: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    kubeconfig: str = ""
    impersonate: str = ""
    request_timeout_s: float = REQUEST_TIMEOUT_S


@dataclass
class Session:
    """One command under way.

    Attributes:
        say: a line for people or programs that asked.
        warn: a line beside it, which no program reads.
    """

    flags: Flags
    environment: Environment
    say: Callable[[str], None]
    warn: Callable[[str], None]
    now: Callable[[], datetime] = field(default_factory=lambda: SystemClock().now)

    @cached_property
    def client(self) -> "KubeClient":
        """The API server that the flags and the kubeconfig choose."""
        from psm_operator.kubectl.client import KubeClient, with_impersonation  # noqa: PLC0415  # 80 ms
        from psm_operator.kubectl.kubeconfig import Choice, load_access  # noqa: PLC0415  # as above

        flags = self.flags
        choice = Choice(flags.kubeconfig, flags.context, flags.cluster, flags.user, flags.namespace)
        access = with_impersonation(load_access(choice, self.environment), flags.impersonate)
        return KubeClient(access, self.environment, timeout_s=flags.request_timeout_s)

    @property
    def namespace(self) -> str:
        """Where names are looked up."""
        return self.client.namespace

    @property
    def has_color(self) -> bool:
        """Whether what is said may be coloured."""
        return self.environment.has_color

    def scope(self, names: Sequence[str], *, is_everywhere: bool) -> str | None:
        """The namespace to list; None for every one.

        Raises:
            PluginError: a name was given for every namespace.
        """
        if is_everywhere and names:
            raise PluginError(
                "a model cannot be retrieved by name across all namespaces; pass -n NAMESPACE instead of -A"
            )
        return None if is_everywhere else self.namespace
