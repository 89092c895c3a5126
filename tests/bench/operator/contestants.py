"""The processes that are measured, and what the operating system and they themselves say of them."""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import aiohttp
from bench.processes import cpu_seconds, memory_mib

from psm_local.cluster import Cluster
from psm_local.ports import free_ports
from psm_local.settings import inherited
from psm_local.supervise.state import load_state

HISTOGRAM: Final = "psm_reconcile_duration_seconds"
LINE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE)

T = TypeVar("T")

Buckets = dict[float, float]
"""Upper bound in seconds -> passes that took no longer."""


PLANE: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


def plane_cpu_s(cluster: Cluster) -> dict[str, float]:
    """CPU seconds of Kubernetes itself so far: on a full machine, what a contestant asks of it is its cost too."""
    state = load_state(cluster.run_dir)
    if state is None:
        raise RuntimeError(f"{cluster.name} is not up")
    return {name: cpu_seconds(state.processes[name].pid) for name in PLANE}


@dataclass(frozen=True)
class Scrape:
    """One reading of /metrics."""

    text: str

    def total(self, name: str) -> float:
        """The sum of a metric's series."""
        return sum(float(found["value"]) for found in LINE.finditer(self.text) if found["name"] == name)

    def buckets(self) -> Buckets:
        """How long passes took, whatever came of them."""
        found: Buckets = {}
        for line in LINE.finditer(self.text):
            if line["name"] == f"{HISTOGRAM}_bucket":
                bound = float(re.findall(r'le="([^"]+)"', line["labels"])[0])
                found[bound] = found.get(bound, 0.0) + float(line["value"])
        return found


def quantile_ms(buckets: Buckets, share: float) -> float:
    """A quantile of a histogram, linear within its bucket, as Prometheus' histogram_quantile reckons."""
    bounds = sorted(buckets)
    rank = share * buckets[bounds[-1]]
    below, lower = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank and buckets[bound] > below:
            if bound == float("inf"):
                break
            return 1000 * (lower + (bound - lower) * (rank - below) / (buckets[bound] - below))
        below, lower = buckets[bound], bound
    return 1000 * lower


@dataclass
class Running:
    """A contestant's process.

    Attributes:
        started: on the monotonic clock.
        metrics_port: 0 if it has none.
    """

    child: asyncio.subprocess.Process
    started: float
    metrics_port: int
    peak_rss_mib: float = 0.0

    @property
    def pid(self) -> int:
        """Its number."""
        return self.child.pid

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far, user and system."""
        return cpu_seconds(self.pid)

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        return memory_mib(self.pid)

    @property
    def peak_mib(self) -> float:
        """The most it ever had."""
        return memory_mib(self.pid, "VmHWM")

    async def scrape(self) -> Scrape:
        """Its metrics; empty while it does not answer yet."""
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
                    return Scrape(await answer.text())
            except aiohttp.ClientError:
                return Scrape("")

    async def unless_it_ends(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that needs the process; its early end is an error."""
        task, ended = asyncio.create_task(work), asyncio.create_task(self.child.wait())
        try:
            await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise RuntimeError(f"the process ended with code {ended.result()}; see its log in build/bench/logs")
            return task.result()
        finally:
            task.cancel()
            ended.cancel()

    async def end(self) -> None:
        """Ask it to end."""
        if self.child.returncode is None:
            self.child.terminate()
            await asyncio.wait_for(self.child.wait(), 60)

    async def kill(self) -> None:
        """Do not ask."""
        self.child.kill()
        await self.child.wait()


@dataclass
class Stage:
    """Where contestants run: starts them and leaves none behind."""

    cluster: Cluster
    logs: Path
    variables: dict[str, str] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, cluster: Cluster, logs: Path) -> AsyncIterator[Self]:
        """A stage for the length of a block."""
        stage = cls(cluster, logs)
        logs.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # before anything is measured
        try:
            yield stage
        finally:
            for one in stage.running:
                if one.child.returncode is None:
                    await one.kill()

    async def operator(self, number: int = 1) -> Running:
        """Our operator, as its image starts it."""
        health, metrics = free_ports(2)
        environment = {
            "PSM_OPERATOR_POD_NAME": f"operator-{number}",
            "PSM_OPERATOR_HEALTH_PORT": str(health),
            "PSM_OPERATOR_METRICS_PORT": str(metrics),
            **self.variables,
        }
        return await self._start(f"operator-{number}", ["-m", "psm_operator"], environment, metrics)

    async def naive(self) -> Running:
        """The naive handler."""
        script = Path(__file__).parent / "naive.py"
        arguments = ["-m", "kopf", "run", "--standalone", "--all-namespaces", "--quiet", str(script)]
        return await self._start("naive", arguments, {}, 0)

    async def _start(self, name: str, arguments: list[str], environment: dict[str, str], port: int) -> Running:
        everything = inherited(
            {
                "KUBECONFIG": str(self.cluster.kubeconfig),
                "NO_PROXY": "*",
                "no_proxy": "*",
                **self.cluster.aws.environment(),
                **environment,
            }
        )
        with (self.logs / f"{name}.log").open("ab") as log:
            started = time.monotonic()
            child = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, env=everything, stdout=log, stderr=log
            )
        one = Running(child, started, port)
        self.running.append(one)
        return one
