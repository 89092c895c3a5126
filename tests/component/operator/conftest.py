"""Clients of the real servers, as the operator makes them."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from crds import install_crd
from plugin_terminal import Terminal

from psm_local.aws import AwsEndpoints
from psm_local.cluster import Cluster
from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.kube_api import KubeApi

ONE_TRY = AwsLimits(attempts=1)
"""What is away is away at once; what is only slow on a busy machine is waited for."""


@pytest.fixture(scope="session")
def cluster(control_plane: Cluster) -> Cluster:
    """A control plane with the CRD and the namespaces that the operator expects."""
    install_crd(control_plane)
    for namespace in ("psm-system", "mlops"):
        control_plane.kubectl("create", "namespace", namespace)
    return control_plane


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[KubeApi]:
    """The operator's client of the API server."""
    client = await KubeApi.connect(str(cluster.kubeconfig))
    yield client
    await client.close()


@pytest.fixture
def sagemaker(registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClients]:
    """Clients of the registry emulator."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    clients = AwsClients(ONE_TRY, endpoints={"sagemaker": registry.url})
    yield clients
    clients.close()


EMULATED = ("sagemaker", "sts", "s3", "cloudwatch", "sns", "sqs", "events")


@pytest.fixture
def account(registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClients]:
    """Clients of every service that the emulator has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    clients = AwsClients(ONE_TRY, endpoints=dict.fromkeys(EMULATED, registry.url))
    yield clients
    clients.close()


@pytest.fixture
def s3_clients(s3: AwsEndpoints, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClients]:
    """Clients of the S3 server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    clients = AwsClients(ONE_TRY, endpoints={"s3": s3.s3_host_url})
    yield clients
    clients.close()


@pytest.fixture
def terminal(cluster: Cluster) -> Iterator[Terminal]:
    """Kubectl and its plugin in a namespace of their own."""
    namespace = f"plugin-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    yield Terminal(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
