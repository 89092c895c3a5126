"""Registry events from a queue: an approval takes effect in seconds, not at the next poll.

EventBridge sends "SageMaker Model Package State Change" to the queue. An event is never believed: it only means "look
now", so a duplicate, a stale or a forged one costs one read. Polling goes on as without events. Only the leader
consumes, since what a standby ate nobody would act upon; started by `runtime` when the work queue opens.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from psm_operator.adapters.arn import Arn
from psm_operator.errors import Retryable
from psm_operator.queue import Backoff
from psm_operator.timers import Timer
from psm_operator.values import GroupRef

log = logging.getLogger(__name__)

GATHER_S: Final = 0.5
"""An event waits this long for others of its group: a burst gives one read, and SageMaker's lists catch up."""

BACKOFF_S: Final = 1.0
BACKOFF_CAP_S: Final = 60.0
"""Between tries while the queue is away, drawn below a ceiling that doubles."""

DETAIL_TYPE: Final = "SageMaker Model Package State Change"
SHOWN: Final = 200
"""Characters of a message that is not understood, in the log."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the queue."""

    receipt: str
    body: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an event is about; account and region come from the package's ARN."""

    account: str
    region: str
    group: str


class EventQueue(Protocol):
    """Where events come from."""

    async def receive(self) -> Sequence[Message]:
        """Wait a while for messages."""

    async def delete(self, messages: Sequence[Message]) -> None:
        """Forget messages."""


class Hastened(Protocol):
    """The polls, as far as an event concerns them."""

    @property
    def followed(self) -> frozenset[GroupRef]:
        """Every group that is polled."""

    def hasten(self, group: GroupRef, after_s: float) -> None:
        """Poll the group no later than `after_s` from now."""


class EventMetrics(Protocol):
    """What the consumer tells telemetry."""

    def registry_event(self, outcome: str) -> None:
        """One message was handled: `followed`, `ignored` (nobody follows the group) or `unreadable`."""


class RegistryEvents:
    """Consumes events for as long as `run` does."""

    def __init__(
        self, queue: EventQueue, polls: Hastened, *, timer: Timer, backoff: Backoff, metrics: EventMetrics
    ) -> None:
        self._queue = queue
        self._polls = polls
        self._timer = timer
        self._backoff = backoff
        self._metrics = metrics
        self._failures = 0
        self._is_rubbish_told = False

    async def run(self) -> None:
        """Consume until cancelled; while the queue is away, try again less and less often."""
        while True:
            try:
                await self._consume()
            except Retryable as err:
                await self._back_off(str(err))
            except Exception as err:  # the edge of the process: polling goes on without events
                log.exception("registry events failed unexpectedly; this is a bug")
                await self._back_off(repr(err))

    async def _consume(self) -> None:
        messages = await self._queue.receive()
        if self._failures:
            log.info("registry events come again", extra={"failures": self._failures})
            self._failures = 0
        if not messages:
            return
        self._hasten(messages)
        await self._queue.delete(messages)

    def _hasten(self, messages: Iterable[Message]) -> None:
        for message in messages:
            change = change_of(message.body)
            if change is None:
                self._tell_rubbish(message.body)
                continue
            groups = [group for group in self._polls.followed if is_about(change, group)]
            for group in groups:
                self._polls.hasten(group, GATHER_S)
            self._metrics.registry_event("followed" if groups else "ignored")

    def _tell_rubbish(self, body: str) -> None:
        """Once: whoever sends one such message sends thousands."""
        self._metrics.registry_event("unreadable")
        level = logging.DEBUG if self._is_rubbish_told else logging.WARNING
        self._is_rubbish_told = True
        log.log(
            level,
            "the registry events queue has a message that is no %r, and it is deleted; send only those to it: %.*s",
            DETAIL_TYPE,
            SHOWN,
            body,
        )

    async def _back_off(self, why: str) -> None:
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        log.log(level, "registry events do not come, polling goes on: %s", why)
        over = asyncio.Event()
        handle = self._timer.call_later(self._backoff.delay_s(self._failures), over.set)
        try:
            await over.wait()
        finally:
            handle.cancel()


def change_of(body: str) -> Change | None:
    """What an event is about; None if it is none of ours."""
    try:
        event = json.loads(body)
        detail = event["detail"]
        group, arn = detail["ModelPackageGroupName"], Arn.parse(detail["ModelPackageArn"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if event.get("detail-type") != DETAIL_TYPE or not isinstance(group, str) or arn is None:
        return None
    return Change(arn.account, arn.region, group)


def is_about(change: Change, group: GroupRef) -> bool:
    """Whether a change may be one of a group that somebody follows; a read too many does no harm."""
    named, role = Arn.parse(group.name), Arn.parse(group.role_arn)
    owner = named or role
    name = named.name if named is not None else group.name
    return (name, group.region) == (change.group, change.region) and (owner is None or owner.account == change.account)
