"""Which commit trained a model, a time that belongs to it, and which data it saw."""

import importlib.util
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from psm_training.lake.place import lake_of
from psm_training.settings import Settings
from psm_training.workspace import Workspace

UNKNOWN: Final = "unknown"
PACKAGES: Final = ("psm_contract", "psm_training")
TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Commit:
    """The code's commit.

    Attributes:
        sha: 40 hex digits, with -dirty when the code was changed since; UNKNOWN without a repository.
        time: RFC 3339 in UTC; of the commit and not of the run, so that training again gives the same bytes.
    """

    sha: str
    time: str


def current_commit(settings: Settings) -> Commit:
    """The last commit that changed the code that runs; PSM_GIT_SHA and SOURCE_DATE_EPOCH win over the repository."""
    specs = [importlib.util.find_spec(name) for name in PACKAGES]
    return commit_of([Path(spec.origin).parent for spec in specs if spec is not None and spec.origin], settings)


def commit_of(folders: Sequence[Path], settings: Settings) -> Commit:
    """The last commit that changed any of the folders: commits to other parts of the repository do not count.

    Args:
        folders: Of one repository.
        settings: For what overrides the repository.
    """
    sha, _, seconds = _git(folders, "log", "-1", "--format=%H %ct").partition(" ")
    if sha and _git(folders, "status", "--porcelain"):
        sha += "-dirty"
    epoch = int(seconds or 0) if settings.source_date_epoch is None else settings.source_date_epoch
    return Commit(
        sha=settings.git_sha or sha or UNKNOWN,
        time=datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def data_sha256(space: Workspace) -> str:
    """Digest of silver, 64 hex digits: of the weeks and what they hold, and not of where the lake is.

    Raises:
        PipelineError: Nothing was ingested.
    """
    return lake_of(space).silver.digest()


def _git(folders: Sequence[Path], *arguments: str) -> str:
    """Git's answer about the folders; empty when there is no git or no repository."""
    command = ["git", "-C", str(folders[0]), *arguments, "--", *map(str, folders)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
