"""Holds every scenario to the law of silence: an hour after its end in which nothing may happen."""

import asyncio
from collections.abc import Iterator

import pytest
from quiet import quiet_hour
from world import World


@pytest.fixture(autouse=True)
def _ends_in_silence() -> Iterator[None]:
    World.made.clear()
    yield
    for world in World.made:
        asyncio.run(quiet_hour(world))
