"""The people around the operator, for fault tests: they register versions, make models, and look at what became of them.

Everything goes straight to the API server and the AWS stand-ins, past every proxy.
"""

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.config import Config
from faults.crash_walk import Losses, timeless

from psm_local.aws import ACCOUNT, AwsEndpoints
from psm_operator.adapters.kinds import CHILDREN, EVENT, MODEL, POD
from psm_operator.adapters.kube_api import KubeApi, Refusal
from psm_operator.values import Manifest, ObjectRef

BUCKET: Final = "fault-models"
GOOD: Final = "0.800000"
BAD: Final = "0.700000"
"""Below the threshold of every model here."""

NAME: Final = "NAME"
"""Stands for the model's name where two models are compared."""

MERGE_PATCH: Final = "application/merge-patch+json"

SOON_S: Final = 120.0
"""Until what must happen has happened, on a busy machine."""


class Registry:
    """Groups with a good version 1, approved, and a good version 2 that waits for approval."""

    def __init__(self, aws: AwsEndpoints) -> None:
        access = {
            "aws_access_key_id": aws.access_key,
            "aws_secret_access_key": aws.secret_key,
            "region_name": aws.region,
        }
        path_style = Config(s3={"addressing_style": "path"}, proxies={})
        self._s3 = boto3.client("s3", endpoint_url=aws.s3_host_url, config=path_style, **access)
        self._sagemaker = boto3.client("sagemaker", endpoint_url=aws.host_url, config=Config(proxies={}), **access)
        self._region = aws.region
        with suppress(self._s3.exceptions.BucketAlreadyOwnedByYou):
            self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region})
        for version in (1, 2):
            self._s3.put_object(Bucket=BUCKET, Key=f"{version}/model.tar.gz", Body=_content(version))

    def offer(self, group: str) -> None:
        """Make a group."""
        self._sagemaker.create_model_package_group(ModelPackageGroupName=group)
        self._register(group, 1, "Approved")
        self._register(group, 2, "PendingManualApproval")

    def approve(self, group: str, version: int, approval: str = "Approved") -> None:
        """Let the operator take a version, or not any more."""
        self._sagemaker.update_model_package(ModelPackageArn=self._arn(group, version), ModelApprovalStatus=approval)

    def measure(self, group: str, version: int, accuracy: str) -> None:
        """An evaluation job writes newer metrics."""
        self._sagemaker.update_model_package(
            ModelPackageArn=self._arn(group, version), CustomerMetadataProperties={"psm.accuracy": accuracy}
        )

    def _register(self, group: str, version: int, approval: str) -> None:
        url = f"s3://{BUCKET}/{version}/model.tar.gz"
        self._sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus=approval,
            InferenceSpecification={
                "Containers": [{"Image": "predictor", "ModelDataUrl": url}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                "psm.protocol": "1",
                "psm.sha256": hashlib.sha256(_content(version)).hexdigest(),
                "psm.accuracy": GOOD,
                "psm.data_validation": "passed",
            },
        )

    def _arn(self, group: str, version: int) -> str:
        return f"arn:aws:sagemaker:{self._region}:{ACCOUNT}:model-package/{group}/{version}"


def _content(version: int) -> bytes:
    return f"model {version}".encode()


