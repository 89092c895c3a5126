"""The SageMaker model registry and the bucket behind it, as training needs them. Errors are matched on code only.

boto3 and not the sagemaker SDK: that one's ModelPackage.create raises after creating and drops content types.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from psm_contract.metadata import LIVE_PREFIX, check_limits, format_metric
from psm_training.errors import PipelineError

PENDING: Final = "PendingManualApproval"
APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"

CONTENT_TYPES: Final = ["application/json", "application/jsonlines", "text/csv"]
INSTANCE_TYPES: Final = ["ml.m5.large", "ml.m6i.large", "ml.c6i.large"]
"""Offered for real-time inference and for Transform alike, and of our images' architecture, x86-64."""

GROUP_EXISTS: Final = frozenset({"ValidationException", "ConflictException", "ResourceInUse"})
"""What CreateModelPackageGroup may answer for a group that is there already."""

NO_OBJECT: Final = frozenset({"NoSuchKey", "404"})

CONDITION_FAILED: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409", *NO_OBJECT})
"""What S3 answers when another write was faster: it was done, is being done, or deleted the object."""

CLIENT_CONFIG: Final = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
"""Seconds; checksums only where S3 demands them, because other S3 servers refuse the trailing kind."""


_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class ModelPackage:
    """One registered version."""

    version: int
    arn: str
    status: str


@dataclass(frozen=True)
class PackageDetails:
    """What a version says of itself.

    Attributes:
        group: Its model package group.
        folder: s3:// address of the folder that holds its evaluation, or else its archive.
        properties: Customer metadata.
        decision: Why it has the status that it has, for people.
    """

    group: str
    folder: str
    properties: Mapping[str, str]
    decision: str


@dataclass(frozen=True)
class Stored:
    """An object as it was read.

    Attributes:
        content: Its bytes.
        etag: Names this content in a conditional write.
        age_s: Seconds since it was written, by the clock of S3 alone.
    """

    content: bytes
    etag: str
    age_s: float


@dataclass(frozen=True)
class Registration:
    """What is registered.

    Attributes:
        group: Model package group; made when missing.
        image: Image that serves the model.
        model_url: s3:// address of the archive.
        evaluation_url: s3:// address of evaluation.json.
        environment: Of the serving container.
        properties: Customer metadata.
        commit: Of the code that trained it.
        description: For people.
        model_card: ModelCardContent of SageMaker, if there is one.
    """

    group: str
    image: str
    model_url: str
    evaluation_url: str
    environment: Mapping[str, str]
    properties: Mapping[str, str]
    commit: str
    description: str
    model_card: str | None = None


