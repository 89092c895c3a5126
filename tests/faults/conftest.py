"""Faults cut connections; what the libraries then leave to the garbage collector is not what these tests look for."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sockets and transports that were cut may be collected while any test of this folder runs."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True, scope="module")
def leave_nothing_to_collect() -> Iterator[None]:
    """Collect it before tests of other folders run, which would be blamed for it."""
    yield
    gc.collect()
