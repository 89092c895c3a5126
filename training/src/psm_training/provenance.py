"""Which commit trained a model, and a time that belongs to it."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from psm_training.settings import Settings

UNKNOWN: Final = "unknown"
TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Commit:
    """The code's commit.

    Attributes:
        sha: 40 hex digits, with -dirty when the pipeline's files were changed since; UNKNOWN without a repository.
        time: RFC 3339 in UTC; of the commit and not of the run, so that training again gives the same bytes.
    """

    sha: str
    time: str


def current_commit(settings: Settings) -> Commit:
    """The commit of the code that runs; PSM_GIT_SHA and SOURCE_DATE_EPOCH win over the repository."""
    code = Path(__file__).parent
    sha = settings.git_sha or _git(code, "rev-parse", "HEAD") or UNKNOWN
    if settings.git_sha is None and _git(code, "status", "--porcelain", "--", "."):
        sha += "-dirty"
    epoch = settings.source_date_epoch
    if epoch is None:
        epoch = int(_git(code, "show", "--no-patch", "--format=%ct", "HEAD") or 0)
    return Commit(sha=sha, time=datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _git(folder: Path, *arguments: str) -> str:
    """Git's answer; empty when there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
