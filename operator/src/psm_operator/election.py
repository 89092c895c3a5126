"""Leader election by a coordination.k8s.io Lease: one process writes, the others keep warm caches.

As client-go does it (15 s lease, 10 s renew deadline, 2 s retry), with two properties that the Python clients' own
elections lack: every write is fenced by the resourceVersion that was read, and another holder's lease expires when we
have *watched it unchanged* for its duration on our own monotonic clock: no clock of another machine is believed.
Losing the lease raises `LeadershipLost`; the process is to end at once, before the next holder starts.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Never

from psm_operator.adapters.kinds import LEASE
from psm_operator.adapters.kube_api import KubeApi, Refusal
from psm_operator.errors import Retryable
from psm_operator.ports import Clock
from psm_operator.timers import Timer
from psm_operator.values import Manifest

log = logging.getLogger(__name__)

RELEASE_S: Final = 2.0
"""How long giving the lease up may take; failing that, it expires."""

JITTER: Final = 0.2
"""Candidates retry up to this share later, so that they do not all write at once (client-go: JitterFactor 1.2)."""


class LeadershipLost(Exception):  # noqa: N818  # says what happened, not what is wrong
    """The lease could not be renewed in time, or somebody else holds it."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds, as in client-go: duration > renew deadline > retry.

    Attributes:
        duration_s: how long others wait for a silent holder.
        renew_deadline_s: how long the holder tries to renew before it gives up; the rest is its margin to stop.
        retry_s: time between tries.
    """

    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease as last read, and when (our monotonic clock) it was first seen like that."""

    lease: Manifest
    since: float

    @property
    def holder(self) -> str:
        """Identity of the holder; empty when released."""
        return str(self.lease["spec"].get("holderIdentity") or "")

    @property
    def renewal(self) -> tuple[str, str]:
        """Changes with every renewal."""
        return self.holder, str(self.lease["spec"].get("renewTime"))


