"""Real servers for tests: Kubernetes at two levels, the registry emulator and S3. Each starts on first use."""

import os
from collections.abc import Iterator

import pytest

from psm_local.aws import AwsEndpoints
from psm_local.cluster import Cluster
from psm_local.control_plane import start_control_plane
from psm_local.emulator.control import EmulatorControl
from psm_local.node.up import start_node, unsupported_reason
from psm_local.servers import start_emulator, start_s3

GUARDED = {"kube-apiserver": {"enable-admission-plugins": "NodeRestriction,OwnerReferencesPermissionEnforcement"}}
"""As OpenShift does: who sets blockOwnerDeletion must be allowed to update the owner's finalizers."""


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """A real API server with controllers and simulated nodes (pods become Ready without running), and AWS stand-ins."""
    with start_control_plane(f"test-{os.getpid()}", kwok=True, audit=True, flags=GUARDED) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    """The URL of one registry emulator for the whole run; tests take `registry`, which is clean each time."""
    with start_emulator(f"test-{os.getpid()}-registry") as url:
        yield url


@pytest.fixture
def registry(emulator_url: str) -> EmulatorControl:
    """A clean SageMaker registry emulator: `.url` for clients, faults and call counts for the test."""
    control = EmulatorControl(emulator_url)
    control.reset()
    return control


@pytest.fixture(scope="session")
def s3() -> Iterator[AwsEndpoints]:
    """A real S3 server (SeaweedFS); `s3.s3_host_url`, `s3.access_key`, `s3.secret_key`, `s3.region`."""
    with start_s3(f"test-{os.getpid()}-s3") as endpoints:
        yield endpoints


@pytest.fixture(scope="session")
def node() -> Iterator[Cluster]:
    """A real node: pods run, probes, metrics, ingress, AWS stand-ins and audit log included. Needs root and Linux."""
    if (reason := unsupported_reason()) is not None:
        pytest.skip(reason)
    with start_node(f"test-{os.getpid()}-node", audit=True) as cluster:
        yield cluster
