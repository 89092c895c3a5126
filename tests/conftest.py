"""Fixtures that every test folder may use, and what every property test runs with."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "cluster_fixtures",
    "e2e_fixtures",
    "fault_record",
    "request_shapes",
    "terraform_plans",
    "training_spaces",
]

# A busy machine is slow, not wrong: no example has a deadline.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("patient")

LEAVE_CONNECTIONS = tuple(
    Path(__file__).parent / name for name in ("faults", "component/training", "component/pipelines")
)
"""Folders whose tests leave connections to the garbage collector: cut by a fault, or kept in the pools of boto3."""


def _leaves_connections(path: Path) -> bool:
    return any(folder in path.parents for folder in LEAVE_CONNECTIONS)


@pytest.fixture(autouse=True, scope="module")
def _connections_are_collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Before tests of other folders run, which would be blamed for them."""
    yield
    if _leaves_connections(request.path):
        gc.collect()


@pytest.fixture(autouse=True)
def _no_session_is_left() -> Iterator[None]:
    """boto3 keeps the credentials of its first client for all that come later; each test has those of its environment."""
    yield
    if "boto3" in sys.modules:
        vars(sys.modules["boto3"])["DEFAULT_SESSION"] = None


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file stay together, those that name a group, and all that need a node: its settings are the machine's.

    The node's go first.

    Groups matter with several workers only (pytest-xdist), which then take one group after the other.
    """
    for item in items:
        is_on_node = item.get_closest_marker("e2e") is not None
        if item.get_closest_marker("xdist_group") is None:  # two names would be a third group
            item.add_marker(pytest.mark.xdist_group("node" if is_on_node else str(item.path)))
        if _leaves_connections(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
