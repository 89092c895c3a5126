"""Build hook: compiles the kernel of the trees engine with the C compiler that comes as the Python package ziglang.

The same compiler on every machine, none of the machine's own, and code for any processor of the family, not for the
one that builds. `uv sync` runs this for the work tree as well; uv does it again when a file of `cache-keys` changes.
"""
# ruff: noqa: INP001  # hatchling runs it by its path

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags  # hatchling needs it too

_SOURCE = Path("src/psm_predictor/engines/trees.c")
_FLAGS = (
    "-O3",
    "-std=c11",
    "-mcpu=baseline",
    "-fno-sanitize=all",  # zig's default is to trap on undefined behaviour
    "-Wall",
    "-Wextra",
    "-Werror",
    "-shared",
    "-fPIC",
    "-fvisibility=default",
    "-s",
)


class KernelBuildHook(BuildHookInterface):
    """Puts libtrees.so beside trees.c and marks the wheel as one for this platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds a wheel, an editable one included."""
        if self.target_name != "wheel":
            return
        source = Path(self.root) / _SOURCE
        kernel = source.with_name("libtrees.so")
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        incoming = source.with_name("incoming.so")
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "ziglang",
                    "cc",
                    *_FLAGS,
                    f'-DSOURCE_SHA256="{digest}"',
                    "-o",
                    str(incoming),
                    str(source),
                    "-lm",
                ],
                check=True,
                env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": scratch, "ZIG_LOCAL_CACHE_DIR": scratch},  # noqa: TID251  # passed on
            )
        incoming.replace(kernel)  # at once: a process that runs keeps the file it has mapped
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(platform_tags())}"  # no Python API in it: any version
        build_data["artifacts"].append(str(kernel.relative_to(self.root)))
