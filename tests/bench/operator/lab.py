"""The place where contestants run: a fresh control plane with simulated nodes, a registry of fifty groups, and models.

Everything here is said as user agent `psm-bench`, so that the audit log tells the bench from its contestants.
"""

import asyncio
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
import boto3
import msgspec
from bench.results import REPOSITORY
from crds import install_crd

from psm_local.cluster import Cluster
from psm_local.control_plane import start_control_plane
from psm_local.supervise.instance import Say
from psm_operator.adapters.kinds import CHILD_SELECTOR, CHILDREN, MODEL
from psm_operator.adapters.kube_api import JSON_PATCH, Resource

AGENT: Final = "psm-bench"
GROUPS: Final = 50
INTERVAL: Final = "15s"
SOAK: Final = "60s"
CONTENT: Final = b"model"
BUCKET: Final = "bench-models"

FAST: Final = {"kube-api-qps": "2000", "kube-api-burst": "4000"}
"""client-go's limits of 20 and 30 requests a second would be what is measured; both contestants get the same."""

FLAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "kube-controller-manager": {
        **FAST,
        "concurrent-deployment-syncs": "16",
        "concurrent-replicaset-syncs": "16",
        "concurrent-service-endpoint-syncs": "16",
        "concurrent-endpoint-syncs": "16",
        "horizontal-pod-autoscaler-sync-period": "10m",  # there are no metrics to read here, and trying costs much
    },
    "kube-scheduler": FAST,
    "kube-apiserver": {"audit-log-maxsize": "10000"},  # MB; one file
}

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Kubernetes' own components make most requests, and are not what is counted
        {"level": "None", "users": ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"]},
        {"level": "None", "userGroups": ["system:serviceaccounts"]},
        {"level": "Metadata"},
    ],
}
PODS_PER_MODEL: Final = 3
"""A replica, one more during a roll-out, and a candidate."""
PODS_PER_NODE: Final = 200
"""A simulated node has 64 cores, a predictor asks for a quarter of one."""

IN_FLIGHT: Final = 16
"""Requests of the bench at once while it makes or changes models."""


def group_name(number: int) -> str:
    """A model package group."""
    return f"group-{number:02d}"


def model_name(number: int) -> str:
    """A model."""
    return f"model-{number:04d}"


def namespace(number: int) -> str:
    """A model's namespace, one per group: controllers of Kubernetes look through a whole namespace again and again."""
    return f"team-{number % GROUPS:02d}"


def model(number: int) -> dict[str, Any]:
    """A model with every child; each group is followed by every fiftieth."""
    name = model_name(number)
    return {
        "apiVersion": MODEL.api_version,
        "kind": MODEL.kind,
        "metadata": {"name": name, "namespace": namespace(number)},
        "spec": {
            "interval": INTERVAL,
            "registry": {"modelPackageGroupName": group_name(number % GROUPS), "region": "ap-southeast-1"},
            "version": {"policy": "LatestApproved"},
            "autoscaling": {"minReplicas": 1, "maxReplicas": 10},
            "networking": {"ingress": {"className": "nginx", "host": f"{name}.example.com"}},
            "rollout": {"soak": SOAK},
        },
    }


class Counted(msgspec.Struct):
    """A collection, of which only the length matters."""

    items: list[msgspec.Raw]


COUNTED: Final = msgspec.json.Decoder(Counted)


