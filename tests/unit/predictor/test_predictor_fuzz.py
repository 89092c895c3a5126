"""A smoke of what `make fuzz` does for an hour: the seeds, and a few hundred inputs made of them. Needs no atheris."""

from functools import cache

import pytest
from fuzz.targets import SEEDS, TARGETS, Target
from hypothesis import given, settings
from hypothesis import strategies as st

_INPUTS = 200


@cache
def target(name: str) -> Target:
    return TARGETS[name]()


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((SEEDS / name).iterdir()))


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_survives_its_seeds(name: str) -> None:
    """There are some, and they are small."""
    assert seeds(name)
    for seed in (b"", *seeds(name)):
        assert len(seed) < 8192
        target(name)(seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=_INPUTS)
def test_every_target_survives_what_is_made_of_its_seeds(name: str, data: st.DataObject) -> None:
    """Bytes cut out, put in, exchanged."""
    raw = bytearray(data.draw(st.sampled_from(seeds(name))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))

    target(name)(bytes(raw))
