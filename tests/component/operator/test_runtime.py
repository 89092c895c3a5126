"""The whole operator process against a real API server, the registry emulator and S3."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest

from psm_local.cluster import Cluster
from psm_operator.__main__ import compose
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.kube_api import KubeApi
from psm_operator.runtime import Runtime
from psm_operator.settings import ServerSettings, Settings

pytestmark = [pytest.mark.component, pytest.mark.timeout(100)]

REGION = "ap-southeast-1"
WAIT_S = 60.0


@pytest.fixture
def settings() -> Settings:
    """The defaults, on ports of its own and with a lease of its own."""
    defaults = Settings.read({})
    return replace(
        defaults,
        lease=replace(defaults.lease, name="runtime-test"),
        server=ServerSettings(host="127.0.0.1", health_port=0, metrics_port=0),
    )


@pytest.fixture
def aws(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boto3 finds the cluster's stand-ins."""
    for name, value in cluster.aws.environment().items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def running(settings: Settings, cluster: Cluster) -> AsyncIterator[tuple[Runtime, "asyncio.Task[int]"]]:
    """An operator that runs while the block does, and ends gracefully."""
    api = await KubeApi.connect(str(cluster.kubeconfig))
    clients = AwsClients(AwsLimits())
    runtime = compose(settings, api, clients)
    task = asyncio.create_task(runtime.run(handle_signals=False))
    try:
        yield runtime, task
    finally:
        runtime.stop.set()
        code = await asyncio.wait_for(task, 25)
        clients.close()
        await api.close()
        assert code == 0


async def until(is_so: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until it is so, or fail naming what was waited for."""
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                answer = is_so()
                if answer if isinstance(answer, bool) else await answer:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"waited {WAIT_S:g} s for {what}")


def model(name: str, group: str, **changes: Any) -> str:
    """A custom resource as JSON."""
    spec = {
        "interval": "15s",
        "registry": {"modelPackageGroupName": group, "region": REGION},
        "version": {"policy": "LatestApproved"},
        "rollout": {"soak": "1s"},
        **changes,
    }
    metadata = {"name": name, "namespace": "mlops"}
    return json.dumps(
        {"apiVersion": "retail.mlops/v1alpha1", "kind": "PriceSensitivityModel", "metadata": metadata, "spec": spec}
    )


def register(group: str) -> None:
    """A group with one approved version whose artifact exists."""
    s3 = boto3.client("s3")
    bucket = f"models-{group}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=b"model", ChecksumAlgorithm="SHA256")
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": "predictor", "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={
            "psm.protocol": "1",
            "psm.sha256": "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4",
            "psm.accuracy": "0.810000",
            "psm.macro_f1": "0.800000",
            "psm.precision_min_class": "0.790000",
            "psm.data_validation": "passed",
        },
    )


def status_of(cluster: Cluster, name: str) -> Mapping[str, Any]:
    """The status as stored."""
    text = cluster.kubectl("get", "psm", name, "-n", "mlops", "-o=jsonpath={.status}")
    status: Mapping[str, Any] = json.loads(text or "{}")
    return status


def is_ready(cluster: Cluster, name: str) -> bool:
    """Whether condition Ready is True."""
    conditions = status_of(cluster, name).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.mark.usefixtures("aws")
async def test_a_model_is_served_repaired_and_forgotten(cluster: Cluster, settings: Settings) -> None:
    """From an approved package to Ready; a deleted child comes back; nothing is left when the model goes."""
    register("served")
    async with running(settings, cluster) as (runtime, _):
        await asyncio.to_thread(cluster.kubectl, "apply", "-f", "-", stdin=model("served", "served"))
        await until(lambda: asyncio.to_thread(is_ready, cluster, "served"), "Ready")
        assert status_of(cluster, "served")["current"]["version"] == 1
        await asyncio.to_thread(cluster.kubectl, "delete", "service/served", "-n", "mlops")
        await until(lambda: has(cluster, "service/served"), "the service to come back")
        await asyncio.to_thread(cluster.kubectl, "annotate", "psm/served", "-n", "mlops", "x=y")
        exposition = runtime.parts.telemetry.exposition().decode()
        assert 'psm_model_version{name="served",namespace="mlops"} 1.0' in exposition
        await asyncio.to_thread(cluster.kubectl, "delete", "psm/served", "-n", "mlops")
        await until(lambda: not runtime.parts.telemetry._models, "the model to be forgotten")
        assert 'name="served"' not in runtime.parts.telemetry.exposition().decode()
        assert runtime.parts.polls.groups == 0
        await until(lambda: lacks(cluster, "deployment/served"), "the children to go")


async def has(cluster: Cluster, what: str) -> bool:
    """Whether an object of namespace mlops exists."""
    return bool(await asyncio.to_thread(cluster.kubectl, "get", what, "-n", "mlops", "--ignore-not-found", "-o=name"))


async def lacks(cluster: Cluster, what: str) -> bool:
    """Whether it does not."""
    return not await has(cluster, what)
