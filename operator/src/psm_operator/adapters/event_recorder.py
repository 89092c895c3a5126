"""Kubernetes Events with names of their own making: the same key never makes two, whoever crashes in between.

Created and never changed, so no patch permission is needed. A token bucket per model keeps a flapping one from filling
etcd. Events are for people: not being allowed to record one holds nothing up.
"""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from psm_operator.adapters.kinds import EVENT, MODEL
from psm_operator.adapters.kube_api import KubeApi, Refusal
from psm_operator.ports import Clock
from psm_operator.timers import Timer
from psm_operator.values import Event, Manifest, ObjectRef

log = logging.getLogger(__name__)

NOTE_LIMIT: Final = 1024
"""events.k8s.io/v1 refuses longer notes."""

BURST: Final = 25
REFILL_S: Final = 60.0
"""client-go's burst; its refill of one per 5 min would hide a second rollback of the same hour."""

REMEMBERED_S: Final = 1800.0
"""How long a name is remembered, so that a pass that says the same again costs no request: longer than any Event is news."""

BUCKETS: Final = 10_000
"""Models whose rate is known; one that has been silent for longer than all others begins anew."""

CONTROLLER: Final = "retail.mlops/psm-operator"


class EventMetrics(Protocol):
    """What the recorder tells telemetry."""

    def event_dropped(self, why: str) -> None:
        """An Event was not recorded."""


@dataclass(slots=True)
class Bucket:
    """Tokens left, as of a moment."""

    tokens: float
    at: float

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        self.tokens = min(float(BURST), self.tokens + (now - self.at) / REFILL_S)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class EventRecorder:
    """Records Events about models.

    Args:
        identity: which process says so; shown as reportingInstance.
    """

    def __init__(self, api: KubeApi, *, identity: str, clock: Clock, timer: Timer, metrics: EventMetrics) -> None:
        self._api = api
        self._identity = identity
        self._clock = clock
        self._timer = timer
        self._metrics = metrics
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._recorded: OrderedDict[str, float] = OrderedDict()

    async def record(self, ref: ObjectRef, uid: str, event: Event) -> bool:
        """Record one Event unless its key was recorded before; False if that must wait for a token."""
        name = event_name(ref, uid, event)
        if name in self._recorded:
            return True
        if not self._bucket(uid).take(self._timer.time()):
            self._metrics.event_dropped("rate")
            log.warning("event not recorded, too many: %s", event.message, extra={"model": str(ref)})
            return False
        try:
            await self._api.send("POST", EVENT.path(ref.namespace), body=self._manifest(name, ref, uid, event))
        except Refusal as err:
            if err.status != HTTPStatus.CONFLICT:
                self._metrics.event_dropped("refused")
                log.warning("event not recorded: %s", err, extra={"model": str(ref), "event": event.message})
        self._remember(name)
        return True

    def _remember(self, name: str) -> None:
        now = self._timer.time()
        self._recorded[name] = now
        while now - next(iter(self._recorded.values())) > REMEMBERED_S:
            self._recorded.popitem(last=False)

    def _bucket(self, uid: str) -> Bucket:
        bucket = self._buckets.setdefault(uid, Bucket(float(BURST), self._timer.time()))
        self._buckets.move_to_end(uid)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        return bucket

    def _manifest(self, name: str, ref: ObjectRef, uid: str, event: Event) -> Manifest:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": ref.namespace},
            "eventTime": f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ}",
            "type": event.type,
            "reason": event.reason.value,
            "note": event.message[:NOTE_LIMIT],
            "action": event.reason.value,
            "regarding": {
                "apiVersion": MODEL.api_version,
                "kind": MODEL.kind,
                "namespace": ref.namespace,
                "name": ref.name,
                "uid": uid,
            },
            "reportingController": CONTROLLER,
            "reportingInstance": self._identity[:128],
        }


def event_name(ref: ObjectRef, uid: str, event: Event) -> str:
    """The object's name, fixed by who it is about and its key."""
    digest = hashlib.sha256(f"{uid}\0{event.key}".encode()).hexdigest()[:16]
    return f"{ref.name[:200]}.{digest}"
