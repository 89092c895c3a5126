"""The peers' environments: one each under the user's cache, named by what is in it, made when it is first needed."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from psm_local.settings import inherited, read_settings

REQUIREMENTS: Final = Path(__file__).parent / "requirements"
_LOG_CHARACTERS: Final = 600
_PACKAGES: Final = {"tutorial": "fastapi"}


def python_of(name: str) -> Path:
    """The Python of a peer's environment; an empty name is this one.

    Raises:
        RuntimeError: It cannot be installed.
    """
    if not name:
        return Path(sys.executable)
    requirements = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = read_settings().cache_dir / "bench" / f"{name}-{digest}"
    python = home / "bin" / "python"
    complete = home / ".complete"
    if not complete.exists():
        _uv("venv", "--clear", "--python", sys.executable, str(home))
        _uv("pip", "sync", "--python", str(python), str(requirements))
        complete.touch()
    return python


def version_of(name: str) -> str:
    """The package that a peer's environment is made for, and its version; empty for this repository's own."""
    if not name:
        return ""
    package = _PACKAGES.get(name, name)
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return next(line.replace("==", " ").strip() for line in lines if line.startswith(f"{package}=="))


def _uv(*arguments: str) -> None:
    environment = inherited({})
    done = subprocess.run(
        [environment.get("UV", "uv"), *arguments], check=False, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments[:2])} says: {done.stderr.strip()[-_LOG_CHARACTERS:]}")
