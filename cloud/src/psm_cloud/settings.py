"""What the environment says; the only module of psm_cloud that reads it.

Called by the command line and by tests. Everything else takes these values as arguments.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Read once from the environment."""

    cache_dir: Path
    """Everything that may be thrown away: what `terraform init` makes."""

    home: Path

    search_path: str
    """PATH, where terraform is looked for."""

    terraform_mirror: Path | None
    """PSM_TERRAFORM_MIRROR: a folder with `registry.terraform.io/hashicorp/aws` below it; None looks for one."""

    cli_config: Path | None
    """TF_CLI_CONFIG_FILE, whether the file exists or not."""

    data_homes: tuple[Path, ...]
    """XDG_DATA_HOME and XDG_DATA_DIRS, below which terraform itself looks for providers."""


def read_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that the environment, or `env`, asks for."""
    env = os.environ if env is None else env  # noqa: TID251  # the only reader of the environment
    home = Path(env.get("HOME") or Path.home())
    data = [env.get("XDG_DATA_HOME") or str(home / ".local/share")]
    data += (env.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    mirror, config = env.get("PSM_TERRAFORM_MIRROR"), env.get("TF_CLI_CONFIG_FILE")
    return Settings(
        cache_dir=Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "psm",
        home=home,
        search_path=env.get("PATH", os.defpath),
        terraform_mirror=Path(mirror) if mirror else None,
        cli_config=Path(config) if config else None,
        data_homes=tuple(Path(folder) for folder in data if folder),
    )


def inherited(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `extra` on top, for a child process."""
    return {**os.environ, **extra}  # noqa: TID251  # the only reader of the environment
