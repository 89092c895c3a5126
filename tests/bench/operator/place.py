"""A converged cluster and the operator that keeps it, and how to see that the operator is quiet."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.operator.audit import AuditLog
from bench.operator.cold import audit_of, limit_s
from bench.operator.contestants import Running, Scrape, Stage
from bench.operator.following import Follower
from bench.operator.lab import GROUPS, Kube, Registry

from psm_local.emulator.control import EmulatorControl

LEASE_S: Final = 120.0
"""How long a standby or a restarted process may take to lead and settle, before the bench gives up."""
SCRAPE_S: Final = 0.5


@dataclass
class Place:
    """A converged cluster and the operator that keeps it.

    Attributes:
        leader: the process that leads.
    """

    models: int
    leader: Running
    stage: Stage
    seen: Follower
    kube: Kube
    registry: Registry

    @property
    def emulator(self) -> EmulatorControl:
        """The emulator's counters."""
        return EmulatorControl(self.stage.cluster.aws.host_url)

    @property
    def audit(self) -> AuditLog:
        """Who asked the API server for what."""
        return audit_of(self.stage.cluster)

    async def settled(self) -> None:
        """Wait until every soak is over and the queue is empty."""
        limit = limit_s(self.models) + 120
        await self.seen.until(lambda: len(self.seen.settled) == self.models, "every soak to end", limit)
        await quiet(self.leader, self.models)


def passes(scrape: Scrape) -> float:
    """How many passes there were."""
    return max(scrape.buckets().values(), default=0.0)


async def quiet(one: Running, models: int) -> float:
    """Wait until the process leads, knows every group, has looked at every model, and nothing waits; returns when."""
    since: float | None = None

    def is_quiet(scrape: Scrape) -> bool:
        nonlocal since
        knows = scrape.total("psm_registry_groups") == min(GROUPS, models)
        is_settled = (
            scrape.total("psm_leader") == 1
            and knows
            and scrape.total("psm_registry_groups_unknown") == 0
            and passes(scrape) >= models
            and scrape.total("psm_queue_depth") == 0
        )
        since = (since or time.monotonic()) if is_settled else None
        return since is not None and time.monotonic() - since > 2 * SCRAPE_S

    await until_scraped(one, is_quiet, "quiet")
    return since or time.monotonic()


async def until_scraped(one: Running, is_so: Callable[[Scrape], bool], what: str) -> None:
    """Wait until the process's metrics say so."""
    try:
        async with asyncio.timeout(LEASE_S):
            while not is_so(await one.scrape()):  # noqa: ASYNC110  # another process; it tells only who asks
                await asyncio.sleep(SCRAPE_S)
    except TimeoutError as err:
        raise RuntimeError(f"waited {LEASE_S:g} s for {what}") from err
