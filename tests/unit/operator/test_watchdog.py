"""Liveness knows whether watches live, and does not blame us for others."""

from dataclasses import dataclass

import pytest
from timers_by_hand import HandTimer

from psm_operator.watchdog import Patience, Watchdog

MODELS, LEASES = "watcher for pricesensitivitymodels", "watcher for leases"


@dataclass
class Ages:
    """A queue's ages as the test sets them."""

    oldest_wait_s: float = 0.0
    longest_pass_s: float = 0.0


class Bench:
    """A watchdog with everything running."""

    def __init__(self) -> None:
        self.timer = HandTimer()
        self.ages = Ages()
        self.running = {MODELS, LEASES, "queue"}
        self.dog = Watchdog(
            expected=[MODELS, LEASES],
            running=lambda: self.running,
            queue=self.ages,
            timer=self.timer,
            patience=Patience(),
        )

    async def renew_for(self, seconds: int, *, watched: bool) -> None:
        """The Lease is renewed every two seconds; the watch shows it or not."""
        for _ in range(0, seconds, 2):
            await self.timer.advance(2)
            version = str(int(self.timer.now))
            self.dog.renewed(version)
            if watched:
                self.dog.saw_event("Lease")
                self.dog.saw_lease(version)


@pytest.fixture
def bench() -> Bench:
    """A fresh one."""
    return Bench()


async def test_what_is_not_watched_is_said_at_once(bench: Bench) -> None:
    """Readiness has no patience; liveness gives a start its time."""
    assert bench.dog.unwatched() == ()
    bench.running.discard(MODELS)
    assert MODELS in bench.dog.unwatched()[0]
    assert bench.dog.complaints() == ()


async def test_all_is_well(bench: Bench) -> None:
    """Ten minutes of renewals that the watch shows."""
    await bench.renew_for(600, watched=True)
    assert bench.dog.complaints() == ()
    assert bench.dog.watch_age_s("Lease") == 0
    assert bench.dog.watch_age_s("Service") == 600


async def test_a_watcher_that_died_is_named(bench: Bench) -> None:
    """Kopf only logs it; after the time a start may take, the process is to be restarted."""
    bench.running.discard(MODELS)
    assert bench.dog.complaints() == ()
    await bench.timer.advance(61)
    (complaint,) = bench.dog.complaints()
    assert MODELS in complaint
    assert LEASES not in complaint


async def test_a_watch_that_shows_nothing_while_the_lease_is_renewed_is_dead(bench: Bench) -> None:
    """The canary: what is written is not seen."""
    await bench.renew_for(60, watched=True)
    await bench.renew_for(180, watched=False)
    assert bench.dog.complaints() == ()
    await bench.renew_for(4, watched=False)
    (complaint,) = bench.dog.complaints()
    assert "no renewal of our Lease" in complaint


async def test_a_watch_that_lags_is_alive(bench: Bench) -> None:
    """An old renewal seen late is a sign of life."""
    await bench.renew_for(170, watched=False)
    bench.dog.saw_lease("1010")
    await bench.renew_for(170, watched=False)
    assert bench.dog.complaints() == ()


async def test_an_api_server_that_is_away_is_not_our_death(bench: Bench) -> None:
    """Nobody renews, nothing is owed: restarting would not help."""
    await bench.renew_for(60, watched=True)
    await bench.timer.advance(100_000)
    assert bench.dog.complaints() == ()


async def test_a_pass_or_a_key_that_is_older_than_can_be_is_named(bench: Bench) -> None:
    """A worker that hangs for ever holds a model for ever."""
    bench.ages.longest_pass_s = 301
    bench.ages.oldest_wait_s = 601
    assert bench.dog.complaints() == ("a pass has been running for 301 s", "a key has waited for 601 s")


async def test_a_renewal_that_the_watch_showed_before_the_answer_is_not_owed(bench: Bench) -> None:
    """The watch may be faster than the response to our own write."""
    bench.dog.saw_lease("2000")
    bench.dog.renewed("2000")
    await bench.timer.advance(100_000)
    assert bench.dog.complaints() == ()


async def test_while_watches_cannot_start_nothing_is_expected_of_them(bench: Bench) -> None:
    """An operator that waits for its CRD is alive; once it need not wait, its patience begins."""
    bench.running.discard(MODELS)
    for _ in range(30):
        await bench.renew_for(10, watched=False)
        bench.dog.postpone()
        assert bench.dog.complaints() == ()
    await bench.timer.advance(Patience().start_s)
    assert MODELS in bench.dog.complaints()[0]
