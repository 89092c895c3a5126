"""promtool, Prometheus' checker of rules and metrics, for tests: from PATH, else out of Debian's package `prometheus`.

The package is downloaded and one file is taken out of it; nothing is installed and no service starts. Root is needed only
where apt has no package lists yet.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from psm_local.cache import content_key, published
from psm_local.errors import Unsupported
from psm_local.settings import Settings, find_program, inherited

PACKAGE: Final = "prometheus"
_TAIL: Final = 2000

Say = Callable[[str], None]


def promtool(settings: Settings, say: Say) -> Path:
    """Path of the executable, fetched once and then cached.

    Raises:
        Unsupported: it is not on PATH and this is no Debian or Ubuntu, or the package cannot be had.
    """
    found = find_program("promtool")
    if found is not None:
        return Path(found)
    target = settings.cache_dir / "bin" / f"promtool-{content_key([PACKAGE, platform.machine()])}"

    def fetch(folder: Path) -> None:
        say("fetching promtool out of Debian's package prometheus (once, then cached)")
        _fetch(folder)

    target.parent.mkdir(parents=True, exist_ok=True)
    return published(target, fetch) / "promtool"


def _fetch(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unsupported("missing: promtool; install it (https://prometheus.io/download), or use Debian or Ubuntu")
    refused = _run("apt-get", "download", PACKAGE, folder=folder)
    if refused and os.geteuid() == 0:
        refused = _run("apt-get", "update", "-qq", folder=folder) or _run("apt-get", "download", PACKAGE, folder=folder)
    if refused:
        raise Unsupported(f"missing: promtool; package {PACKAGE} could not be downloaded:\n{refused}")
    (package,) = folder.glob("*.deb")
    extracted = folder / "extracted"
    refused = _run("dpkg-deb", "--extract", str(package), str(extracted), folder=folder)
    if refused:
        raise Unsupported(f"package {package.name} could not be extracted:\n{refused}")
    (extracted / "usr/bin/promtool").rename(folder / "promtool")
    shutil.rmtree(extracted)
    package.unlink()


def _run(*argv: str, folder: Path) -> str:
    """Run a command; returns what it said if it failed, else nothing."""
    env = inherited({"DEBIAN_FRONTEND": "noninteractive"})
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr[-_TAIL:] or f"{argv[0]} ended with {done.returncode}"