class ModelRegistry:
    """Writes model packages and their files."""

    def __init__(self, region: str | None) -> None:
        if region is None:
            raise PipelineError("no AWS region; set AWS_REGION or pass --region")
        self._sagemaker = boto3.client("sagemaker", region_name=region, config=CLIENT_CONFIG)
        self._s3 = boto3.client("s3", region_name=region, config=CLIENT_CONFIG)

    def upload(self, path: Path, bucket: str, key: str, content_type: str) -> str:
        """Stores a file and returns its s3:// address."""
        with _translated(f"upload {path.name} to s3://{bucket}/{key}"), path.open("rb") as content:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)
        return f"s3://{bucket}/{key}"

    def ensure_group(self, group: str) -> None:
        """Makes the group when it is missing."""
        try:
            self._sagemaker.describe_model_package_group(ModelPackageGroupName=group)
        except ClientError:  # whatever the reason, creating tells: it works, the group is there, or a real error
            with _translated(f"create model package group {group}", ignore=GROUP_EXISTS):
                self._sagemaker.create_model_package_group(
                    ModelPackageGroupName=group, ModelPackageGroupDescription="Basket price sensitivity: LA, MM, UM"
                )

    def register(self, registration: Registration) -> ModelPackage:
        """Registers a version that waits for approval."""
        check_limits(registration.properties)
        self.ensure_group(registration.group)
        with _translated(f"register in model package group {registration.group}"):
            created = self._sagemaker.create_model_package(**_request(registration))
        return self.find(registration.group, str(created["ModelPackageArn"]))

    def find(self, group: str, which: str) -> ModelPackage:
        """A version by number or ARN.

        Raises:
            PipelineError: The group does not have it.
        """
        if which.startswith("arn:"):
            with _translated(f"describe model package {which}"):
                return _model_package(self._sagemaker.describe_model_package(ModelPackageName=which))
        if not which.isdecimal():
            raise PipelineError(f"{which!r} is neither a version number nor a model package ARN")
        for package in self.versions(group):
            if package.version == int(which):
                return package
        raise PipelineError(f"model package group {group} has no version {which}")

    def versions(self, group: str) -> Iterator[ModelPackage]:
        """All versions, newest first."""
        with _translated(f"list model package group {group}"):
            pages = self._sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
            )
            for page in pages:
                for summary in page["ModelPackageSummaryList"]:
                    yield _model_package(summary)

    def decide(
        self, package: ModelPackage, status: str, reason: str, properties: Mapping[str, str] = MappingProxyType({})
    ) -> ModelPackage:
        """Approves or rejects a version, or lets it wait; sets properties in the same write."""
        more = {"CustomerMetadataProperties": dict(properties)} if properties else {}
        with _translated(f"set {package.arn} to {status}"):
            self._sagemaker.update_model_package(
                ModelPackageArn=package.arn, ModelApprovalStatus=status, ApprovalDescription=reason, **more
            )
        return self.find("", package.arn)

    def record_metrics(self, package: ModelPackage, metrics: Mapping[str, float]) -> dict[str, str]:
        """Writes metrics measured on live traffic as psm.live.*; the other properties stay.

        Returns:
            What was written.
        """
        live = {LIVE_PREFIX + name: format_metric(value) for name, value in metrics.items()}
        self.add_properties(package, live)
        return live

    def add_properties(self, package: ModelPackage, properties: Mapping[str, str]) -> bool:
        """Sets properties of a version, leaving the others as they are; whether that changed anything.

        Raises:
            PipelineError: The registry refuses them.
        """
        there: Mapping[str, str] = self._describe(package).get("CustomerMetadataProperties", {})
        changed = {key: value for key, value in properties.items() if there.get(key) != value}
        if not changed:
            return False  # a write would tell every operator that the package changed
        check_limits({**there, **changed})
        with _translated(f"record metrics of {package.arn}"):
            self._sagemaker.update_model_package(ModelPackageArn=package.arn, CustomerMetadataProperties=changed)
        return True

    def folder(self, package: ModelPackage) -> str:
        """s3:// address of the folder that holds a version's evaluation, or else its archive.

        Raises:
            PipelineError: The package names neither.
        """
        return _folder(package.arn, self._describe(package))

    def details(self, package: ModelPackage) -> PackageDetails:
        """What a version says of itself.

        Raises:
            PipelineError: It names no file in S3.
        """
        described = self._describe(package)
        return PackageDetails(
            group=str(described["ModelPackageGroupName"]),
            folder=_folder(package.arn, described),
            properties=described.get("CustomerMetadataProperties") or {},
            decision=str(described.get("ApprovalDescription") or ""),
        )

    def put(self, url: str, content: bytes, content_type: str) -> None:
        """Stores an object."""
        bucket, key = _parts(url)
        with _translated(f"write {url}"):
            self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)

    def get(self, url: str) -> Stored | None:
        """An object; None when there is none."""
        bucket, key = _parts(url)
        with _translated(f"read {url}"):
            try:
                answer = self._s3.get_object(Bucket=bucket, Key=key)
            except ClientError as err:
                if err.response["Error"]["Code"] in NO_OBJECT:
                    return None
                raise
            content = answer["Body"].read()
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Stored(content, str(answer["ETag"]), (now - answer["LastModified"]).total_seconds())

    def put_if(self, url: str, content: bytes, *, etag: str | None) -> bool:
        """Stores an object if it is still the one that `etag` names, or with None if there is none; whether it was so."""
        bucket, key = _parts(url)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with _translated(f"write {url}"):
            try:
                self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="application/json", **condition)
            except ClientError as err:
                if err.response["Error"]["Code"] in CONDITION_FAILED:
                    return False
                raise
        return True

    def objects(self, pattern: str) -> list[str]:
        """s3:// addresses that match a pattern with *, ? and [...] in its key, sorted."""
        bucket, key = _parts(pattern)
        prefix = re.split(r"[*?\[]", key, maxsplit=1)[0]
        with _translated(f"list {pattern}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return sorted(f"s3://{bucket}/{name}" for name in keys if fnmatchcase(name, key))

    def download(self, url: str, path: Path) -> None:
        """Brings an object to a local file."""
        bucket, key = _parts(url)
        with _translated(f"read {url}"), path.open("wb") as file:
            for chunk in self._s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK_BYTES):
                file.write(chunk)

    def _describe(self, package: ModelPackage) -> Mapping[str, Any]:
        with _translated(f"describe model package {package.arn}"):
            described: Mapping[str, Any] = self._sagemaker.describe_model_package(ModelPackageName=package.arn)
        return described


