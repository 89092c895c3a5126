"""Helm, built from source on first use and then cached, and the charts of this repository as it renders them."""

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml

from psm_local import gobuild
from psm_local.settings import read_settings

CHARTS = Path(__file__).parents[1] / "charts"


@functools.cache
def helm_program() -> str:
    """Path of the helm executable."""
    return str(gobuild.programs(gobuild.HELM, read_settings(), print) / "helm")


class HelmError(Exception):
    """Helm's own words."""


def helm(*args: str) -> str:
    """Run helm and return its output."""
    done = subprocess.run([helm_program(), *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def rendered(chart: str, *args: str, release: str = "", namespace: str = "psm-system") -> str:
    """What installing a chart would apply, as YAML."""
    return helm("template", release or chart, str(CHARTS / chart), "--namespace", namespace, *args)


def manifests(chart: str, *args: str, release: str = "", namespace: str = "psm-system") -> list[dict[str, Any]]:
    """What installing a chart would apply."""
    found = yaml.safe_load_all(rendered(chart, *args, release=release, namespace=namespace))
    return [manifest for manifest in found if manifest]
