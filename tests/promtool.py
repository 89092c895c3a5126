"""Prometheus' own checker, fetched on first use, as tests run it."""

import functools
import subprocess
from pathlib import Path

from psm_local.promtool import promtool as fetched
from psm_local.settings import read_settings


@functools.cache
def program() -> str:
    """Path of the executable."""
    return str(fetched(read_settings(), print))


def promtool(*args: str, stdin: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it; the caller judges the exit code and what was said."""
    return subprocess.run([program(), *args], input=stdin, cwd=folder, capture_output=True, text=True, check=False)
