"""Waits until a wish came true, and says meanwhile what the operator says; for `--wait` and `await`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.models import (
    condition,
    full_name,
    is_suspended,
    name_of,
    namespace_of,
    pin_of,
    read_one,
    rejection_of,
    status_of,
    version_in,
)
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.session import Session
from psm_operator.kubectl.table import duration
from psm_operator.kubectl.watching import Follower
from psm_operator.kubectl.wishes import Wish

HINT: Final = "the operator has not acted upon it: is it running? (kubectl get lease -n psm-system)"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock; 0 seconds is never."""

    limit_s: float
    monotonic: Callable[[], float] = time.monotonic
    start: float = 0.0

    def left(self) -> float:
        """Seconds until then."""
        return self.limit_s - (self.monotonic() - self.start) if self.limit_s else float("inf")


def wait_for_version(session: Session, name: str, version: int, limit_s: float) -> None:
    """Return when a version serves that an approval or somebody else asked for.

    Raises:
        PluginError: it will not come true, the model went away, or the time is over.
    """
    model = read_one(session.client, session.namespace, name)
    rejection = rejection_of(model, version)
    if rejection is not None:
        raise PluginError(f"version {version} of {name} was rejected: {rejection['message']}")
    wish = Wish(patch={}, done="", target=version, version=version, is_from_registry=True)
    wait(session, model, wish, limit_s)


def wait(session: Session, model: Manifest, wish: Wish, limit_s: float) -> None:
    """Return when the wish came true.

    Args:
        session: where to ask and to speak.
        model: as the write returned it.
        wish: what was written.
        limit_s: how long to wait; 0 for ever.

    Raises:
        PluginError: it will not come true, the model went away, or the time is over.
    """
    deadline = Deadline(limit_s, start=time.monotonic())
    follower = Follower(
        client=session.client,
        namespace=namespace_of(model),
        pause=lambda seconds: time.sleep(max(0.0, min(seconds, deadline.left()))),
        warn=session.warn,
        names=frozenset({name_of(model)}),
        limit_s=deadline.left,
    )
    said, last = "", model
    for changes in follower.changes():
        for kind, seen in changes:
            last = seen
            if kind == "DELETED":
                raise PluginError(f"{name_of(model)} was deleted meanwhile")
            outcome = judge(model, seen, wish)
            if outcome:
                session.say(f"{full_name(model)} {outcome}")
                return
            said = _tell(session, seen, said)
        if deadline.left() <= 0:
            hint = HINT if _is_untouched(model, last, wish) else "look at it with `kubectl psm explain`"
            where = f"{name_of(model)} ({said or 'no status'})"
            raise PluginError(f"timed out after {duration(int(limit_s))} waiting for {where}; {hint}")


def _tell(session: Session, seen: Manifest, said: str) -> str:
    status = status_of(seen)
    text = f"{status.get('phase', 'Pending')}: {' '.join(str(status.get('message', '')).split())}"
    if text != said:
        session.say(f"Waiting for {name_of(seen)}: {text}")
    return text


def _is_untouched(written: Manifest, seen: Manifest, wish: Wish) -> bool:
    """Whether the operator has not even looked."""
    if wish.rollback:
        return status_of(seen).get("lastHandledRollback") != wish.rollback
    return _is_unseen(written, seen)


def judge(written: Manifest, seen: Manifest, wish: Wish) -> str:
    """What came of the wish, in words; empty while it is not decided.

    Raises:
        PluginError: it will not come true.
    """
    if is_suspended(seen):
        name = name_of(seen)
        raise PluginError(f"{name} is suspended: nothing moves until `kubectl psm resume {name}`")
    if wish.rollback:
        return _judge_rollback(seen, wish)
    _refuse_overtaken(seen, wish)
    if _is_unseen(written, seen):
        return ""
    return _judge_version(written, seen, wish)


def _refuse_overtaken(seen: Manifest, wish: Wish) -> None:
    """Somebody else, or a newer approval, may want something else meanwhile."""
    pin, desired, name = pin_of(seen), version_in(seen, "desired"), name_of(seen)
    if pin is not None and pin != wish.target:
        raise PluginError(f"{name} was pinned to version {pin} meanwhile; version {wish.target} is not served")
    if pin is None and desired is not None and wish.target is not None and desired > wish.target:
        raise PluginError(f"version {desired} of {name} was approved meanwhile; it goes before version {wish.target}")


def _is_unseen(written: Manifest, seen: Manifest) -> bool:
    """Whether the operator has not acted upon the write yet."""
    is_old = int(status_of(seen).get("observedGeneration") or 0) < int(written["metadata"]["generation"])
    asked = (written["metadata"].get("annotations") or {}).get("retail.mlops/requestedAt")
    return is_old or (asked is not None and status_of(seen).get("lastHandledReconcileAt") != asked)


def _judge_rollback(seen: Manifest, wish: Wish) -> str:
    status = status_of(seen)
    rollback: Any = status.get("rollback") or {}
    if status.get("lastHandledRollback") != wish.rollback:
        stall = condition(seen, "Stalled")
        is_ours = str(stall.get("message", "")).startswith(f"a person asked to go back from version {wish.version};")
        if is_ours:
            hint = f"withdraw the request with `kubectl annotate psm/{name_of(seen)} retail.mlops/rollback-`"
            raise PluginError(f"{stall['message']}; {hint}")
        return ""
    if rollback.get("from") != wish.version or rollback.get("reason") != "RequestedByPerson":
        raise PluginError(
            f"the request is void: version {wish.version} of {name_of(seen)} was no longer served, or was pinned"
        )
    if not rollback.get("finishedAt"):
        return ""
    return f"rolled back from version {wish.version} to {rollback['to']['version']}"


def _judge_version(written: Manifest, seen: Manifest, wish: Wish) -> str:
    version = wish.target
    before, after = rejection_of(written, version), rejection_of(seen, version)
    if after is not None and (before is None or before["at"] != after["at"]):
        raise PluginError(f"version {version} of {name_of(seen)} was rejected: {after['message']}")
    is_ready = condition(seen, "Ready").get("status") == "True"
    is_moving = condition(seen, "Reconciling").get("status") == "True"
    if version_in(seen, "current") == version and is_ready and not is_moving:
        return f"serves version {version}"
    stall = condition(seen, "Stalled")
    if stall.get("status") == "True" and not wish.is_from_registry:
        raise PluginError(f"{name_of(seen)} is stalled: {stall['message']}")
    return ""
