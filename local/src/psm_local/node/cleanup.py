"""Remove what outlives a node's namespaces: its control groups. Run as `python -m psm_local.node.cleanup NAME`."""

import sys
import time
from pathlib import Path

from psm_local.node.namespace import CGROUPS

_WAIT_S = 10.0  # the kernel needs a moment to forget processes that were killed


def remove_cgroups(name: str, root: Path = CGROUPS) -> list[Path]:
    """Remove the control groups of a node in every hierarchy; return those that are still in use after a while."""
    deadline = time.monotonic() + _WAIT_S
    while (left := _remove_once(name, root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _remove_once(name: str, root: Path) -> list[Path]:
    groups = [path for path in (root / name, *root.glob(f"*/{name}")) if path.is_dir()]
    left = []
    for group in groups:
        nested = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*nested, group):
            try:
                folder.rmdir()
            except OSError:
                left.append(folder)
    return left


def main() -> int:
    """Remove the groups of the node that the argument names."""
    left = remove_cgroups(sys.argv[1])
    for path in left:
        print(f"control group {path} is still in use", file=sys.stderr)  # noqa: T201  # a program's output
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
