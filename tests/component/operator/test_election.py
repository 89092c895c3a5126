"""Leader election on a real API server: one leads, nobody's clock is believed, a loss is noticed."""

import asyncio
import gc
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from timers_by_hand import HandTimer

from psm_operator.adapters.kinds import LEASE
from psm_operator.adapters.kube_api import KubeApi
from psm_operator.adapters.memory import MemoryClock
from psm_operator.election import Election, LeadershipLost, LeaseTimes
from psm_operator.errors import Retryable
from psm_operator.values import Manifest

pytestmark = [
    pytest.mark.component,
    # Candidates are cut off in the middle of a TLS handshake, whose transport asyncio then leaves to the collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

NAMESPACE = "psm-system"
QUICK = LeaseTimes(duration_s=15.0, renew_deadline_s=10.0, retry_s=0.02)
"""Real deadlines, measured on a clock that the test moves; only the pause between tries is short."""

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2099, 1, 1, tzinfo=UTC)

SOON_S = 30.0
"""Until somebody leads who may; a busy machine is slow, not wrong."""

Candidate = Callable[..., Election]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a test cut off is collected within it, not in the middle of another."""
    yield
    gc.collect()


@pytest.fixture
def lease() -> str:
    """A name that no other test uses."""
    return f"lease-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def timer() -> HandTimer:
    """Monotonic time, moved by the test."""
    return HandTimer()


@pytest.fixture
def candidate(api: KubeApi, lease: str, timer: HandTimer) -> Candidate:
    """Makes candidates for one lease."""

    def make(identity: str, *, wall_clock: datetime = LONG_AGO, heard: list[str] | None = None) -> Election:
        return Election(
            api,
            namespace=NAMESPACE,
            name=lease,
            identity=identity,
            times=QUICK,
            clock=MemoryClock(wall_clock),
            timer=timer,
            draw=lambda: 0.0,
            on_renewal=(heard if heard is not None else []).append,
        )

    return make


async def stored(api: KubeApi, lease: str) -> Manifest:
    """The lease's spec in the cluster."""
    spec: Manifest = (await api.send("GET", LEASE.path(NAMESPACE, lease)))["spec"]
    return spec


async def leads_within(election: Election, seconds: float) -> bool:
    """Whether it comes to lead in so many real seconds."""
    try:
        async with asyncio.timeout(seconds):
            await election.acquire()
    except TimeoutError:
        return False
    return True


async def test_of_many_candidates_one_leads(candidate: Candidate, api: KubeApi, lease: str) -> None:
    """They all start in the same instant."""
    candidates = [candidate(f"c{number}") for number in range(8)]
    trying = [asyncio.create_task(one.acquire()) for one in candidates]
    await asyncio.wait(trying, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(1)  # each of the others tries again some fifty times
    led = [task.done() for task in trying]
    for task in trying:
        task.cancel()
    await asyncio.gather(*trying, return_exceptions=True)
    assert sum(led) == 1
    leader = candidates[led.index(True)]
    assert leader.is_leader
    assert (await stored(api, lease))["holderIdentity"] == f"c{led.index(True)}"


@pytest.mark.parametrize("wall_clock", [LONG_AGO, FAR_AHEAD], ids=["slow by decades", "fast by decades"])
async def test_no_clock_of_another_machine_is_believed(
    candidate: Candidate, timer: HandTimer, wall_clock: datetime
) -> None:
    """A renewTime in the past or future neither frees nor blocks the lease: only watched silence does."""
    assert await leads_within(candidate("first", wall_clock=wall_clock), SOON_S)
    second = candidate("second", wall_clock=datetime(2025, 1, 1, tzinfo=UTC))
    assert not await leads_within(second, 0.3)
    await timer.advance(14.9)
    assert not await leads_within(second, 0.3)
    await timer.advance(0.1)
    assert await leads_within(second, SOON_S)


async def test_a_renewed_lease_is_not_taken(candidate: Candidate, timer: HandTimer, api: KubeApi, lease: str) -> None:
    """As long as the holder renews, time does not matter."""
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    first._clock.advance(1)  # type: ignore[attr-defined]  # the test's clock
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())
    for _ in range(20):
        before = await stored(api, lease)
        first._clock.advance(1)  # type: ignore[attr-defined]  # the test's clock
        async with asyncio.timeout(SOON_S):
            while await stored(api, lease) == before:  # noqa: ASYNC110  # the API server has no event for us here
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        await timer.advance(5)
    assert not waiting.done()
    assert not keeping.done()
    keeping.cancel()
    waiting.cancel()
    await asyncio.gather(keeping, waiting, return_exceptions=True)