class Kube:
    """A few requests as the bench."""

    def __init__(self, cluster: Cluster) -> None:
        kubeconfig = json.loads(cluster.kubeconfig.read_text())
        self.url = cluster.api_url
        self._headers = {
            "Authorization": f"Bearer {kubeconfig['users'][0]['user']['token']}",
            "User-Agent": AGENT,
            "Accept": "application/json",
        }
        self._tls = ssl.create_default_context(cafile=str(cluster.run_dir / "files" / "ca.crt"))

    async def __aenter__(self) -> Self:
        """Open the connections."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=64, ssl=self._tls)
        self.http = aiohttp.ClientSession(
            self.url, headers=self._headers, timeout=timeout, connector=connector, read_bufsize=2**22
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        await self.http.close()

    async def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """One request; what is refused is an error of the bench."""
        data = json.dumps(body) if body is not None else None
        async with self.http.request(method, path, data=data, headers={"Content-Type": content_type}) as answer:
            text = await answer.read()
            if not answer.ok:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
            return json.loads(text)

    async def count(self, resource: Resource) -> int:
        """How many children of a kind there are; only their metadata is asked for."""
        accept = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
        query = {"labelSelector": CHILD_SELECTOR}
        async with self.http.get(resource.path(None), params=query, headers=accept) as answer:
            return len(COUNTED.decode(await answer.read()).items)

    async def create_models(self, numbers: Iterable[int]) -> None:
        """Make models, many at once."""

        async def create(number: int) -> None:
            await self.send("POST", MODEL.path(namespace(number)), model(number))

        await self._each(numbers, create)

    async def delete_models(self, numbers: Iterable[int]) -> None:
        """Delete models, many at once."""
        await self._each(numbers, lambda number: self.send("DELETE", MODEL.path(namespace(number), model_name(number))))

    async def patch_model(self, number: int, path: str, value: Any) -> None:
        """Set one field of a model."""
        patch = [{"op": "add", "path": path, "value": value}]
        await self.send("PATCH", MODEL.path(namespace(number), model_name(number)), patch, JSON_PATCH)

    async def _each(self, numbers: Iterable[int], make: Any) -> None:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> None:
            async with gate:
                await make(number)

        await asyncio.gather(*(one(number) for number in numbers))


@dataclass(frozen=True)
class Registry:
    """The emulated model registry, as the people around the operator use it."""

    cluster: Cluster

    def client(self, service: str) -> Any:
        """A boto3 client."""
        aws = self.cluster.aws
        url = aws.s3_host_url if service == "s3" else aws.host_url
        return boto3.client(
            service,
            endpoint_url=url,
            region_name=aws.region,
            aws_access_key_id=aws.access_key,
            aws_secret_access_key=aws.secret_key,
        )

    def fill(self) -> None:
        """Fifty groups with version 1 approved and version 2 pending; all share one artifact."""
        s3, sagemaker = self.client("s3"), self.client("sagemaker")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": self.cluster.aws.region})
        s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=CONTENT, ChecksumAlgorithm="SHA256")
        for number in range(GROUPS):
            sagemaker.create_model_package_group(ModelPackageGroupName=group_name(number))
            for approval in ("Approved", "PendingManualApproval"):
                self.register(sagemaker, group_name(number), approval)

    def register(self, sagemaker: Any, group: str, approval: str) -> str:
        """Add a version; returns its ARN."""
        answer = sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus=approval,
            InferenceSpecification={
                "Containers": [{"Image": "predictor", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                "psm.protocol": "1",
                "psm.sha256": hashlib.sha256(CONTENT).hexdigest(),
                "psm.accuracy": "0.810000",
                "psm.macro_f1": "0.800000",
                "psm.precision_min_class": "0.790000",
                "psm.data_validation": "passed",
            },
        )
        return str(answer["ModelPackageArn"])

    def send_events(self) -> str:
        """Have EventBridge send what happens in the registry to a queue, whose URL is returned (docs/aws-access.md)."""
        sqs, events = self.client("sqs"), self.client("events")
        url = str(sqs.create_queue(QueueName="registry-events")["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
        events.put_rule(Name="registry", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="registry", Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def approve(self, group: str, version: int, approval: str) -> None:
        """What a person does in the registry."""
        aws = self.cluster.aws
        arn = f"arn:aws:sagemaker:{aws.region}:123456789012:model-package/{group}/{version}"
        self.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus=approval)


@contextlib.contextmanager
def control_plane(name: str, models: int, say: Say) -> Iterator[Cluster]:
    """A fresh control plane with room for so many models, the CRD and the namespaces."""
    nodes = 1 + models * PODS_PER_MODEL // PODS_PER_NODE
    policy = REPOSITORY / "build" / "bench" / "audit-policy.json"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text(json.dumps(AUDIT_POLICY))
    server = {**FLAGS["kube-apiserver"], "audit-policy-file": str(policy)}
    flags = {**FLAGS, "kube-apiserver": server}
    with start_control_plane(name, kwok=True, audit=True, say=say, nodes=nodes, flags=flags) as cluster:
        install_crd(cluster)
        names = [*(namespace(number) for number in range(GROUPS)), "psm-system"]
        items = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
        cluster.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        yield cluster


@contextlib.asynccontextmanager
async def lab(name: str, models: int, say: Say) -> AsyncIterator[tuple[Cluster, Kube, Registry]]:
    """A control plane, its registry filled and its models made; nobody looks after them yet."""
    with control_plane(name, models, say) as cluster:
        registry = Registry(cluster)
        await asyncio.to_thread(registry.fill)
        async with Kube(cluster) as kube:
            await kube.create_models(range(models))
            yield cluster, kube, registry


async def missing_children(kube: Kube, models: int) -> dict[str, int]:
    """Kind -> how many are missing."""
    missing = {resource.kind: models - await kube.count(resource) for resource in CHILDREN}
    return {kind: count for kind, count in missing.items() if count > 0}
