"""Where on this machine's disk the AWS provider lies, so that `terraform init` needs no network.

Called by `terraform.Terraform.found`. It reads folder names and one configuration file, and runs nothing.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from psm_cloud.errors import CloudError
from psm_cloud.settings import Settings

PROVIDER: Final = Path("registry.terraform.io/hashicorp/aws")
ROOTS: Final = tuple(map(Path, ("/opt", "/usr/share", "/usr/local", "/usr/lib", "/srv")))
"""Where administrators put what no package manager brings."""
_DEPTH: Final = 2
"""Folders between a root and the mirror."""


class MirrorMissingError(CloudError):
    """The folder that a setting names holds no provider."""


def find_mirror(settings: Settings, roots: Iterable[Path] = ROOTS) -> Path | None:
    """Return a folder for `terraform init -plugin-dir`, or None: terraform asks its registry.

    In order: PSM_TERRAFORM_MIRROR, the `filesystem_mirror` of TF_CLI_CONFIG_FILE, the folders that terraform itself
    looks into, then the usual roots.

    Raises:
        MirrorMissingError: PSM_TERRAFORM_MIRROR names a folder without the provider.
    """
    if settings.terraform_mirror is not None:
        if not _holds(settings.terraform_mirror):
            raise MirrorMissingError(
                f"PSM_TERRAFORM_MIRROR names {settings.terraform_mirror}, which has no {PROVIDER}; "
                "name the folder above it, or unset the variable"
            )
        return settings.terraform_mirror
    return next(filter(_holds, itertools.chain(_configured(settings), _implied(settings), _below(roots))), None)


def _holds(folder: Path) -> bool:
    return (folder / PROVIDER).is_dir()


def _configured(settings: Settings) -> Iterator[Path]:
    """Mirrors that the CLI's configuration file names."""
    config = settings.cli_config
    if config is None or not config.is_file():
        return
    for block in re.findall(r"filesystem_mirror\s*\{(.*?)\}", config.read_text(), flags=re.DOTALL):
        yield from map(Path, re.findall(r'^\s*path\s*=\s*"([^"]+)"', block, flags=re.MULTILINE))


def _implied(settings: Settings) -> Iterator[Path]:
    """The folders that terraform looks into without being told."""
    yield settings.home / ".terraform.d" / "plugins"
    yield from (folder / "terraform" / "plugins" for folder in settings.data_homes)


def _below(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        for depth in range(_DEPTH + 1):
            pattern = "/".join([*["*"] * depth, PROVIDER.parts[0]])
            yield from (found.parent for found in sorted(root.glob(pattern)))
