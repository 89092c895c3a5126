"""Cold convergence: the models are there, a process starts, and everything is made."""

import time
from pathlib import Path
from typing import Any

from bench.operator.audit import AuditLog
from bench.operator.contestants import Running, Stage, plane_cpu_s, quantile_ms
from bench.operator.following import Follower
from bench.operator.lab import Kube, missing_children

from psm_local.cluster import Cluster


def limit_s(models: int) -> float:
    """How long a cold start may take before the bench gives up."""
    return 120 + models * 1.0


def audit_of(cluster: Cluster) -> AuditLog:
    """The log of a control plane of ours."""
    if cluster.audit_log is None:
        raise RuntimeError("the control plane has no audit log")
    return AuditLog(Path(cluster.audit_log))


async def converged(models: int, one: Running, seen: Follower, kube: Kube) -> float:
    """Wait until every model is Ready with every child; returns the seconds since the process started.

    Complete: every serving Deployment runs its newest template with every wanted replica available.
    """

    def is_done() -> bool:
        return len(seen.complete) >= models and len(seen.ready) == models

    while True:
        at = await one.unless_it_ends(seen.until(is_done, f"{models} models to converge", limit_s(models)))
        if not await missing_children(kube, models):
            return at - one.started
        if time.monotonic() - one.started > limit_s(models):
            raise RuntimeError(f"children are missing: {await missing_children(kube, models)}")


async def measure_operator(models: int, stage: Stage, seen: Follower, kube: Kube) -> tuple[Running, dict[str, Any]]:
    """Start the operator and measure it until everything is as it should be."""
    audit = audit_of(stage.cluster)
    place, plane_s = audit.here(), plane_cpu_s(stage.cluster)
    one = await stage.operator()
    seconds = await converged(models, one, seen, kube)
    cpu_s, peak, plane_s = one.cpu_s, one.peak_mib, _since(plane_s, plane_cpu_s(stage.cluster))
    scrape, requests = await one.scrape(), audit.since(place)
    buckets = scrape.buckets()
    return one, {
        "converged_s": round(seconds, 2),
        "rss_mib": round(peak, 1),
        "cpu_s": round(cpu_s, 2),
        "plane_cpu_s": round(sum(plane_s.values()), 2),
        "plane_cpu_s_of": plane_s,
        "reconcile_ms": {f"p{share}": round(quantile_ms(buckets, share / 100), 1) for share in (50, 95, 99)},
        "passes": int(max(buckets.values(), default=0)),
        "writes": requests.writes,
        "reads": requests.reads,
        "requests": requests.named(),
    }


async def measure_naive(models: int, stage: Stage, seen: Follower, kube: Kube) -> dict[str, Any]:
    """Start the naive handler and measure it until everything is as it should be."""
    audit = audit_of(stage.cluster)
    place, plane_s = audit.here(), plane_cpu_s(stage.cluster)
    one = await stage.naive()
    seconds = await converged(models, one, seen, kube)
    plane_s = _since(plane_s, plane_cpu_s(stage.cluster))
    figures = {
        "naive_s": round(seconds, 2),
        "naive_cpu_s": round(one.cpu_s, 2),
        "naive_plane_cpu_s": round(sum(plane_s.values()), 2),
        "naive_plane_cpu_s_of": plane_s,
        "naive_rss_mib": round(one.peak_mib, 1),
        "naive_requests": audit.since(place).named(),
    }
    await one.end()
    return figures


def _since(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    return {name: round(now[name] - before[name], 2) for name in now}
