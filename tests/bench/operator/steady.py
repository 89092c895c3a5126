"""What is measured once everything has converged: quiet, approvals, revocations, restart, failover."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from bench.operator.churn import churn
from bench.operator.cold import limit_s
from bench.operator.lab import GROUPS, group_name, model_name
from bench.operator.place import LEASE_S, Place, passes, quiet, until_scraped
from bench.operator.results import Results, percentile

from psm_local.supervise.instance import Say

IDLE_S: Final = 60.0
FAILOVERS: Final = 3
SEED: Final = 4


async def measure_steady(place: Place, results: Results, churn_minutes: float, say: Say) -> None:
    """Every phase after the cold start."""
    phases: list[Callable[[Place], Awaitable[dict[str, Any]]]] = [idle, by_polls, restart, failover]
    results.set(steady_crs=place.models)
    for phase in phases:
        say(f"{place.models} models: {(phase.__doc__ or '').splitlines()[0]}")
        figures = await phase(place)
        results.set(**figures)
        say(f"{figures}")
    if churn_minutes > 0:
        say(f"{place.models} models: {churn_minutes:g} minutes of churn")
        results.set(**await churn(place, churn_minutes, say))


async def idle(place: Place) -> dict[str, Any]:
    """A quiet minute."""
    await place.settled()
    await asyncio.to_thread(place.emulator._send, "DELETE", "/__calls")
    start, cpu_s, before = place.audit.here(), place.leader.cpu_s, await place.leader.scrape()
    await asyncio.sleep(IDLE_S)
    calls = await asyncio.to_thread(place.emulator.calls)
    requests, after = place.audit.since(start), await place.leader.scrape()
    minutes = IDLE_S / 60
    return {
        "idle": {
            "api_writes_per_min": requests.writes / minutes,
            "aws_calls_per_min": sum(calls.values()) / minutes,
            "lease_writes_per_min": requests.lease_writes / minutes,
            "api_reads_per_min": requests.reads / minutes,
            "passes_per_min": (passes(after) - passes(before)) / minutes,
            "cpu_s_per_min": round((place.leader.cpu_s - cpu_s) / minutes, 2),
            "rss_mib": round(place.leader.rss_mib, 1),
            "aws_calls": calls,
            "requests": requests.named(),
        }
    }


async def by_polls(place: Place) -> dict[str, Any]:
    """From a click in the registry to the Deployment, by polls every 15 s."""
    approval, revocation = await click(place, range(GROUPS // 2))
    return {
        "approval_to_patched_s_p95": percentile(approval, 0.95),
        "approval_to_patched_s_p50": percentile(approval, 0.5),
        "revocation_to_patched_s_p95": percentile(revocation, 0.95),
        "revocation_to_patched_s_p50": percentile(revocation, 0.5),
    }


async def click(place: Place, groups: range) -> tuple[list[float], list[float]]:
    """Approve version 2 of some groups, one after the other, and when all of it runs revoke it again.

    Returns:
        Seconds until each Deployment was patched: after the approval, and back after the revocation.
    """
    seconds = []
    chance = random.Random(SEED)  # noqa: S311  # not cryptography
    for approval, version in (("Approved", "2"), ("Rejected", "1")):
        place.seen.patched.clear()
        clicked: dict[str, float] = {}
        for number in groups:
            await asyncio.to_thread(place.registry.approve, group_name(number), 2, approval)
            at = time.monotonic()
            clicked |= {model_name(n): at for n in range(number, place.models, GROUPS)}
            await asyncio.sleep(chance.uniform(0.2, 1.2))  # so that clicks fall anywhere between two polls
        patched = {(name, version) for name in clicked}
        await place.seen.until(
            partial(_has_all, place.seen.patched, patched),
            f"{len(patched)} Deployments to run version {version}",
            limit_s(place.models),
        )
        await place.seen.until(
            lambda: len(place.seen.complete) == place.models,
            "every Deployment to be complete",
            limit_s(place.models),
        )
        seconds.append([round(place.seen.patched[name, version] - at, 2) for name, at in clicked.items()])
    return seconds[0], seconds[1]


def _has_all(found: dict[tuple[str, str], float], wanted: set[tuple[str, str]]) -> bool:
    return wanted <= found.keys()


async def restart(place: Place) -> dict[str, Any]:
    """Restart to quiet."""
    await place.settled()
    await place.leader.end()
    start = place.audit.here()
    place.leader = await place.stage.operator()
    at = await quiet(place.leader, place.models)
    writes = place.audit.since(start)
    return {
        "restart_quiet_s": round(at - place.leader.started, 1),
        "restart_writes": writes.writes,
        "restart_requests": writes.named(),
    }


async def failover(place: Place) -> dict[str, Any]:
    """Failover: kill -9 of the leader, and an edit at that moment, until the Deployment has it."""
    seconds = []
    for turn in range(FAILOVERS):
        standby = await place.stage.operator(turn + 2)
        await until_scraped(standby, lambda s: s.total("psm_cached_children") >= 7 * place.models, "warm caches")
        killed = time.monotonic()
        await place.leader.kill()
        await place.kube.patch_model(turn, "/spec/predictor", {"env": [{"name": "BENCH", "value": f"failover-{turn}"}]})
        key = (model_name(turn), f"failover-{turn}")
        await place.seen.until(partial(_has_all, place.seen.marked, {key}), "the standby to act", LEASE_S)
        seconds.append(round(place.seen.marked[key] - killed, 2))
        place.leader = standby
    await quiet(place.leader, place.models)
    return {"failover_s": max(seconds), "failovers_s": seconds, "failover_s_median": statistics.median(seconds)}
