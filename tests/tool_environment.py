"""A Python environment of its own for a tool that must not share ours: named by what is in it, made when first needed."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from psm_local.settings import inherited, read_settings

_LOG_CHARACTERS: Final = 600


def python_of(requirements: Path, folder: str = "tools") -> Path:
    """The Python of the environment with these pinned requirements, below `folder` of the user's cache.

    Raises:
        RuntimeError: It cannot be installed.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = read_settings().cache_dir / folder / f"{requirements.stem}-{digest}"
    python = home / "bin" / "python"
    complete = home / ".complete"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            _uv("venv", "--clear", "--python", sys.executable, str(home))
            _uv("pip", "sync", "--python", str(python), str(requirements))
            complete.touch()
    return python


def _uv(*arguments: str) -> None:
    environment = inherited({})
    done = subprocess.run(
        [environment.get("UV", "uv"), *arguments], check=False, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments[:2])} says: {done.stderr.strip()[-_LOG_CHARACTERS:]}")
