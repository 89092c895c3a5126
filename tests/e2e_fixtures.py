"""Fixtures of the e2e tests: one node for the whole run, with the operator installed on it once, by the chart."""

from pathlib import Path

import pytest
from artifacts import make_artifact
from e2e_lab import Lab, Registry

from psm_local.cluster import Cluster
from psm_local.demo.install import install_charts, load_images
from psm_local.demo.stage import Stage
from psm_local.settings import read_settings

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def stage(node: Cluster) -> Stage:
    """The demo's stage on the session's node, with our images in its container runtime."""
    stage = Stage(node, REPOSITORY, read_settings(), print)
    load_images(stage)
    return stage


@pytest.fixture(scope="session")
def lab(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The node with the operator installed, and two good archives to register."""
    install_charts(stage)
    first, second = (make_artifact(tmp_path_factory.mktemp(f"model-{seed}"), seed=seed) for seed in (1, 2))
    return Lab(stage.cluster, Registry(stage.cluster.aws), first, second)
