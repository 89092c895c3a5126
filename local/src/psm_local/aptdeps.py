"""System programs of the node level and of image builds, installed by apt when they are missing.

Only Debian and Ubuntu have apt; elsewhere the message names what to install. No daemon is started by an installation:
while it runs, `/usr/sbin/policy-rc.d` forbids it, and afterwards that file is what it was.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from psm_local.cache import locked
from psm_local.errors import Unsupported
from psm_local.settings import Settings, find_program, inherited

NODE_PACKAGES: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""Program (or file) -> Debian package that brings it."""

IMAGE_PACKAGES: Mapping[str, str] = {"buildah": "buildah"}
STAND_IN_PACKAGES: Mapping[str, str] = {"mmdebstrap": "mmdebstrap"}

_POLICY = Path("/usr/sbin/policy-rc.d")
_FORBID = "#!/bin/sh\nexit 101\n"
_TAIL = 2000

Say = Callable[[str], None]


def require(wanted: Mapping[str, str], settings: Settings, say: Say) -> None:
    """Make sure that the wanted programs are there.

    Raises:
        Unsupported: something is missing and apt or root are not available, or apt failed.
    """
    if not missing_packages(wanted):
        return
    with locked(settings.cache_dir / "apt.lock"):
        packages = missing_packages(wanted)
        if not packages:
            return
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise Unsupported(f"missing: {' '.join(packages)}; install them, or run as root on Debian or Ubuntu")
        say(f"installing {' '.join(packages)} (apt)")
        with _no_daemons():
            _apt("update", "-qq")
            _apt("install", "-y", "-qq", "--no-install-recommends", *packages)


def missing_packages(wanted: Mapping[str, str]) -> list[str]:
    """Return the packages whose programs are not there, each once."""
    return sorted({package for program, package in wanted.items() if not _is_there(program)})


def _is_there(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else find_program(program) is not None


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Forbid that packages start their services; put the machine's own rule back afterwards."""
    kept = _POLICY.read_bytes() if _POLICY.exists() else None
    mode = _POLICY.stat().st_mode if kept is not None else 0
    _POLICY.write_text(_FORBID)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if kept is None:
            _POLICY.unlink()
        else:
            _POLICY.write_bytes(kept)
            _POLICY.chmod(mode)


def _apt(*args: str) -> None:
    env = inherited({"DEBIAN_FRONTEND": "noninteractive"})
    done = subprocess.run(["apt-get", *args], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unsupported(f"apt-get {' '.join(args)} failed:\n{done.stderr[-_TAIL:]}")
