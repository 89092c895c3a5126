"""Rows and predictions that are copied on the hot path, against plain lists and dictionaries."""

import mmap
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_predictor.live.layout import memory_bytes
from psm_predictor.live.memory import PredictionMemory
from psm_predictor.live.rings import RowRing

SIZES = st.lists(st.integers(1, 12), max_size=12)


def memory(rings: int = 1, size: int = 8) -> PredictionMemory:
    return PredictionMemory(mmap.mmap(-1, memory_bytes(rings, size)), rings, size)


@given(st.lists(st.one_of(st.integers(1, 12), st.none()), max_size=20))
def test_a_take_gives_the_newest_rows_since_the_last(steps: list[int | None]) -> None:
    """In order, each once; what was overwritten is counted."""
    ring = RowRing(2, capacity=5)
    number, waiting = 0, list[int]()
    for step in [*steps, None]:
        if step is not None:
            rows = np.array([[n, -n] for n in range(number, number + step)], dtype=np.float32)
            ring.put(rows, [n % 3 for n in range(number, number + step)])
            waiting += range(number, number + step)
            number += step
            continue
        rows, labels, skipped = ring.take()
        kept = waiting[-5:]
        assert rows[:, 0].tolist() == kept
        assert rows[:, 1].tolist() == [-n for n in kept]
        assert labels.tolist() == [n % 3 for n in kept]
        assert skipped == len(waiting) - len(kept)
        waiting = []


def test_a_row_is_copied() -> None:
    """The decoder uses its buffer again."""
    ring = RowRing(2)
    buffer = np.array([[1, 2]], dtype=np.float32)
    ring.put(buffer, [0])
    buffer[:] = 9

    assert ring.take()[0].tolist() == [[1, 2]]


@given(SIZES)
def test_the_memory_holds_the_last_requests_whose_labels_it_holds(sizes: list[int]) -> None:
    """The last 8 requests, and of those the ones within the last 8 labels; a larger request is not kept at all."""
    remembered = memory(size=8)
    ring = remembered.ring(0)
    kept: list[tuple[str, list[int]]] = []
    for number, size in enumerate(sizes):
        labels = [(number + place) % 3 for place in range(size)]
        ring.remember(f"r{number}", labels)
        if size <= 8:
            kept.append((f"r{number}", labels))
    found = remembered.find([f"r{number}" for number in range(len(sizes))])

    room, expected = 8, dict[str, list[int]]()
    for request_id, labels in reversed(kept[-8:]):
        room -= len(labels)
        if room >= 0:
            expected[request_id] = labels
    assert found.keys() == expected.keys()
    for request_id, labels in expected.items():
        request = found[request_id]
        assert [remembered.take(request, index) for index in range(request.count)] == labels


def test_a_label_is_taken_once() -> None:
    """Feedback that is sent twice counts once."""
    remembered = memory()
    remembered.ring(0).remember("a", [2, 1])
    request = remembered.find(["a"])["a"]

    assert [remembered.take(request, 1), remembered.take(request, 1), remembered.take(request, 0)] == [1, None, 2]


def test_nothing_is_found_that_was_not_there() -> None:
    """An empty memory has keys of zero."""
    assert memory().find(["", "x"]) == {}


def test_another_worker_finds_and_takes_it() -> None:
    """Forked processes share memory and the salt of the keys."""
    remembered = memory(rings=2)
    child = os.fork()
    if child == 0:
        remembered.ring(1).remember("from the child", [2])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    request = remembered.find(["from the child"])["from the child"]
    assert (request.ring, remembered.take(request, 0)) == (1, 2)


def test_too_little_memory_is_refused() -> None:
    """Rings that overlap would find anything."""
    with pytest.raises(ValueError, match="too few for 2 rings of 8"):
        PredictionMemory(mmap.mmap(-1, memory_bytes(1, 8)), 2, 8)
