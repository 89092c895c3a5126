"""PURE. What a status keeps of the past, within bounds that change no decision: rejections and history.

Called by the rules of `release`; nothing here decides what happens next.
"""

from itertools import count
from typing import Any

from psm_operator.api.conditions import Reason
from psm_operator.api.status import MAX_HISTORY, MAX_REJECTIONS, HistoryEntry, ModelStatus, Rejection, Served
from psm_operator.decide.rollback import is_counted
from psm_operator.decide.scene import is_gone, own_package, summary_of
from psm_operator.values import Approval, Observation

DETAILED_REJECTIONS = 50
"""Rejections that keep their whole message; of older ones a line is kept, so that a status stays small."""
BRIEF = 100
"""Characters of that line."""


def with_rejection(
    seen: Observation, status: ModelStatus, served: Served, reason: Reason, message: str
) -> tuple[Rejection, ...]:
    """The rejections with one more; a version is rejected once."""
    package = own_package(seen, served)
    row = summary_of(seen, served.version) if not is_gone(seen, served) else None
    entry = Rejection(
        version=served.version,
        reason=reason,
        message=message,
        at=seen.now,
        fingerprint=package.fingerprint if package is not None else "",
        revoked=reason is Reason.APPROVAL_REVOKED if row is None else row.approval is not Approval.APPROVED,
        **identity_of(served),
    )
    others = tuple(old for old in status.rejected if old.version != served.version)
    return _bounded((entry, *others))


def _bounded(entries: tuple[Rejection, ...]) -> tuple[Rejection, ...]:
    """No version is forgotten that could be chosen again: the lowest goes, and nothing below the rest is (`policy_choice`)."""
    lowest = min(entry.version for entry in entries) if len(entries) > MAX_REJECTIONS else None
    kept = [entry for entry in entries if entry.version != lowest]
    brief = (entry.model_copy(update={"message": entry.message[:BRIEF]}) for entry in kept[DETAILED_REJECTIONS:])
    return (*kept[:DETAILED_REJECTIONS], *brief)


def identity_of(served: Served) -> dict[str, Any]:
    """What tells a package from another one of its number."""
    return {"arn": served.arn, "sha256": served.sha256 or None, "created_at": served.created_at}


def with_entry(seen: Observation, status: ModelStatus, entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    """The newest ways back, as many entries of other kinds, and every rollback that spec.rollback.maxPerHour still counts."""
    entries = (entry, *status.history)
    ranks = {True: count(), False: count()}
    limit = seen.spec.revision_history_limit
    kept = [old for old in entries if next(ranks[old.served is not None]) < limit or is_counted(seen, old)]
    by_need = sorted(range(len(kept)), key=lambda at: (not is_counted(seen, kept[at]), kept[at].served is None, at))
    return tuple(kept[at] for at in sorted(by_need[:MAX_HISTORY]))
