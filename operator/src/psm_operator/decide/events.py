"""Kubernetes Events, derived from the status and not from transitions: a crash neither loses nor doubles one.

Every Event has a key made of what happened and when; the recorder names the object after the key, so a second attempt is refused
by the API server. Only what is younger than `FRESH` is recorded: Events expire, and a restart must not bring old ones back.
"""

import hashlib
from datetime import datetime, timedelta

from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.names import STAMP
from psm_operator.api.status import HistoryEntry, HistoryResult, ModelStatus, Served, Stage
from psm_operator.decide.plan import AUTOSCALER
from psm_operator.decide.scene import is_rolling_back
from psm_operator.values import Action, Apply, Event, Manifest, Observation

FRESH = timedelta(minutes=10)


def events(seen: Observation, status: ModelStatus, done: tuple[Action, ...]) -> tuple[Event, ...]:
    """Every Event that the status warrants now, and what was written to children: what changed nothing is told by none."""
    ours = (entry for entry in status.history if entry.result in KNOWN_RESULTS)
    found: list[Event] = []
    for entry in ours:
        if _is_fresh(seen, entry.at):
            chosen_at = entry.served.chosen_at if entry.served is not None else None
            if entry.served is not None and chosen_at is not None and _is_fresh(seen, chosen_at):
                found += _of_stages(seen, entry.served, Stage.SOAKING, entry.at)
            found.append(_of_history(entry, status))
    for told in (seen.status, status):  # what a crash kept from being told is told by the next pass
        found += _of_candidate(seen, told) + _of_rollback(seen, told) + _of_stall(seen, told)
    found += _of_monitoring(seen, status)
    return tuple(found + _of_repairs(seen, status, done))


KNOWN_RESULTS = tuple(HistoryResult)
"""What a newer operator wrote besides, it told by itself."""


def _is_fresh(seen: Observation, at: datetime) -> bool:
    return seen.now - at < FRESH


def _of_history(entry: HistoryEntry, status: ModelStatus) -> Event:
    key = f"{entry.result.value}/{entry.version}/{entry.at.isoformat()}"
    why = _cause(entry, status)
    match entry.result:
        case HistoryResult.PROMOTED:
            return Event("Normal", Reason.PROMOTED, f"version {entry.version} finished its soak", key)
        case HistoryResult.SUPERSEDED:
            return Event("Normal", Reason.SUPERSEDED, f"version {entry.version} made way before its soak ended", key)
        case HistoryResult.REJECTED:
            return Event("Warning", entry.reason, f"version {entry.version} rejected: {why}", key)
        case HistoryResult.ROLLED_BACK:
            message = f"rolling back from version {entry.from_} to {entry.to}: {why}"
            return Event("Warning", Reason.ROLLING_BACK, message, key)


def _cause(entry: HistoryEntry, status: ModelStatus) -> str:
    """Why a version was rejected or left; its rejection may be over already."""
    said = [old.message for old in status.rejected if old.version == entry.version]
    rollback = status.rollback
    is_of_it = rollback is not None and (rollback.from_, rollback.started_at) == (entry.from_, entry.at)
    said += [rollback.message] if rollback is not None and is_of_it else []
    return said[0] if said else entry.reason.value


def _of_candidate(seen: Observation, status: ModelStatus) -> list[Event]:
    candidate = status.candidate
    if candidate is None or not _is_fresh(seen, candidate.started_at):
        return []
    return _of_stages(seen, candidate, candidate.stage, candidate.started_at)


def _of_stages(seen: Observation, served: Served, last: Stage, started_at: datetime) -> list[Event]:
    """A stage and those before it: one pass may go through several, and who sees only the last tells them all."""
    chosen = served.chosen_at or started_at
    is_recent = served.chosen_at is not None and _is_fresh(seen, chosen)
    told = STAGES[: STAGES.index(last) + 1] if is_recent else (last,)
    since = chosen.isoformat()
    return [
        Event("Normal", *_said_of(stage, served.version), f"{stage.value}/{served.version}/{since}") for stage in told
    ]


STAGES = tuple(Stage)


def _said_of(stage: Stage, version: int) -> tuple[Reason, str]:
    match stage:
        case Stage.VERIFYING:
            return Reason.VERIFYING, f"verifying version {version}"
        case Stage.PROGRESSING:
            return Reason.PROGRESSING, f"moving traffic to version {version}"
        case Stage.SOAKING:
            return Reason.SERVING, f"every replica serves version {version}"


