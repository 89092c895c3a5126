"""Everything that runs for as long as the process does, and how it ends.

Started by `__main__` with its parts. Order at the start: serve probes, wait for the CRD, list everything (warm caches), watch, lead, work.
Order at the end: no new passes, passes under way finish, polls stop, the lease is released, watches stop. Whoever loses
the lease ends at once, without finishing anything: the next leader may start in five seconds.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import kopf

from psm_operator import health
from psm_operator.adapters.kinds import MODEL
from psm_operator.adapters.kubernetes import KubernetesCluster
from psm_operator.election import Election, LeadershipLost
from psm_operator.errors import OperatorError
from psm_operator.polls import SharedPolls
from psm_operator.queue import WorkQueue
from psm_operator.settings import PREFIX, Settings
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import ObjectRef
from psm_operator.watchdog import Watchdog

log = logging.getLogger(__name__)

APPLY_CRDS = "apply the CRD, in crds/ of the repository and of the chart"

SWEEP_RETRY_S = 2.0
"""Between tries to list everything while the API server is away."""

CRD_BACKOFFS_S = (1.0, 2.0, 5.0, 10.0)
"""Between looks for the CRD; the last one is repeated: a person who has just applied it waits no longer."""

KOPF_STOP_S = 8.0
"""kopf waits up to 5 s for handlers of its own."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a runtime is made of."""

    settings: Settings
    cluster: KubernetesCluster
    queue: WorkQueue
    polls: SharedPolls
    election: Election
    watchdog: Watchdog
    telemetry: PrometheusTelemetry
    registry: kopf.OperatorRegistry
    kopf_settings: kopf.OperatorSettings


@dataclass(slots=True)
class Ports:
    """Where the servers listen; filled in when they do."""

    health: int = 0
    metrics: int = 0