@dataclass(frozen=True)
class Shop:
    """The cluster and the registry in people's hands."""

    api: KubeApi
    registry: Registry
    region: str
    created: list[ObjectRef] = field(default_factory=list)

    async def namespace(self, name: str) -> None:
        """Make a namespace; one that exists is fine."""
        try:
            await self.api.send("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
        except Refusal as err:
            if err.reason != "AlreadyExists":
                raise

    async def create(self, ref: ObjectRef, **changes: Any) -> None:
        """Make a model with short clocks; its package group is named as the model."""
        await asyncio.to_thread(self.registry.offer, ref.name)
        spec = {
            "interval": "15s",
            "registry": {"modelPackageGroupName": ref.name, "region": self.region},
            "version": {"policy": "LatestApproved"},
            "replicas": 1,
            "rollout": {"soak": "1s", "minReadySeconds": 0},
            "rollback": {"cooldown": "0s"},
            "analysis": {"failureLimit": 1, "metrics": [{"name": "accuracy", "threshold": {"min": "0.75"}}]},
            **changes,
        }
        body = {"apiVersion": MODEL.api_version, "kind": MODEL.kind, "metadata": {"name": ref.name}, "spec": spec}
        self.created.append(ref)
        await self.api.send("POST", MODEL.path(ref.namespace), body=body)

    async def look_now(self, ref: ObjectRef) -> None:
        """Ask the operator to read the registry now."""
        patch: Manifest = {"metadata": {"annotations": {"retail.mlops/requestedAt": str(time.time_ns())}}}
        await self.api.send("PATCH", MODEL.path(ref.namespace, ref.name), body=patch, content_type=MERGE_PATCH)

    async def approve_2(self, ref: ObjectRef) -> None:
        """Version 2 may serve."""
        await asyncio.to_thread(self.registry.approve, ref.name, 2)
        await self.look_now(ref)

    async def spoil_2(self, ref: ObjectRef) -> None:
        """Version 2 turns out to be bad: the operator must go back to version 1."""
        await asyncio.to_thread(self.registry.measure, ref.name, 2, BAD)
        await self.look_now(ref)

    async def spoil_2_unseen(self, ref: ObjectRef) -> None:
        """The same, without asking the operator to look."""
        await asyncio.to_thread(self.registry.measure, ref.name, 2, BAD)

    async def withdraw_2(self, ref: ObjectRef) -> None:
        """Somebody takes the approval of version 2 back."""
        await asyncio.to_thread(self.registry.approve, ref.name, 2, "Rejected")
        await self.look_now(ref)

    async def delete(self, ref: ObjectRef) -> None:
        """Delete the model."""
        await self.api.send("DELETE", MODEL.path(ref.namespace, ref.name))

    async def clear(self) -> None:
        """Delete every model that is left: operators of other tests would look after them too."""
        for ref in self.created:
            if await self.model(ref) is not None:
                await self.delete(ref)

    async def is_resolved(self, ref: ObjectRef) -> bool:
        """Whether the registry could be read at last."""
        conditions = (await self.status(ref)).get("conditions", ())
        return any(c["type"] == "VersionResolved" and c["status"] == "True" for c in conditions)

    async def nodes_of(self, ref: ObjectRef) -> list[str]:
        """Nodes on which its serving pods run."""
        selector = {"labelSelector": f"retail.mlops/model={ref.name},retail.mlops/role=serving"}
        pods = (await self.api.send("GET", POD.path(ref.namespace), query=selector))["items"]
        return sorted({pod["spec"]["nodeName"] for pod in pods if "nodeName" in pod["spec"]})

    async def model(self, ref: ObjectRef) -> Manifest | None:
        """The resource, None when it is gone."""
        try:
            return await self.api.send("GET", MODEL.path(ref.namespace, ref.name))
        except Refusal:
            return None

    async def status(self, ref: ObjectRef) -> Manifest:
        """Its status; empty before the first."""
        return (await self.model(ref) or {}).get("status") or {}

    async def children(self, ref: ObjectRef) -> dict[str, Manifest]:
        """What the operator made for it, by kind and name."""
        selector = {"labelSelector": f"retail.mlops/model={ref.name}"}
        found: dict[str, Manifest] = {}
        for kind in CHILDREN:
            items = (await self.api.send("GET", kind.path(ref.namespace), query=selector))["items"]
            found |= {f"{kind.kind}/{item['metadata']['name']}": item for item in items}
        return found

    async def events(self, ref: ObjectRef) -> list[Manifest]:
        """Events about it."""
        items = (await self.api.send("GET", EVENT.path(ref.namespace)))["items"]
        about = (MODEL.kind, ref.name)
        return [it for it in items if (it["regarding"].get("kind"), it["regarding"].get("name")) == about]

    async def end(self, ref: ObjectRef) -> "RealEnd":
        """How the model ended."""
        text = json.dumps(timeless(await self.status(ref))).replace(f"{ref.name}.{ref.namespace}", NAME)
        status = json.loads(text.replace(ref.name, NAME))
        for volatile in ("lastHandledReconcileAt", "lastHandledRollback"):
            status.pop(volatile, None)
        history = [json.dumps(entry, sort_keys=True) for entry in status.pop("history", [])]
        notes = [f"{e['type']} {e['reason']}: {e['note']}".replace(ref.name, NAME) for e in await self.events(ref)]
        children = {
            name.replace(ref.name, NAME): json.dumps(_wish(child), sort_keys=True).replace(ref.name, NAME)
            for name, child in (await self.children(ref)).items()
        }
        return RealEnd(status, children, Counter(history), Counter(notes))


@dataclass(frozen=True)
class RealEnd:
    """How a model ended on a real API server, without names and moments."""

    status: Manifest
    children: Mapping[str, str]
    history: "Counter[str]"
    events: "Counter[str]"

    def compared_with(self, wanted: "RealEnd") -> Losses:
        """What is lost, twice or otherwise."""
        lost, extra = [], []
        for found, expected in ((self.history, wanted.history), (self.events, wanted.events)):
            lost += list((expected - found).elements())
            extra += list((found - expected).elements())
        other = []
        for here, there in ((self.status, wanted.status), (self.children, wanted.children)):
            differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
            other += [f"{name} is {here.get(name)}, undisturbed {there.get(name)}" for name in differing]
        return Losses(tuple(lost), tuple(extra), tuple(other))


def _wish(child: Manifest) -> Manifest:
    """What was asked for of a child, without what the API server or the simulated network chose."""
    spec = {k: v for k, v in (child.get("spec") or {}).items() if k not in {"clusterIP", "clusterIPs"}}
    return {"spec": spec, "labels": child["metadata"].get("labels")}


def is_settled_on(status: Manifest, version: int) -> bool:
    """Whether a version serves, is the way back, and nothing is on its way."""
    served = [(status.get(name) or {}).get("version") for name in ("current", "stable")]
    ready = [c["status"] for c in status.get("conditions", ()) if c["type"] == "Ready"]
    is_moving = "candidate" in status or "finishedAt" not in status.get("rollback", {"finishedAt": ""})
    return served == [version, version] and ready == ["True"] and not is_moving


async def until(is_so: Callable[[], Awaitable[bool]], what: str, limit_s: float = SOON_S) -> None:
    """Wait until it is so, or fail naming what was waited for."""
    deadline = time.monotonic() + limit_s
    while not await is_so():
        assert time.monotonic() < deadline, f"waited {limit_s:g} s for {what}"
        await asyncio.sleep(0.1)
