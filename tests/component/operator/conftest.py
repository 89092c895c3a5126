"""Clients of the real servers, as the operator makes them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from psm_local.cluster import Cluster
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.kube_api import KubeApi

CRD = Path(__file__).parents[3] / "crds" / "pricesensitivitymodels.retail.mlops.yaml"


@pytest.fixture(scope="session")
def cluster(control_plane: Cluster) -> Cluster:
    """A control plane with the CRD and the namespaces that the operator expects."""
    control_plane.kubectl("apply", "--server-side", "-f", str(CRD))
    control_plane.kubectl(
        "wait", "--for=condition=Established", "crd/pricesensitivitymodels.retail.mlops", "--timeout=30s"
    )
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
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the stand-ins accept, where boto3 looks for them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def limits() -> AwsLimits:
    """Impatient: what is away is away at once."""
    return AwsLimits(connect_timeout_s=1.0, read_timeout_s=2.0, attempts=1)


@pytest.fixture
def sagemaker_clients(registry: object, limits: AwsLimits, credentials: None) -> Iterator[AwsClients]:  # noqa: ARG001
    """Clients of the registry emulator."""
    url = getattr(registry, "url")  # noqa: B009
    clients = AwsClients(limits, endpoints={"sagemaker": url})
    yield clients
    clients.close()
