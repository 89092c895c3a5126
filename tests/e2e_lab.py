"""Models on a real node, as a data team and a platform team handle them: the words in which e2e tests are written."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from artifacts import ArtifactFile
from botocore.config import Config

from psm_contract import metadata
from psm_local.aws import ACCOUNT, AwsEndpoints
from psm_local.cluster import Cluster
from psm_local.demo.load import Load
from psm_local.demo.waiting import wait_until
from psm_local.emulator.control import EmulatorControl

BUCKET = "e2e-models"
START_LIMIT_S = 300.0
"""For a model to serve: 5 s alone, longer when a dozen start at once on two cores."""
CLOSE_LIMIT_S = 60.0
"""For what follows in the same pass."""
POLL_LIMIT_S = 180.0
"""For news of the registry to arrive: the interval is 15 s."""

Json = dict[str, Any]
Status = Mapping[str, Any]


class Registry:
    """The data team's side: archives on the node's S3, packages in its model registry."""

    def __init__(self, aws: AwsEndpoints) -> None:
        access = {
            "aws_access_key_id": aws.access_key,
            "aws_secret_access_key": aws.secret_key,
            "region_name": aws.region,
        }
        path_style = Config(s3={"addressing_style": "path"})
        self._s3 = boto3.client("s3", endpoint_url=aws.s3_host_url, config=path_style, **access)
        self._sagemaker = boto3.client("sagemaker", endpoint_url=aws.host_url, **access)
        self._region = aws.region
        self.control = EmulatorControl(aws.host_url)
        self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region})

    def upload(self, key: str, content: bytes, **arguments: str) -> str:
        """Store an object and return its address; `arguments` go to PutObject."""
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=content, **arguments)
        return self.address(key)

    def address(self, key: str) -> str:
        """Where an object lies, or would."""
        return f"s3://{BUCKET}/{key}"

    def make_group(self, group: str) -> None:
        """A model package group without versions."""
        self._sagemaker.create_model_package_group(ModelPackageGroupName=group)

    def register(self, group: str, url: str, sha256: str, *, approval: str = "Approved") -> None:
        """The next version of a group, with metadata that pass every gate."""
        self._sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus=approval,
            InferenceSpecification={
                "Containers": [{"Image": "mlops/api-price-sensitivity:dev", "ModelDataUrl": url}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                metadata.SHA256: sha256,
                metadata.DATA_VALIDATION: metadata.VALIDATION_PASSED,
                metadata.ACCURACY: "0.800000",
            },
        )

    def publish(self, group: str, artifact: ArtifactFile, *, approval: str = "Approved") -> None:
        """Upload an archive and register it."""
        url = self.upload(f"{group}/{artifact.sha256}/model.tar.gz", artifact.path.read_bytes())
        self.register(group, url, artifact.sha256, approval=approval)

    def approve(self, group: str, version: int) -> None:
        """Let the operator take a version."""
        arn = f"arn:aws:sagemaker:{self._region}:{ACCOUNT}:model-package/{group}/{version}"
        self._sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


@dataclass(frozen=True)
class Model:
    """One custom resource of a node, and what belongs to it."""

    cluster: Cluster
    namespace: str
    name: str

    @property
    def host(self) -> str:
        """Of its Ingress."""
        return f"{self.name}.{self.namespace}.example.com"

    def create(self, **spec: Any) -> None:
        """Kubectl create, with short clocks; `spec` replaces top-level fields, None leaves one out.

        The package group is named as the model.
        """
        self.cluster.kubectl("create", "-f", "-", stdin=json.dumps(self.manifest(**spec)))

    def manifest(self, **spec: Any) -> Json:
        """What `create` sends."""
        default: Json = {
            "interval": "15s",
            "registry": {"modelPackageGroupName": self.name, "region": self.cluster.aws.region},
            "version": {"policy": "LatestApproved"},
            "replicas": 1,
            "predictor": {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}},
            "rollout": {"minReadySeconds": 0, "soak": "5s"},
            "rollback": {"cooldown": "0s"},
            "analysis": {"metrics": [{"name": "accuracy", "threshold": {"min": "0.75"}}]},
            "networking": {"ingress": {"className": "traefik", "host": self.host}},
        }
        return {
            "apiVersion": "retail.mlops/v1alpha1",
            "kind": "PriceSensitivityModel",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {name: value for name, value in (default | spec).items() if value is not None},
        }

    def patch(self, **spec: Any) -> None:
        """Kubectl patch: merge `spec` into the resource's; None removes a field."""
        self.kubectl("patch", "psm", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def look_now(self) -> None:
        """Ask the operator to read the registry now, as a person does who does not want to wait for the interval."""
        self.kubectl("annotate", "psm", self.name, f"retail.mlops/requestedAt={time.time_ns()}", "--overwrite")

    def kubectl(self, *args: str) -> str:
        """Kubectl in the model's namespace."""
        return self.cluster.kubectl("-n", self.namespace, *args)

    def find(self, kind: str, name: str = "") -> Json | None:
        """An object of the namespace, named as the model unless told otherwise; None where there is none."""
        found = self.kubectl("get", kind, name or self.name, "-o=json", "--ignore-not-found")
        return json.loads(found) if found else None

    def get(self, kind: str, name: str = "") -> Json:
        """An object that must be there."""
        found = self.find(kind, name)
        assert found is not None, f"{kind} {name or self.name} is not there"
        return found

    def items(self, kind: str, selector: str = "") -> list[Json]:
        """Objects of the namespace by label."""
        found: list[Json] = json.loads(self.kubectl("get", kind, "-o=json", f"--selector={selector}"))["items"]
        return found

    def pods(self, role: str = "serving") -> list[Json]:
        """Its pods that are not on their way out."""
        found = self.items("pods", f"retail.mlops/model={self.name},retail.mlops/role={role}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def events(self, reason: str = "") -> list[Json]:
        """Events about it, in the order in which they came."""
        uid = self.get("psm")["metadata"]["uid"]
        about = [event for event in self.items("events.events.k8s.io") if event["regarding"].get("uid") == uid]
        wanted = [event for event in about if reason in ("", event["reason"])]
        return sorted(wanted, key=lambda event: str(event["eventTime"]))

    def the_event(self, reason: str, note: str) -> Json:
        """The one Event that says so, waited for: Events are recorded after the status is written."""
        found: list[Json] = []

        def missing() -> str | None:
            nonlocal found
            found = [event for event in self.events(reason) if event["note"] == note]
            return None if found else f"Events so far: {[(event['reason'], event['note']) for event in self.events()]}"

        wait_until(f"{self.name}: Event {reason}, {note!r}", missing, limit_s=CLOSE_LIMIT_S)
        assert len(found) == 1
        return found[0]

    def wait_gone(self, kind: str, name: str = "") -> None:
        """Wait for an object to go, which the status may have said before."""
        what = f"{kind} {name or self.name}"
        wait_until(
            f"{what} to go", lambda: f"{what} is there" if self.find(kind, name) else None, limit_s=CLOSE_LIMIT_S
        )

    @property
    def status(self) -> Status:
        """As the operator wrote it; empty before that."""
        found: Status = self.get("psm").get("status") or {}
        return found

    def wait(self, what: str, look: Callable[[Status], object], *, limit_s: float = POLL_LIMIT_S) -> Status:
        """Wait until the status is as wanted and return it; the failure says what it was instead."""
        status: Status = {}

        def missing() -> str | None:
            nonlocal status
            status = self.status
            return None if look(status) else f"phase {status.get('phase')}, {status.get('message')!r}"

        wait_until(f"{self.name}: {what}", missing, limit_s=limit_s)
        return status

    def wait_serving(self, version: int) -> Status:
        """Wait until every replica serves a version and it is the way back."""
        return self.wait(f"version {version} to serve", lambda s: is_settled_on(s, version), limit_s=START_LIMIT_S)

    def wait_condition(self, kind: str, status: str, reason: str, *, limit_s: float = POLL_LIMIT_S) -> str:
        """Wait for a condition and return its message."""
        wanted = (status, reason)
        found = self.wait(f"{kind} {status} {reason}", lambda s: condition(s, kind)[:2] == wanted, limit_s=limit_s)
        return condition(found, kind)[2]

    def load(self, body: bytes) -> Load:
        """A light request load through its Ingress, not started yet."""
        return Load(self.cluster.ingress_url, self.host, body, threads=1, rate_per_s=5)

    def ask(self, path: str) -> httpx.Response:
        """GET a path through its Ingress."""
        return httpx.get(f"{self.cluster.ingress_url}{path}", headers={"Host": self.host}, timeout=5, trust_env=False)


def is_settled_on(status: Status, version: int) -> bool:
    """Whether a version serves, is ready and finished its soak."""
    served = [(status.get(name) or {}).get("version") for name in ("current", "stable")]
    return served == [version, version] and condition(status, "Ready")[0] == "True" and "candidate" not in status


def condition(status: Status, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty texts where it is absent."""
    for found in status.get("conditions", ()):
        if found["type"] == kind:
            return found["status"], found["reason"], found["message"]
    return "", "", ""


def rejection(status: Status, version: int) -> tuple[str, str]:
    """Reason and message of a rejected version; empty texts where it is not rejected."""
    for found in status.get("rejected", ()):
        if found["version"] == version:
            return found["reason"], found["message"]
    return "", ""


@dataclass(frozen=True)
class Lab:
    """A node with the operator installed, its registry, and two good archives."""

    cluster: Cluster
    registry: Registry
    first: ArtifactFile
    second: ArtifactFile

    def namespace(self, name: str) -> None:
        """Make a namespace for models."""
        self.cluster.kubectl("create", "namespace", name)

    def model(self, namespace: str, name: str) -> Model:
        """Name a model; nothing is made."""
        return Model(self.cluster, namespace, name)

    def offer(self, model: Model, *, second: str = "") -> None:
        """A group with a good, approved version 1 and, where `second` says its approval, a good version 2."""
        self.registry.make_group(model.name)
        self.registry.publish(model.name, self.first)
        if second:
            self.registry.publish(model.name, self.second, approval=second)

    @property
    def basket(self) -> bytes:
        """A request that every good version answers."""
        return json.dumps({"lines": self.first.manifest.golden_baskets[0].lines}).encode()
