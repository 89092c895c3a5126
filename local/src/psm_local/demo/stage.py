"""What every step needs at hand: the cluster, the model, the load, and a voice."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psm_local.cluster import Cluster
from psm_local.demo.account import LoadCount
from psm_local.demo.load import Load
from psm_local.demo.waiting import wait_until
from psm_local.errors import LocalError
from psm_local.settings import Settings

NAMESPACE = "mlops"
OPERATOR_NAMESPACE = "psm-system"
MODEL = "uk-grocery"
GROUP = "price-sensitivity"
HOST = "prices.example.com"


@dataclass
class Stage:
    """The cluster and what belongs to the story.

    Attributes:
        repository: the checkout whose charts, examples and sources are used.
        total_load: requests of every load that has ended.
    """

    cluster: Cluster
    repository: Path
    settings: Settings
    say: Callable[[str], None]
    total_load: LoadCount = field(default_factory=LoadCount)
    load: Load | None = None

    def model(self) -> dict[str, Any]:
        """The custom resource as it is now."""
        found = self.cluster.kubectl("get", "pricesensitivitymodel", MODEL, "-n", NAMESPACE, "-o", "json")
        parsed: dict[str, Any] = json.loads(found)
        return parsed

    def status(self) -> dict[str, Any]:
        """Its status."""
        status: dict[str, Any] = self.model().get("status") or {}
        return status

    def wait_for_status(
        self, what: str, look: Callable[[Mapping[str, Any]], bool], *, limit_s: float
    ) -> dict[str, Any]:
        """Wait until the status is as wanted and return it.

        Raises:
            LocalError: it did not become so; the message carries the status' own.
        """

        def missing() -> str | None:
            status = self.status()
            return None if look(status) else f"phase {status.get('phase')}, {status.get('message')!r}"

        wait_until(what, missing, limit_s=limit_s)
        return self.status()

    def start_load(self, load: Load) -> None:
        """Begin sending requests."""
        self.load = load
        load.start()

    def stop_load(self) -> LoadCount:
        """Stop sending and add what was sent to the total.

        Raises:
            LocalError: no load is running.
        """
        if self.load is None:
            raise LocalError("no load is running")
        count = self.load.stop()
        self.load = None
        self.total_load += count
        return count

    def close(self) -> None:
        """End what a failed step may have left running."""
        if self.load is not None:
            self.stop_load()