class Election:
    """One candidate.

    Args:
        identity: unique to this process, not only to this pod.
        draw: uniform over [0, 1).
        on_renewal: told the resourceVersion whenever a renewal, anybody's, was read or written; the watchdog compares
            what the watches show with it.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes,
        clock: Clock,
        timer: Timer,
        draw: Callable[[], float],
        on_renewal: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._clock = clock
        self._timer = timer
        self._draw = draw
        self._on_renewal = on_renewal
        self._seen: Seen | None = None
        self._renewed_at = 0.0
        self._turn = asyncio.Lock()
        self._is_over = False
        self.is_leader = False

    @property
    def transitions(self) -> int:
        """How often the lease changed hands, as it says itself; 0 while it was not read."""
        return int(self._seen.lease["spec"].get("leaseTransitions") or 0) if self._seen is not None else 0

    async def acquire(self) -> None:
        """Return when we hold the lease."""
        while True:
            if await self._try_to_hold():
                break
            await asyncio.sleep(self._times.retry_s * (1 + JITTER * self._draw()))
        self.is_leader = True
        log.info("leading", extra={"lease": f"{self._namespace}/{self._name}", "identity": self._identity})

    async def keep(self) -> Never:
        """Renew until the lease is released, then rest.

        Raises:
            LeadershipLost: the renew deadline passed, or somebody else holds the lease.
        """
        while not self._is_over:
            await asyncio.sleep(self._times.retry_s)
            left_s = self._times.renew_deadline_s - (self._timer.time() - self._renewed_at)
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    held = await self._try_to_hold()
            except TimeoutError:
                held = False
            if not self._is_over:
                self._judge(held=held)
        rest: asyncio.Future[Never] = asyncio.Future()
        await rest

    def confirm(self) -> None:
        """Refuse a write that another leader might have to suffer: the lease gates passes, this gates what a late one sends.

        A process that was frozen for longer than the lease goes on in the middle of a pass, before its own renewals notice.

        Raises:
            Retryable: we do not lead, or the lease was not renewed within its renew deadline.
        """
        silent_s = self._timer.time() - self._renewed_at
        if not self.is_leader:
            raise Retryable(f"not written: lease {self._namespace}/{self._name} is not ours")
        if silent_s >= self._times.renew_deadline_s:
            message = f"not written: lease {self._namespace}/{self._name} was last renewed {silent_s:.1f} s ago"
            raise Retryable(f"{message}, another process may lead")

    async def release(self) -> None:
        """Give the lease up for good, so that the next leader need not wait; best effort.

        `keep` may still run, and must not take back what has no holder any more.
        """
        self._is_over = True
        try:
            async with asyncio.timeout(RELEASE_S), self._turn:
                if not self.is_leader or self._seen is None:
                    return
                self.is_leader = False
                free = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                await self._write({**self._seen.lease, "spec": {**self._seen.lease["spec"], **free}})
        except (Retryable, Refusal, TimeoutError) as err:
            log.warning("lease not released, the next leader waits for it to expire: %s", err)
        else:
            log.info("released the lease")

    # --- how ------------------------------------------------------------------------------------------------------

    def _judge(self, *, held: bool) -> None:
        if held:
            return
        holder = self._seen.holder if self._seen is not None else ""
        silent_s = self._timer.time() - self._renewed_at
        if holder not in ("", self._identity) or silent_s >= self._times.renew_deadline_s:
            self.is_leader = False
            raise LeadershipLost(
                f"lease {self._namespace}/{self._name} was not renewed for {silent_s:.1f} s; "
                f"last seen holder is {holder or 'nobody'}"
            )

    async def _try_to_hold(self) -> bool:
        """One try to create, take over or renew the lease."""
        async with self._turn:
            return not self._is_over and await self._try()

    async def _try(self) -> bool:
        started = self._timer.time()
        try:
            held = await self._renew() if self.is_leader else await self._take()
        except Refusal as err:
            if err.status != HTTPStatus.CONFLICT:
                log.warning("lease refused: %s; check the operator's RBAC on leases", err)
            self._forget_version()
            return False
        except Retryable as err:
            log.warning("lease not reachable: %s", err)
            return False
        if held:
            self._renewed_at = started
        return held

    async def _renew(self) -> bool:
        if self._seen is None or "resourceVersion" not in self._seen.lease["metadata"]:
            await self._read()
        if self._seen is None or self._seen.holder != self._identity:
            return False
        spec = {**self._seen.lease["spec"], "renewTime": self._now()}
        self._notice(await self._write({**self._seen.lease, "spec": spec}))
        return True

    async def _take(self) -> bool:
        await self._read()
        if self._seen is None:
            metadata = {"name": self._name, "namespace": self._namespace}
            lease = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}
            body = {**lease, "spec": self._spec(transitions=0)}
            self._notice(await self._api.send("POST", LEASE.path(self._namespace), body=body))
            return True
        duration_s = float(self._seen.lease["spec"].get("leaseDurationSeconds") or self._times.duration_s)
        is_free = self._seen.holder in ("", self._identity)
        if not is_free and self._timer.time() - self._seen.since < duration_s:
            return False
        transitions = int(self._seen.lease["spec"].get("leaseTransitions") or 0) + 1
        self._notice(await self._write({**self._seen.lease, "spec": self._spec(transitions=transitions)}))
        return True

    async def _read(self) -> None:
        try:
            self._notice(await self._api.send("GET", LEASE.path(self._namespace, self._name)))
        except Refusal as err:
            if err.status != HTTPStatus.NOT_FOUND:
                raise
            self._seen = None

    async def _write(self, lease: Manifest) -> Manifest:
        """PUT: the resourceVersion within fences it."""
        return await self._api.send("PUT", LEASE.path(self._namespace, self._name), body=lease)

    def _notice(self, lease: Manifest) -> None:
        seen = Seen(lease, self._timer.time())
        if self._seen is not None and self._seen.renewal == seen.renewal:
            seen = Seen(lease, self._seen.since)
        else:
            self._on_renewal(lease["metadata"]["resourceVersion"])
        self._seen = seen

    def _forget_version(self) -> None:
        """After a conflict the next try reads first; since when the holder is silent stays known."""
        if self._seen is not None:
            metadata = {k: v for k, v in self._seen.lease["metadata"].items() if k != "resourceVersion"}
            self._seen = Seen({**self._seen.lease, "metadata": metadata}, self._seen.since)

    def _spec(self, *, transitions: int) -> Manifest:
        now = self._now()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._times.duration_s),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _now(self) -> str:
        return f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ}"
