"""A lease in S3: at most one holder, taken over from the dead, given back by the living."""

import itertools
import json
import threading

import pytest

from psm_training.errors import PipelineError
from psm_training.lease import LEASE_S, MARGIN_S, WAIT_S, Lease
from psm_training.registry import Stored

URL = "s3://bucket/group/approval.lease"


class Storage:
    """One object with S3's promises: conditional writes are atomic, reads see the last write."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seen: Stored | None = None
        self.written_at = 0.0
        self.fails = False
        self._lock = threading.Lock()
        self._etags = itertools.count()

    def get(self, _: str) -> Stored | None:
        with self._lock:
            if self.fails:
                raise PipelineError("could not read")
            return self.seen and Stored(self.seen.content, self.seen.etag, self.now - self.written_at)

    def put_if(self, _: str, content: bytes, *, etag: str | None) -> bool:
        with self._lock:
            if (self.seen and self.seen.etag) != etag:
                return False
            self.seen, self.written_at = Stored(content, str(next(self._etags)), 0.0), self.now
            return True

    @property
    def holder(self) -> str:
        return "" if self.seen is None else str(json.loads(self.seen.content)["holder"])


class Clock:
    """Time that moves when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def lease(storage: Storage, holder: str, clock: Clock | None = None) -> Lease:
    time = clock or Clock()
    return Lease(storage, URL, holder, clock=time, pause=time.pause)


def test_it_is_held_inside_and_nobodys_afterwards() -> None:
    """And can be taken again."""
    storage = Storage()
    for holder in ("one", "two", "one"):
        with lease(storage, holder) as held:
            assert storage.holder == holder
            assert held.is_held
        assert storage.holder == ""
        assert not held.is_held


def test_a_second_one_waits_and_then_says_who_has_it() -> None:
    """Not for ever."""
    storage, clock = Storage(), Clock()
    with (
        lease(storage, "one"),
        pytest.raises(PipelineError, match="one holds s3://bucket/group/approval"),
    ):
        lease(storage, "two", clock).__enter__()
    assert clock.now == pytest.approx(WAIT_S, abs=1)


def test_the_dead_are_taken_over_and_notice_it() -> None:
    """After LEASE_S by the clock of S3; the old holder stops trusting it before that."""
    storage = Storage()
    dead = lease(storage, "dead").__enter__()
    storage.now = LEASE_S - MARGIN_S
    assert not dead.is_held
    with pytest.raises(PipelineError):
        lease(storage, "early").__enter__()
    storage.now = LEASE_S
    with lease(storage, "heir"):
        dead.__exit__(None, None, None)
        assert storage.holder == "heir"


def test_a_write_whose_answer_got_lost_counts() -> None:
    """boto3 writes again and hears that the condition failed; what lies there says that it is ours."""

    class WritesTwice(Storage):
        def put_if(self, _: str, content: bytes, *, etag: str | None) -> bool:
            super().put_if(_, content, etag=etag)
            return super().put_if(_, content, etag=etag)

    with lease(WritesTwice(), "one") as held:
        assert held.is_held


def test_what_is_no_lease_is_replaced() -> None:
    """A damaged object must not stop approvals for ever."""
    storage = Storage()
    assert storage.put_if(URL, b"{", etag=None)
    with lease(storage, "one"):
        assert storage.holder == "one"


def test_giving_back_does_not_hide_why_the_work_failed() -> None:
    """S3 going away is the second error; the first is told."""
    storage = Storage()

    def work(*, hard: bool) -> None:
        with lease(storage, "one"):
            storage.fails = True
            assert 1 / (not hard)

    with pytest.raises(ZeroDivisionError):
        work(hard=True)
    storage.fails = False
    with pytest.raises(PipelineError, match="could not read"):
        work(hard=False)


def test_of_many_at_once_one_is_inside() -> None:
    """Threads without pause between their tries."""
    storage, inside, most = Storage(), 0, 0
    done = []

    def work(name: str) -> None:
        nonlocal inside, most
        for _ in range(5):
            with Lease(storage, URL, name, pause=lambda _: None):
                inside += 1
                most = max(most, inside)
                inside -= 1
        done.append(name)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (most, len(done)) == (1, 4)
