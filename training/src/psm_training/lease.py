"""One object in S3 that at most one process holds at a time: SageMaker's registry has no conditional write, S3 has one.

The object stays for ever and says who holds it, or that nobody does; it changes by conditional writes only. A holder
that died is taken over once its write is LEASE_S old by the clock of S3, so that no clock of ours matters. Conditional
deletes are younger than conditional writes and not every S3 server has them, so the holder writes "nobody".
"""

import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self

from psm_training.errors import PipelineError
from psm_training.registry import Stored

LEASE_S: Final = 120.0
"""An approval takes seconds; longer than any pause of a process that still lives and is worth waiting for."""

MARGIN_S: Final = 30.0
"""The holder believes in its lease this much shorter than others do."""

WAIT_S: Final = 30.0
RETRY_S: Final = 0.5


class Storage(Protocol):
    """What a lease needs of S3; `ModelRegistry` has it."""

    def get(self, url: str) -> Stored | None:
        """An object; None when there is none."""
        ...

    def put_if(self, url: str, content: bytes, *, etag: str | None) -> bool:
        """Stores an object if it is still the one that `etag` names, or with None if there is none."""
        ...


class Lease:
    """A lease as a context manager; entering waits for it."""

    def __init__(
        self,
        storage: Storage,
        url: str,
        holder: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Describes a lease.

        Args:
            storage: Where the object lies.
            url: s3:// address of the object.
            holder: Names this process and no other, for ever.
            clock: Seconds, for how long to wait.
            pause: Waits so many seconds.
        """
        self._storage, self._url, self._holder = storage, url, holder
        self._clock, self._pause = clock, pause

    def __enter__(self) -> Self:
        """Takes the lease.

        Raises:
            PipelineError: Somebody else holds it all the time.
        """
        until = self._clock() + WAIT_S
        while not self._take():
            if self._clock() >= until:
                raise PipelineError(
                    f"{_holder(self._storage.get(self._url))} holds {self._url} for more than {WAIT_S:.0f} s; run again"
                )
            self._pause(RETRY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the lease back; who cannot is taken over later."""
        try:
            seen = self._storage.get(self._url)
            if seen is not None and _holder(seen) == self._holder:
                self._storage.put_if(self._url, _content(""), etag=seen.etag)
        except PipelineError:
            if error is None:
                raise

    @property
    def is_held(self) -> bool:
        """Whether it is ours now and for MARGIN_S seconds more."""
        seen = self._storage.get(self._url)
        return seen is not None and _holder(seen) == self._holder and seen.age_s < LEASE_S - MARGIN_S

    def _take(self) -> bool:
        seen = self._storage.get(self._url)
        if seen is not None and _holder(seen) not in ("", self._holder) and seen.age_s < LEASE_S:
            return False
        # the answer of a write that boto3 repeated is about the repetition, so what lies there decides
        self._storage.put_if(self._url, _content(self._holder), etag=None if seen is None else seen.etag)
        return self.is_held


def _content(holder: str) -> bytes:
    return json.dumps({"holder": holder}).encode()


def _holder(seen: Stored | None) -> str:
    """Who holds it; empty for nobody. What is no lease is nobody's: the next write makes it one."""
    try:
        return str(json.loads(seen.content)["holder"]) if seen is not None else ""
    except (ValueError, KeyError, TypeError):
        return ""
