"""Counts what became of every fault that was tried; `build/faults.json` at the end of the session.

A test adds what it observed: how many runs, how many of them ended as without the fault, how many history entries and
Events were missing, how many were there twice. Nothing is written when no fault was tried.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

RECORD = Path(__file__).parents[1] / "build" / "faults.json"


@dataclass
class Count:
    """One fault's row."""

    name: str
    runs: int = 0
    survived: int = 0
    lost: int = 0
    duplicated: int = 0


class FaultRecord:
    """Rows by fault, in the order in which they were first tried."""

    def __init__(self) -> None:
        self.rows: dict[str, Count] = {}

    def add(self, name: str, *, survived: int, runs: int = 1, lost: int = 0, duplicated: int = 0) -> None:
        """Add what was observed of `runs` runs of one fault."""
        row = self.rows.setdefault(name, Count(name))
        row.runs += runs
        row.survived += survived
        row.lost += lost
        row.duplicated += duplicated

    def write(self, path: Path = RECORD) -> None:
        """Write every row, if there is one."""
        if self.rows:
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"faults": [asdict(row) for row in self.rows.values()]}, indent=1) + "\n")


RECORDED = pytest.StashKey[FaultRecord]()


def pytest_configure(config: pytest.Config) -> None:
    """One record for the session; with several workers one for each, which the controller adds up."""
    config.stash[RECORDED] = FaultRecord()


@pytest.fixture(scope="session")
def fault_record(pytestconfig: pytest.Config) -> FaultRecord:
    """The session's record; written when the session ends, whatever passed or failed."""
    return pytestconfig.stash[RECORDED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker has recorded (pytest-xdist)."""
    for row in getattr(node, "workeroutput", {}).get("faults", ()):
        node.config.stash[RECORDED].add(**row)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the record; a worker hands it to the controller instead."""
    record = session.config.stash[RECORDED]
    output = getattr(session.config, "workeroutput", None)
    if output is None:
        record.write()
    else:
        output["faults"] = [asdict(row) for row in record.rows.values()]