def _parts(url: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, separator, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket or not separator:
        raise PipelineError(f"{url!r} is not s3://bucket/key")
    return bucket, key


def _folder(arn: str, described: Mapping[str, Any]) -> str:
    quality = described.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    containers = described.get("InferenceSpecification", {}).get("Containers", [{}])
    url = str(quality.get("S3Uri") or containers[0].get("ModelDataUrl") or "")
    if not url.startswith("s3://"):
        raise PipelineError(f"{arn} names no file in S3 beside which an evaluation could lie: {url!r}")
    return url.rpartition("/")[0]


def _request(registration: Registration) -> dict[str, Any]:
    """CreateModelPackage's arguments."""
    return {
        "ModelPackageGroupName": registration.group,
        "ModelPackageDescription": registration.description,
        "ModelApprovalStatus": PENDING,
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": registration.image,
                    "ModelDataUrl": registration.model_url,
                    "Environment": dict(registration.environment),
                }
            ],
            "SupportedContentTypes": CONTENT_TYPES,
            "SupportedResponseMIMETypes": CONTENT_TYPES,
            "SupportedRealtimeInferenceInstanceTypes": INSTANCE_TYPES,
            "SupportedTransformInstanceTypes": INSTANCE_TYPES,
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": registration.evaluation_url},
            }
        },
        "CustomerMetadataProperties": dict(registration.properties),
        **_model_card(registration.model_card),
        "MetadataProperties": {"CommitId": registration.commit, "GeneratedBy": "psm-train"},
    }


def _model_card(content: str | None) -> dict[str, Any]:
    return {} if content is None else {"ModelCard": {"ModelCardContent": content, "ModelCardStatus": "Draft"}}


def _model_package(answer: Mapping[str, Any]) -> ModelPackage:
    return ModelPackage(
        version=int(answer["ModelPackageVersion"]),
        arn=str(answer["ModelPackageArn"]),
        status=str(answer["ModelApprovalStatus"]),
    )


class _translated:  # noqa: N801  # used as `with _translated(...)`, a verb and not a noun
    """Turns boto3's errors into ours, naming what was being done."""

    def __init__(self, doing: str, ignore: frozenset[str] = frozenset()) -> None:
        self._doing = doing
        self._ignore = ignore

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, ClientError):
            if error.response["Error"]["Code"] in self._ignore:
                return True
            raise PipelineError(f"could not {self._doing}: {error}") from error
        if isinstance(error, BotoCoreError):
            raise PipelineError(f"could not {self._doing}: {error}") from error
        return False
