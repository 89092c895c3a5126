"""A pytest plugin: workspaces that many tests of training begin with, made once by each worker.

Nobody writes into them: who does takes a copy (`copied`).
"""

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from psm_training.workspace import Workspace

COMMIT_TIME = "2026-01-01T00:00:00Z"
OF_THE_COMMIT = {"PSM_GIT_SHA": "f" * 40, "SOURCE_DATE_EPOCH": "1767225600"}
"""A commit at COMMIT_TIME, whatever the repository says."""


@dataclass(frozen=True)
class Ran:
    """What `psm-train run` left.

    Attributes:
        space: Both models, with everything that they were made from.
        cards: What it answered.
        told: What it said meanwhile.
        cache: The XDG_CACHE_HOME that it filled.
    """

    space: Workspace
    cards: Any
    told: str
    cache: Path


@pytest.fixture(scope="session")
def synthetic_gold(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Silver of the synthetic source, and gold in its parts."""
    from psm_training.ingest import ingest  # noqa: PLC0415  # most tests are about other packages
    from psm_training.split import split  # noqa: PLC0415

    space = Workspace(tmp_path_factory.mktemp("synthetic") / "gold")
    space.root.mkdir()
    ingest(space, "synthetic")
    split(space)
    return space


@pytest.fixture(scope="session")
def synthetic_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Both recipes from the synthetic source, by the command, with an empty cache."""
    from psm_training.__main__ import main  # noqa: PLC0415  # as above

    folder = tmp_path_factory.mktemp("synthetic-run")
    space, cache = Workspace(folder / "out"), folder / "cache"
    out, told = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in {**OF_THE_COMMIT, "XDG_CACHE_HOME": str(cache)}.items():
            monkeypatch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            status = main(["run", "--source", "synthetic", "--out", str(space.root)])
    assert status == 0, told.getvalue()
    return Ran(space, json.loads(out.getvalue()), told.getvalue(), cache)


def copied(space: Workspace, folder: Path) -> Workspace:
    """The same workspace in a folder of one's own."""
    shutil.copytree(space.root, folder, dirs_exist_ok=True)
    return Workspace(folder)
