"""What the environment says; the only module of psm_local that reads it.

Called by the command line, the test fixtures and the keeper. Everything else takes these values as arguments.
"""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of the embedded cluster, read once from the environment."""

    cache_dir: Path
    """Everything that may be thrown away: binaries, images, running instances."""

    kubebuilder_assets: Path | None
    """A folder with etcd and the control plane binaries, as envtest names it; None builds our own."""

    cluster: str
    """Which cluster the demo uses: auto, current, kind or embedded."""

    host_address: str | None
    """An address of this machine that the pods of the user's own cluster reach, for CLUSTER=current."""

    ingress_url: str | None
    """Where the ingress controller of the user's own cluster answers, for CLUSTER=current."""

    image_registry: str | None = None
    """Where the user pushed our images for their own cluster, such as registry.example.com/team; for CLUSTER=current."""

    @property
    def run_dir(self) -> Path:
        """Where running instances keep their files."""
        return self.cache_dir / "run"


def read_settings() -> Settings:
    """Return the settings that the environment asks for."""
    env = os.environ  # noqa: TID251  # the only reader of the environment
    cache_home = env.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    assets = env.get("KUBEBUILDER_ASSETS")
    return Settings(
        cache_dir=Path(cache_home) / "psm",
        kubebuilder_assets=Path(assets) if assets else None,
        cluster=env.get("CLUSTER") or "auto",
        host_address=env.get("PSM_HOST_ADDRESS") or None,
        ingress_url=env.get("PSM_INGRESS_URL") or None,
        image_registry=env.get("PSM_IMAGE_REGISTRY") or None,
    )


def inherited(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `extra` on top, for a child process."""
    return {**os.environ, **extra}  # noqa: TID251  # the only reader of the environment


def find_program(name: str) -> str | None:
    """Return the path of a program: from this Python environment first, then from PATH with the system folders."""
    scripts = sysconfig.get_path("scripts")
    search = os.environ.get("PATH", "")  # noqa: TID251  # the only reader of the environment
    return shutil.which(name, path=os.pathsep.join([scripts, search, "/usr/local/sbin", "/usr/sbin", "/sbin"]))


def package_index_settings() -> dict[str, str]:
    """Return the settings by which this machine's pip and uv find packages; paths of this machine are left out."""
    prefixes = ("PIP_", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    env = os.environ  # noqa: TID251  # the only reader of the environment
    return {
        name: value for name, value in env.items() if name.upper().startswith(prefixes) and not value.startswith("/")
    }
