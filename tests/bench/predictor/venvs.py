"""The peers' environments: one each under the user's cache, named by what is in it, made when it is first needed."""

import sys
from pathlib import Path
from typing import Final

import tool_environment

REQUIREMENTS: Final = Path(__file__).parent / "requirements"
_PACKAGES: Final = {"tutorial": "fastapi"}


def python_of(name: str) -> Path:
    """The Python of a peer's environment; an empty name is this one.

    Raises:
        RuntimeError: It cannot be installed.
    """
    if not name:
        return Path(sys.executable)
    return tool_environment.python_of(REQUIREMENTS / f"{name}.txt", "bench")


def version_of(name: str) -> str:
    """The package that a peer's environment is made for, and its version; empty for this repository's own."""
    if not name:
        return ""
    package = _PACKAGES.get(name, name)
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return next(line.replace("==", " ").strip() for line in lines if line.startswith(f"{package}=="))
