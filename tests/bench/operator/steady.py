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
from bench.results import Results, percentile

from psm_local.supervise.instance import Say

IDLE_S: Final = 60.0
CLICKED: Final = 20
"""Groups; each is followed by a fiftieth of the models."""
FAILOVERS: Final = 3
SEED: Final = 4


async def measure_steady(place: Place, results: Results, churn_minutes: float, say: Say) -> None:
    """Every phase after the cold start."""
    phases: list[Callable[[Place], Awaitable[dict[str, Any]]]] = [idle, by_polls, restart, by_events, failover]
    results.set(steady_crs=place.models)
    for phase in phases:
        say(f"{place.models} models: {(phase.__doc__ or '').splitlines()[0]}")
        with results.phase(phase.__name__):
            figures = await phase(place)
            results.set(**figures)
            say(f"{figures}")
    if churn_minutes > 0:
        say(f"{place.models} models: {churn_minutes:g} minutes of churn")
        with results.phase("churn"):
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
    return await click(place, range(CLICKED), "", spread_s=15.0)


async def by_events(place: Place) -> dict[str, Any]:
    """The same of other groups, with events from SQS."""
    url = await asyncio.to_thread(place.registry.send_events)
    place.stage.variables["PSM_OPERATOR_REGISTRY_EVENTS_QUEUE_URL"] = url
    await place.leader.end()
    place.leader = await place.stage.operator()
    await quiet(place.leader, place.models)
    return await click(place, range(CLICKED, 2 * CLICKED), "_sqs", spread_s=1.0)


async def click(place: Place, groups: range, infix: str, spread_s: float) -> dict[str, float]:
    """Approve version 2 of some groups, one after the other, and when all of it runs revoke it again.

    A group's models have all arrived before the next group is clicked: this is latency, and what many roll-outs at once
    cost the machine is the cold start's to show. A candidate is verified in a pod of its own before the Deployment is
    patched: how long until that pod was asked for is told too, since what lies between is the pod's start.

    Args:
        place: where it runs.
        groups: whose version 2 is pending.
        infix: of the figures' names.
        spread_s: the wait before a click is random up to this, so that clicks fall anywhere between polls.
    """
    chance = random.Random(SEED)  # noqa: S311  # not cryptography
    figures: dict[str, float] = {}
    for what, approval, version in (("approval", "Approved", "2"), ("revocation", "Rejected", "1")):
        place.seen.patched.clear()
        clicked: dict[str, float] = {}
        for number in groups:
            await asyncio.sleep(chance.uniform(0, spread_s))
            clicked |= await _click(place, number, approval, version)
        figures |= _percentiles(f"{what}_to_patched{infix}", place, clicked, version, "")
        if what == "approval":
            figures |= _percentiles(f"{what}_to_candidate{infix}", place, clicked, version, ".candidate")
    return figures


async def _click(place: Place, number: int, approval: str, version: str) -> dict[str, float]:
    """Model of one group -> when the approval of version 2 was set; returns when every Deployment is complete again."""
    await asyncio.to_thread(place.registry.approve, group_name(number), 2, approval)
    at = time.monotonic()
    clicked = {model_name(n): at for n in range(number, place.models, GROUPS)}
    reached = partial(_has_all, place.seen.patched, {(name, version) for name in clicked})
    await place.seen.until(reached, f"{len(clicked)} Deployments to run {version}", limit_s(place.models))
    await place.seen.until(partial(_is_complete, place), "every Deployment to be complete", limit_s(place.models))
    return clicked


def _percentiles(key: str, place: Place, clicked: dict[str, float], version: str, suffix: str) -> dict[str, float]:
    patched = place.seen.patched
    seconds = [patched[f"{name}{suffix}", version] - at for name, at in clicked.items()]
    return {f"{key}_s_p{share}": round(percentile(seconds, share / 100), 2) for share in (50, 95)}


def _is_complete(place: Place) -> bool:
    return len(place.seen.complete) == place.models


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
