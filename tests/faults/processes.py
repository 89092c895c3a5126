"""Operators as processes: started, killed, frozen, and started again when they end, as a kubelet does."""

import asyncio
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import aiohttp
from faults.operator_process import Start, run
from faults.proxy import Proxy

from psm_local.ports import free_ports
from psm_operator.adapters.kinds import LEASE
from psm_operator.election import LeaseTimes
from psm_operator.watchdog import Patience

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["faults.operator_process"])
_STARTING = threading.Lock()

RESTART_S = 0.3
"""Before an operator that ended by itself is started again; a kubelet takes longer."""
PROBE_S, PROBES = 2.0, 3
"""The chart's liveness probe, hastened."""
SHORT_LIFE_S = 5.0
"""Who did not live longer is started again ever later, as by a kubelet."""


QUICK = LeaseTimes(duration_s=10.0, renew_deadline_s=8.0, retry_s=0.5)
"""Enough for two busy cores, and less to wait for than the defaults."""


@dataclass(frozen=True)
class Lease:
    """By which operators agree whose turn it is."""

    name: str
    namespace: str
    times: LeaseTimes = QUICK

    @property
    def path(self) -> str:
        """Of the Lease."""
        return LEASE.path(self.namespace, self.name)


@dataclass
class Operator:
    """One operator process, restarted when it ends unless it was told to stay down.

    Attributes:
        starts: when each process was started, on the monotonic clock.
        obeys_probes: whether the kubelet acts upon `/healthz`.
        exits: exit codes of the processes that ended, oldest first.
    """

    name: str
    proxy: Proxy
    lease: Lease
    environment: Mapping[str, str]
    log: Path
    skew_s: float = 0.0
    patience: Patience | None = None
    starts: list[float] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    stays_down: bool = False
    obeys_probes: bool = True
    health_port: int = field(default_factory=lambda: free_ports(1)[0])
    _child: ForkServerProcess | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Operator"]:
        """Keep it running while the block does."""
        kubelet = [asyncio.create_task(self._keep()), asyncio.create_task(self._probe())]
        try:
            yield self
        finally:
            self.stays_down = True
            for task in kubelet:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        if self._child is None or self._child.pid is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that runs now, if one does."""
        if self._child is not None and self._child.pid is not None and self._child.exitcode is None:
            os.kill(self._child.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)

    @asynccontextmanager
    async def frozen(self, seconds: float) -> AsyncIterator[None]:
        """SIGSTOP for so long; the block runs meanwhile."""
        self.signal(signal.SIGSTOP)
        started = time.monotonic()
        try:
            yield
            await asyncio.sleep(max(0.0, seconds - (time.monotonic() - started)))
        finally:
            self.signal(signal.SIGCONT)

    async def _keep(self) -> None:
        delay_s = RESTART_S
        while not self.stays_down:
            await self._run()
            lived_s = time.monotonic() - self.starts[-1]
            delay_s = RESTART_S if lived_s > SHORT_LIFE_S else min(2 * delay_s, SHORT_LIFE_S)
            await asyncio.sleep(delay_s)

    async def _probe(self) -> None:
        """The liveness probe: an operator that says no too often in a row is ended, as the kubelet does it."""
        failures = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while True:
                await asyncio.sleep(PROBE_S)
                with suppress(aiohttp.ClientError, TimeoutError):  # it starts, or is frozen: other tests are about that
                    async with http.get(f"http://127.0.0.1:{self.health_port}/healthz") as answer:
                        failures = failures + 1 if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else 0
                if failures >= PROBES and self.obeys_probes:
                    failures = 0
                    self.kill()

    async def _run(self) -> None:
        start = Start(self._env(), str(self.log), self.lease.times, self.skew_s, self.patience)
        process = FORKS.Process(target=run, args=(start,), daemon=True, name=self.name)
        await asyncio.to_thread(_start, process)
        self.starts.append(time.monotonic())
        self._child = process
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            asyncio.get_running_loop().remove_reader(process.sentinel)
            self._child = None
            if process.exitcode is None:
                os.kill(process.pid or 0, signal.SIGKILL)  # also ends one that is stopped
            process.join()
            self.exits.append(process.exitcode or 0)
            process.close()

    def _env(self) -> dict[str, str]:
        kubeconfig = self.log.with_suffix(".kubeconfig")
        kubeconfig.write_text(json.dumps(_kubeconfig(self.proxy.url)))
        return {
            **os.environ,  # noqa: TID251  # a child process inherits PATH
            "PSM_OPERATOR_HEALTH_PORT": str(self.health_port),
            "PSM_OPERATOR_METRICS_PORT": "0",
            **self.environment,
            "KUBECONFIG": str(kubeconfig),
            "PSM_OPERATOR_LEASE_NAME": self.lease.name,
            "PSM_OPERATOR_LEASE_NAMESPACE": self.lease.namespace,
            "PSM_OPERATOR_POD_NAME": self.name,
            "PSM_OPERATOR_LOG_STYLE": "text",
            "NO_PROXY": "*",
        }


def _start(process: ForkServerProcess) -> None:
    """The first start imports the operator, which takes a second or two."""
    with _STARTING:
        process.start()


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
