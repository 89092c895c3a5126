"""Follows models through the API server's watch, across its ends, its forgetting (410) and its absences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from psm_operator.kubectl.client import KubeClient
from psm_operator.kubectl.errors import ApiError, Gone, PluginError
from psm_operator.kubectl.models import name_of, namespace_of, path, read_all
from psm_operator.kubectl.plain import Manifest

Change = tuple[str, Manifest]
"""ADDED, MODIFIED or DELETED, and the object."""

WATCH_S: Final = 290
"""How long one watch may last before the API server ends it; shorter than load balancers' patience."""
SILENCE_MARGIN_S: Final = 20.0
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts while the API server is away; the last one again and again."""
SERVER_ERROR: Final = 500
TOO_MANY: Final = 429


@dataclass
class Follower:
    """Everything that happens to some models from now on, beginning with how they are.

    Attributes:
        names: only these; empty for all.
        limit_s: how long one watch may last; less than what is left to a caller with a deadline.
        pause: waits some seconds.
    """

    client: KubeClient
    namespace: str | None
    pause: Callable[[float], None]
    warn: Callable[[str], None]
    selector: str = ""
    names: frozenset[str] = frozenset()
    limit_s: Callable[[], float] = lambda: float(WATCH_S)

    def __post_init__(self) -> None:
        self._seen: dict[tuple[str, str], Manifest] = {}
        self._failures = 0

    def changes(self) -> Iterator[list[Change]]:
        """Changes for ever, what is known at once together; nothing whenever a watch ended, for callers with a deadline.

        Raises:
            ApiError: the API server refuses for good (4xx other than 410).
        """
        version = ""
        while True:
            try:
                if not version:
                    found, version = self._list()
                    yield found
                for kind, model in self._watch(version):
                    version = model["metadata"]["resourceVersion"]
                    self._failures = 0
                    if kind != "BOOKMARK" and self._is_wanted(model):
                        self._remember(kind, model)
                        yield [(kind, model)]
                self._failures = 0
            except Gone:
                version = ""
            except ApiError as err:
                if err.status < SERVER_ERROR and err.status != TOO_MANY:
                    raise
                self._wait(err)
                version = ""
            except PluginError as err:
                self._wait(err)
            yield []

    def _watch(self, version: str) -> Iterator[Change]:
        limit = max(1.0, min(float(WATCH_S), self.limit_s()))
        query = {"resourceVersion": version, "timeoutSeconds": str(int(limit)), **self._selectors()}
        return self.client.watch(path(self.namespace), query, silence_s=limit + SILENCE_MARGIN_S)

    def _selectors(self) -> dict[str, str]:
        made = {"labelSelector": self.selector} if self.selector else {}
        if len(self.names) == 1:
            made["fieldSelector"] = f"metadata.name={next(iter(self.names))}"
        return made

    def _list(self) -> tuple[list[Change], str]:
        """What is there now, as changes from what was known: after a 410 nothing is told twice and nothing is left out."""
        models, version = read_all(self.client, self.namespace, self.selector)
        now = {(namespace_of(model), name_of(model)): model for model in models if self._is_wanted(model)}
        changes: list[Change] = [
            ("MODIFIED" if key in self._seen else "ADDED", model)
            for key, model in now.items()
            if key not in self._seen or _version(self._seen[key]) != _version(model)
        ]
        changes += [("DELETED", model) for key, model in self._seen.items() if key not in now]
        self._seen = now
        return changes, version

    def _remember(self, kind: str, model: Manifest) -> None:
        key = namespace_of(model), name_of(model)
        if kind == "DELETED":
            self._seen.pop(key, None)
        else:
            self._seen[key] = model

    def _is_wanted(self, model: Manifest) -> bool:
        return not self.names or name_of(model) in self.names

    def _wait(self, err: PluginError) -> None:
        if self._failures == 0:
            self.warn(f"warning: {err}; trying again")
        self.pause(PAUSES_S[min(self._failures, len(PAUSES_S) - 1)])
        self._failures += 1


def _version(model: Manifest) -> str:
    return str(model["metadata"]["resourceVersion"])
