"""Which label each recent prediction had, by request id: how feedback finds its prediction inside a pod.

Rings in shared memory, one for each writer, so that a worker finds what another one answered. A ring remembers its last
`size` requests and their last `size` labels, and costs 21 bytes of each. One writer writes a ring, without a lock; a
reader that comes in between sees an old entry or a new one.
"""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_predictor.live.layout import RING_HEAD_BYTES, memory_bytes

_ANSWERED: Final = 0x80
"""Bit of a label that feedback has been counted for."""

_FEW: Final = 8
"""Keys that are looked for one by one, 0.05 ms each; more are sorted into the rings, 5 ms for all of them."""


def key_of(request_id: str) -> int:
    """A signed 64-bit key; salted, and the same in all workers of a pod, which are forks of one process."""
    return hash(request_id)


@dataclass(frozen=True, slots=True)
class Remembered:
    """One request that was answered; `first` and `count` say where its labels are."""

    ring: int
    first: int
    count: int


class MemoryRing:
    """One writer's ring."""

    def __init__(self, memory: "PredictionMemory", number: int) -> None:
        self._size = memory.size
        self._keys = memory.keys[number].data
        self._firsts = memory.firsts[number].data
        self._counts = memory.counts[number].data
        self._labels = memory.labels[number]
        self._one_label = self._labels.data
        self._seen = memory.seen[number : number + 1].data
        self._requests = 0

    def remember(self, request_id: str, labels: Sequence[int]) -> None:
        """Keeps the labels of one request; of more than the ring holds, none."""
        first = self._seen[0]
        count = len(labels)
        if count == 1:
            self._one_label[first % self._size] = labels[0]
        elif count > self._size:
            return
        else:
            places = np.arange(first, first + count) % self._size
            self._labels[places] = labels
        at = self._requests % self._size
        self._counts[at] = 0  # nobody may take the old entry for the new key
        self._keys[at] = key_of(request_id)
        self._firsts[at] = first
        self._seen[0] = first + count
        self._counts[at] = count
        self._requests += 1

    def remember_answered(self, request_id: str, label: int) -> None:
        """Keeps a prediction that feedback brought along and that is counted."""
        self.remember(request_id, [label | _ANSWERED])


class PredictionMemory:
    """All rings of a pod.

    Args:
        raw: `layout.memory_bytes(rings, size)` bytes of zeros, shared by all workers.
        rings: How many writers there are.
        size: Requests, and labels, that each of them remembers.
    """

    def __init__(self, raw: mmap.mmap, rings: int, size: int) -> None:
        if len(raw) < memory_bytes(rings, size):
            raise ValueError(f"{len(raw)} bytes are too few for {rings} rings of {size}")
        self.size: Final = size
        of_all = rings * size
        self.seen = np.frombuffer(raw, np.int64, rings)
        start = rings * RING_HEAD_BYTES
        self.keys = np.frombuffer(raw, np.int64, of_all, start).reshape(rings, size)
        self.firsts = np.frombuffer(raw, np.int64, of_all, start + 8 * of_all).reshape(rings, size)
        self.counts = np.frombuffer(raw, np.int32, of_all, start + 16 * of_all).reshape(rings, size)
        self.labels = np.frombuffer(raw, np.uint8, of_all, start + 20 * of_all).reshape(rings, size)

    def ring(self, number: int) -> MemoryRing:
        """The ring of one writer."""
        return MemoryRing(self, number)

    def find(self, request_ids: list[str]) -> dict[str, Remembered]:
        """The requests that are still remembered; of a repeated id one of its predictions."""
        found: dict[int, Remembered] = {}
        for place in self._places([key_of(text) for text in request_ids]).tolist():
            ring, at = divmod(place, self.size)
            count, first = int(self.counts[ring, at]), int(self.firsts[ring, at])
            if count and first >= int(self.seen[ring]) - self.size:
                found[int(self.keys[ring, at])] = Remembered(ring, first, count)
        by_id = ((text, found.get(key_of(text))) for text in request_ids)
        return {text: request for text, request in by_id if request is not None}

    def _places(self, wanted: list[int]) -> NDArray[np.int64]:
        """Where the keys are, in all rings."""
        keys = self.keys.reshape(-1)
        if not 0 < len(wanted) <= _FEW:
            return np.flatnonzero(np.isin(keys, wanted))
        return np.concatenate([np.flatnonzero(keys == key) for key in wanted])

    def take(self, request: Remembered, index: int) -> int | None:
        """The label of one basket, once: None where feedback took it before."""
        at = (request.first + index) % self.size
        label = int(self.labels[request.ring, at])
        if label & _ANSWERED:
            return None
        self.labels[request.ring, at] = label | _ANSWERED
        return label