async def test_a_released_lease_is_taken_at_once(candidate: Candidate, api: KubeApi, lease: str) -> None:
    """A rolling update does not cost fifteen seconds."""
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    await first.release()
    assert not first.is_leader
    assert await leads_within(second, SOON_S)
    spec = await stored(api, lease)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_who_released_the_lease_does_not_take_it_back(candidate: Candidate, api: KubeApi, lease: str) -> None:
    """The renewals go on for as long as the rest of the process takes to end."""
    leader = candidate("first")
    await leader.acquire()
    keeping = asyncio.create_task(leader.keep())
    await asyncio.sleep(0.1)
    await leader.release()
    await asyncio.sleep(0.3)
    assert (await stored(api, lease))["holderIdentity"] == ""
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_leader_that_was_silent_for_too_long_ends(candidate: Candidate, timer: HandTimer) -> None:
    """Another leads by now: it must not write any more."""
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    assert not await leads_within(second, 0.2)
    await timer.advance(15)
    await second.acquire()
    with pytest.raises(LeadershipLost, match=r"was not renewed for 15\.0 s"):
        await asyncio.wait_for(first.keep(), SOON_S)
    assert not first.is_leader


async def test_a_leader_whose_lease_was_taken_ends_at_once(candidate: Candidate, api: KubeApi, lease: str) -> None:
    """Well before its deadline: it read who holds the lease."""
    leader = candidate("first")
    await leader.acquire()
    live = await api.send("GET", LEASE.path(NAMESPACE, lease))
    live["spec"]["holderIdentity"] = "second"
    await api.send("PUT", LEASE.path(NAMESPACE, lease), body=live)
    with pytest.raises(LeadershipLost, match="last seen holder is second"):
        await asyncio.wait_for(leader.keep(), SOON_S)


async def test_a_leader_that_cannot_renew_ends_at_its_deadline(
    candidate: Candidate, api: KubeApi, timer: HandTimer
) -> None:
    """Five seconds before anybody else may lead."""
    leader = candidate("first")
    await leader.acquire()
    api.configuration.host, reachable = "http://127.0.0.1:1", api.configuration.host
    keeping = asyncio.create_task(leader.keep())
    await asyncio.sleep(0.2)
    await timer.advance(9)
    await asyncio.sleep(0.2)
    assert not keeping.done()
    await timer.advance(1)
    with pytest.raises(LeadershipLost, match=r"not renewed for 10\.0 s"):
        await asyncio.wait_for(keeping, SOON_S)
    api.configuration.host = reachable


async def test_a_leader_survives_a_write_that_it_did_not_hear_of(
    candidate: Candidate, api: KubeApi, lease: str
) -> None:
    """Somebody labelled the lease: the next renewal conflicts, reads and goes on."""
    leader = candidate("first")
    await leader.acquire()
    live = await api.send("GET", LEASE.path(NAMESPACE, lease))
    live["metadata"]["labels"] = {"seen": "yes"}
    await api.send("PUT", LEASE.path(NAMESPACE, lease), body=live)
    keeping = asyncio.create_task(leader.keep())
    await asyncio.sleep(0.5)
    assert not keeping.done()
    assert leader.is_leader
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_renewals_are_reported_with_their_resource_version(candidate: Candidate) -> None:
    """What the watchdog compares the watch with: the leader's own and those a standby reads."""
    written: list[str] = []
    read: list[str] = []
    leader, standby = candidate("first", heard=written), candidate("second", heard=read)
    await leader.acquire()
    assert not await leads_within(standby, 0.2)
    assert len(written) == 1
    assert read == written


async def test_nothing_is_written_once_another_might_lead(candidate: Candidate, timer: HandTimer) -> None:
    """The fence of every write: shut before we lead, shut when the renew deadline has passed, open in between."""
    leader = candidate("first")
    with pytest.raises(Retryable, match="is not ours"):
        leader.confirm()
    await leader.acquire()
    leader.confirm()
    await timer.advance(9.9)
    leader.confirm()
    await timer.advance(0.1)
    with pytest.raises(Retryable, match=r"last renewed 10\.0 s ago"):
        leader.confirm()