def _of_rollback(seen: Observation, status: ModelStatus) -> list[Event]:
    rollback = status.rollback
    if rollback is None or rollback.finished_at is None or not _is_fresh(seen, rollback.finished_at):
        return []
    if status.current is None or status.current.version != rollback.to.version:
        return []
    message = f"version {rollback.to.version} serves again instead of {rollback.from_}"
    return [Event("Normal", Reason.ROLLED_BACK, message, f"RolledBack/{rollback.id}")]


def _of_stall(seen: Observation, status: ModelStatus) -> list[Event]:
    for condition in status.conditions:
        is_stalled = condition.type is ConditionType.STALLED and condition.status is ConditionStatus.TRUE
        if is_stalled and _is_fresh(seen, condition.last_transition_time):
            # A restart may take the condition away for a while: its key is what it says, and what happened last.
            last = status.history[0].at.isoformat() if status.history else "-"
            said = hashlib.sha256(condition.message.encode()).hexdigest()[:8]
            key = f"Stalled/{condition.reason.value}/{seen.generation}/{last}/{said}"
            return [Event("Warning", condition.reason, condition.message, key)]
    return []


def _of_monitoring(seen: Observation, status: ModelStatus) -> list[Event]:
    is_of_it = (c for c in status.conditions if c.type is ConditionType.MONITORING_READY)
    return [
        monitoring_event(condition.reason, condition.message)
        for condition in is_of_it
        if condition.status is ConditionStatus.FALSE and _is_fresh(seen, condition.last_transition_time)
    ]


def monitoring_event(reason: Reason, message: str) -> Event:
    """Something about the dashboard and alarms that may need a person; once for each thing that there is to say."""
    said = hashlib.sha256(message.encode()).hexdigest()[:8]
    return Event("Warning", reason, message, f"Monitoring/{reason.value}/{said}")


def _of_repairs(seen: Observation, status: ModelStatus, actions: tuple[Action, ...]) -> list[Event]:
    """Writes that neither the spec nor the release asked for put right what somebody else changed."""
    is_settled = seen.status.observed_generation == seen.generation and release_of(seen.status) == release_of(status)
    if not is_settled:
        return []
    repairs = [action for action in actions if isinstance(action, Apply) and _was_written(seen, action.manifest)]
    return [
        Event(
            "Normal",
            Reason.REPAIRED,
            f"{action.manifest['kind']} {action.manifest['metadata']['name']}: {action.reason}",
            f"Repaired/{action.manifest['kind']}/{action.reason}/{seen.now.isoformat()}",
        )
        for action in repairs
    ]


def _was_written(seen: Observation, manifest: Manifest) -> bool:
    """Whether this very manifest had been written before; if not, a crash kept us from it, and nobody undid anything.

    A live child tells by its stamp; one without was made anew by somebody. An absent one was there if the release was at rest.
    """
    if _is_resized(seen, manifest):
        return False
    live = seen.children.get((manifest["kind"], manifest["metadata"]["name"]))
    if live is not None:
        was, wanted = ((it["metadata"].get("annotations") or {}).get(STAMP) for it in (live, manifest))
        return was in (None, wanted)
    candidate = seen.status.candidate
    return not is_rolling_back(seen.status) and (candidate is None or candidate.stage is Stage.SOAKING)


def _is_resized(seen: Observation, manifest: Manifest) -> bool:
    """Whether off-hours, or a policy that prefers no answer, change the size or bring the autoscaler back."""
    if manifest["metadata"]["name"] != seen.ref.name or manifest["kind"] not in {"Deployment", AUTOSCALER}:
        return False
    live = seen.children.get(("Deployment", seen.ref.name))
    sizes = [it["spec"].get("replicas") for it in (manifest, live) if it is not None]
    return seen.status.off_hours is not None or 0 in sizes


def release_of(status: ModelStatus) -> tuple[object, ...]:
    """The part of a status that a crash must not lose: what serves, what is on its way, what was rejected and what happened."""
    served = status.current
    current = (served.version, served.arn, served.sha256, served.created_at) if served is not None else None
    moved = (status.candidate, current, status.stable, status.rollback, status.rejected, status.history)
    return *moved, status.off_hours, status.last_handled_rollback
