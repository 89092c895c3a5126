"""The whole operator on one screen: observe -> decide -> apply -> report.

Called by the work queue with one key at a time per model. Level-triggered: it does not know, or care, what happened.
"""

from dataclasses import dataclass

from psm_operator.api.conditions import Reason
from psm_operator.apply import apply_plan
from psm_operator.decide import decide
from psm_operator.deps import Deps
from psm_operator.observe import Ending, Gone, Unreadable, observe
from psm_operator.report import declare, report, report_ending, report_unreadable
from psm_operator.values import ObjectRef, Observation, RegistryUnknown


@dataclass(frozen=True, slots=True)
class Result:
    """When to look again though nothing happens; None if never."""

    requeue_after_s: float | None


async def reconcile(ref: ObjectRef, deps: Deps) -> Result:
    """Bring one model closer to what its spec and its registry ask for.

    Raises:
        Retryable: something outside is away; try again with backoff.
        Stalled: only a change of the spec, the registry or the cluster helps; it is in the status already.
    """
    seen = await observe(ref, deps)
    if isinstance(seen, Gone):
        deps.monitoring.forget(ref)
        return forget(ref, deps)
    if isinstance(seen, Ending):
        await report_ending(seen, deps)
        return forget(ref, deps)
    if isinstance(seen, Unreadable):
        await report_unreadable(seen, deps)
        raise seen.stall
    if is_unread(seen):
        return Result(None)
    deps.telemetry.noticed(seen)
    plan = decide(seen, deps.defaults)
    declared = await declare(seen, plan, deps.cluster)
    applied = await apply_plan(seen, plan, deps.cluster)
    is_told = await report(seen, declared, plan, applied, deps)
    if (error := applied.error()) is not None:
        raise error
    has_moved = declared is not seen  # another version is in play: look at once at what that brings with it
    if has_moved or applied.is_surprised:
        return Result(0.0)
    if is_told and not plan.needs_every_read:
        deps.polls.rest(ref, seen.registry)
    return Result(plan.requeue_after_s)


def is_unread(seen: Observation) -> bool:
    """Whether the registry has not been read since this process started: its first read, good or bad, brings the model back.

    Deciding before would write a status that says so, for every model at every restart, and another one a moment later.
    """
    return isinstance(seen.registry, RegistryUnknown) and seen.registry.reason is Reason.NOT_CHECKED


def forget(ref: ObjectRef, deps: Deps) -> Result:
    """A model is gone, or going: nobody polls, counts or measures for it any more. Its children go by their owner reference."""
    deps.polls.unwatch(ref)
    deps.live_metrics.unwatch(ref)
    deps.evidence.pop(ref, None)
    deps.proofs.pop(ref, None)
    deps.telemetry.forget(ref)
    return Result(None)