@dataclass(slots=True)
class Runtime:
    """One operator process.

    Attributes:
        stop: set it to end gracefully.
        served: set once the API server serves our resource: kopf never looks again for what it does not find.
        warm: set once everything was listed.
        unwatch: set at the end, to stop kopf; it closes its connections only when asked to stop, not when cancelled.
        on_end: called when the end begins, well or not.
        while_leading: runs beside the queue while this process leads; its end ends nothing.
    """

    parts: Parts
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    served: asyncio.Event = field(default_factory=asyncio.Event)
    warm: asyncio.Event = field(default_factory=asyncio.Event)
    unwatch: asyncio.Event = field(default_factory=asyncio.Event)
    ports: Ports = field(default_factory=Ports)
    known: frozenset[ObjectRef] = frozenset()
    on_end: Callable[[], None] = lambda: None
    while_leading: Callable[[], Coroutine[None, None, None]] | None = None

    async def run(self, *, handle_signals: bool = True) -> int:
        """Run until stopped or until something essential ends; returns the exit code."""
        parts = self.parts
        async with AsyncExitStack() as stack:
            server = parts.settings.server
            probes = health.probes(parts.watchdog.complaints, self.not_ready)
            self.ports.health = await stack.enter_async_context(
                health.serving(probes, server.host, server.health_port, f"{PREFIX}HEALTH_PORT")
            )
            metrics = health.metrics(parts.telemetry.exposition)
            self.ports.metrics = await stack.enter_async_context(
                health.serving(metrics, server.host, server.metrics_port, f"{PREFIX}METRICS_PORT")
            )
            essential = {
                asyncio.create_task(parts.queue.run(), name="queue"),
                asyncio.create_task(self._lead(), name="leadership"),
                asyncio.create_task(self._sweep_on(), name="sweeps"),
                asyncio.create_task(self.stop.wait(), name="stop"),
            }
            await asyncio.sleep(0)  # their own tasks start now: kopf cancels at its end what started after it
            if handle_signals:
                self._handle_signals()
            watches = asyncio.create_task(self._watch(handle_signals=handle_signals), name="watches")
            try:
                return await self._supervise(essential, watches)
            finally:
                await _cancel(essential | {watches})

    def not_ready(self) -> tuple[str, ...]:
        """Why `/readyz` says no: a standby is ready as soon as its caches are warm, and while every kind is watched."""
        if not self.served.is_set():
            return (f"the API server does not serve {MODEL.plural} of {MODEL.api_version}: {APPLY_CRDS}",)
        if not self.warm.is_set():
            return ("caches are not warm: not everything has been listed yet",)
        return self.parts.watchdog.unwatched()

    # --- starting -------------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)

    async def _wait_for_crd(self) -> None:
        """Return when the API server serves our resource; until then nothing is expected of watches."""
        for delay_s in chain(CRD_BACKOFFS_S, repeat(CRD_BACKOFFS_S[-1])):
            why = f"the API server does not serve {MODEL.plural} of {MODEL.api_version}: {APPLY_CRDS}"
            try:
                if await self.parts.cluster.is_served(MODEL):
                    break
            except OperatorError as err:
                why = f"the CRD could not be looked for: {err}"
            log.warning("%s; looking again in %g s", why, delay_s)
            self.parts.watchdog.postpone()
            await asyncio.sleep(delay_s)
        self.parts.watchdog.postpone()
        self.served.set()

    async def _watch(self, *, handle_signals: bool) -> None:
        await self._wait_for_crd()
        others = asyncio.all_tasks()
        namespaces = watched_namespaces(self.parts.settings)
        tasks = await kopf.spawn_tasks(
            registry=self.parts.registry,
            settings=self.parts.kopf_settings,
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=self.unwatch,
        )
        if handle_signals:  # kopf has just installed its own handlers, which would stop the watches first
            self._handle_signals()
        await kopf.run_tasks(tasks, ignored=others)

    async def _lead(self) -> None:
        """Lead, and let passes run once caches are warm: a cold cache would look as if children were absent."""
        await self.parts.election.acquire()
        self.parts.telemetry.leading(is_leader=True)
        if not self.warm.is_set():
            await self._warm_while_leading()
        self.parts.queue.open()
        beside = {asyncio.create_task(self.while_leading(), name="while leading")} if self.while_leading else set()
        try:
            await self.parts.election.keep()
        finally:
            await _cancel(beside)

    async def _warm_while_leading(self) -> None:
        """Renew the lease while the first sweep is still under way."""
        keeping = asyncio.create_task(self.parts.election.keep())
        waiting = asyncio.create_task(self.warm.wait())
        done, _ = await asyncio.wait({keeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await _cancel({keeping, waiting} - done)
        if keeping in done:
            await keeping

    async def _sweep_on(self) -> None:
        """List everything now and then, and look at every model again, also at those that went unnoticed."""
        await self.served.wait()
        while True:
            try:
                await self._sweep()
            except OperatorError as err:
                log.warning("everything could not be listed, trying again: %s", err)
                await asyncio.sleep(SWEEP_RETRY_S)
            else:
                self.warm.set()
                await asyncio.sleep(self.parts.settings.cluster.sweep_interval_s)

    async def _sweep(self) -> None:
        found: frozenset[ObjectRef] = frozenset()
        for namespace in self.parts.settings.cluster.namespaces or (None,):
            found |= await self.parts.cluster.sweep(namespace)
        for ref in sorted(found | self.known):
            self.parts.queue.add(ref)
        self.known = found
        log.debug("listed everything", extra={"models": len(found)})

    # --- ending ---------------------------------------------------------------------------------------------------

    async def _supervise(self, essential: set[asyncio.Task[Any]], watches: asyncio.Task[Any]) -> int:
        done, _ = await asyncio.wait(essential | {watches}, return_when=asyncio.FIRST_COMPLETED)
        self.on_end()
        failed = [(task, task.exception()) for task in done if not task.cancelled() and task.exception() is not None]
        for task, error in failed:
            if isinstance(error, LeadershipLost):
                log.error("leadership lost, ending at once: %s", error)
            else:
                log.error("%s ended unexpectedly", task.get_name(), exc_info=error)
        if failed:
            self.parts.queue.close()
            return 1
        log.info("ending", extra={"after": ", ".join(sorted(task.get_name() for task in done))})
        queue = next(task for task in essential if task.get_name() == "queue")
        await self._end(queue, watches)
        return 0

    async def _end(self, queue: asyncio.Task[Any], watches: asyncio.Task[Any]) -> None:
        parts = self.parts
        parts.queue.drain()
        await asyncio.wait({queue}, timeout=parts.settings.shutdown.drain_s)
        await _cancel({queue})
        await parts.polls.close()
        parts.telemetry.leading(is_leader=False)
        await parts.election.release()
        self.unwatch.set()
        if self.served.is_set():
            await asyncio.wait({watches}, timeout=KOPF_STOP_S)


def watched_namespaces(settings: Settings) -> tuple[str, ...]:
    """Namespaces that kopf watches; empty for all. The Lease's is one of them: the canary lives there."""
    namespaces = settings.cluster.namespaces
    return tuple(sorted({*namespaces, settings.lease.namespace})) if namespaces else ()


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel and wait; what a task raises while it ends is its own affair and was or will be logged there."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
