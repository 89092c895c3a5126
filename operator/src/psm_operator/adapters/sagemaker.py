"""The model registry on SageMaker: one read of a model package group, errors translated by code.

ListModelPackages pages through every version; DescribeModelPackage is called for the newest approved one and for those
asked for, so the calls per read are bounded by pages + versions in play. A group that does not exist may come as a
ValidationException or as an empty list: DescribeModelPackageGroup settles which.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

from psm_contract import metadata
from psm_operator.adapters.aws import AWS_ERRORS, AwsClients, Trouble, code_of, trouble_of
from psm_operator.api.conditions import Reason
from psm_operator.errors import OperatorError, Retryable, Stalled
from psm_operator.ports import Clock
from psm_operator.values import Approval, DataValidation, GroupRef, ModelPackage, PackageSummary, Snapshot

GroupContent = tuple[tuple[PackageSummary, ...], Mapping[int, ModelPackage]]
"""The versions, newest first, and the described ones."""

PAGE_SIZE: Final = 100
"""The service's own maximum."""


class CallMetrics(Protocol):
    """What the adapter tells telemetry."""

    def registry_called(self, operation: str, outcome: str) -> None:
        """One call ended; outcome is "ok" or an error code."""


class SageMakerRegistry:
    """Implements `ports.Registry`."""

    def __init__(self, clients: AwsClients, *, clock: Clock, metrics: CallMetrics) -> None:
        self._clients = clients
        self._clock = clock
        self._metrics = metrics

    async def read_group(self, group: GroupRef, describe: frozenset[int], number: int) -> Snapshot:
        """List every version and describe the newest approved one and those in `describe`."""
        summaries, packages = await self._clients.call(lambda: self._read(group, describe))
        return Snapshot(number=number, read_at=self._clock.now(), summaries=summaries, packages=packages)

    def _read(self, group: GroupRef, describe: frozenset[int]) -> GroupContent:
        """In a thread: making a client reads the service's model from disk, which takes half a second the first time."""
        try:
            client = self._clients.client("sagemaker", group.region)
        except AWS_ERRORS as err:
            message = f"no SageMaker client for region {group.region}: {err}; check the region and the credentials"
            raise Retryable(message, reason=Reason.REGISTRY_UNAVAILABLE) from err
        return GroupRead(client, group, self._metrics).everything(describe)


@dataclass(frozen=True, slots=True)
class GroupRead:
    """One read under way, in a thread."""

    client: Any
    group: GroupRef
    metrics: CallMetrics

    def everything(self, describe: frozenset[int]) -> GroupContent:
        """The versions, newest first, and the described ones."""
        try:
            summaries = sorted(self._summaries(), key=lambda summary: -summary.version)
            if not summaries:
                self._call("DescribeModelPackageGroup", ModelPackageGroupName=self.group.name)
            newest_approved = [s.version for s in summaries if s.approval is Approval.APPROVED][:1]
            wanted = describe.union(newest_approved)
            packages = {s.version: self._package(s) for s in summaries if s.version in wanted}
        except AWS_ERRORS as err:
            raise self._translated(err) from err
        return tuple(summaries), MappingProxyType(packages)

    def _summaries(self) -> Iterator[PackageSummary]:
        token: dict[str, str] = {}
        while True:
            page = self._call(
                "ListModelPackages",
                ModelPackageGroupName=self.group.name,
                SortBy="CreationTime",
                SortOrder="Descending",
                MaxResults=PAGE_SIZE,
                **token,
            )
            yield from (summary_of(row) for row in page["ModelPackageSummaryList"] if "ModelPackageVersion" in row)
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _package(self, summary: PackageSummary) -> ModelPackage:
        return package_of(self._call("DescribeModelPackage", ModelPackageName=summary.arn))

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        method = getattr(self.client, METHODS[operation])
        try:
            answer: dict[str, Any] = method(**arguments)
        except AWS_ERRORS as err:
            self.metrics.registry_called(operation, code_of(err))
            raise
        self.metrics.registry_called(operation, "ok")
        return answer

    def _translated(self, err: Exception) -> OperatorError:
        group = f"model package group {self.group.name} in region {self.group.region}"
        endpoint = self.client.meta.endpoint_url
        match trouble_of(err):
            case Trouble.THROTTLED:
                return Retryable(
                    f"SageMaker throttles reads of {group} ({code_of(err)}); polling slows down by itself, "
                    "raise spec.interval if it lasts",
                    reason=Reason.REGISTRY_THROTTLED,
                )
            case Trouble.DENIED:
                return Retryable(
                    f"the operator may not read {group} at {endpoint} ({code_of(err)}): {err}; "
                    "allow sagemaker:ListModelPackages, DescribeModelPackage and DescribeModelPackageGroup on it "
                    "to the operator's role",
                    reason=Reason.ACCESS_DENIED,
                )
            case Trouble.REFUSED | Trouble.MISSING:
                return self._refused(err)
            case Trouble.AWAY:
                return Retryable(
                    f"{group} could not be read at {endpoint} ({code_of(err)}): {err}; "
                    "check the endpoint and the network path to it",
                    reason=Reason.REGISTRY_UNAVAILABLE,
                )

    def _refused(self, err: Exception) -> OperatorError:
        """A refused read: does the group not exist, or did one version vanish between two calls?"""
        try:
            self._call("DescribeModelPackageGroup", ModelPackageGroupName=self.group.name)
        except AWS_ERRORS as why:
            if trouble_of(why) not in (Trouble.REFUSED, Trouble.MISSING):
                return self._translated(why)
            return Stalled(
                Reason.MODEL_PACKAGE_GROUP_NOT_FOUND,
                f"model package group {self.group.name} does not exist in region {self.group.region} "
                f"({code_of(why)} from {self.client.meta.endpoint_url}); create it or correct spec.registry",
            )
        return Retryable(
            f"SageMaker refused a read of {self.group.name} in region {self.group.region} ({code_of(err)}): {err}; "
            "the group exists, reading it again",
            reason=Reason.REGISTRY_UNAVAILABLE,
        )


METHODS: Final[Mapping[str, str]] = {
    "ListModelPackages": "list_model_packages",
    "DescribeModelPackage": "describe_model_package",
    "DescribeModelPackageGroup": "describe_model_package_group",
}


def summary_of(row: Mapping[str, Any]) -> PackageSummary:
    """One row of ListModelPackages."""
    return PackageSummary(
        version=int(row["ModelPackageVersion"]), arn=row["ModelPackageArn"], approval=approval_of(row)
    )


def package_of(described: Mapping[str, Any]) -> ModelPackage:
    """One DescribeModelPackage in our words; what is missing stays empty, never guessed."""
    properties: Mapping[str, str] = described.get("CustomerMetadataProperties") or {}
    containers = (described.get("InferenceSpecification") or {}).get("Containers") or [{}]
    modified = described.get("LastModifiedTime") or described.get("CreationTime") or datetime.fromtimestamp(0, UTC)
    return ModelPackage(
        version=int(described["ModelPackageVersion"]),
        arn=described["ModelPackageArn"],
        approval=approval_of(described),
        model_data_url=model_data_url_of(containers[0]),
        sha256=properties.get(metadata.SHA256, "").lower(),
        modified_at=modified,
        metrics=MappingProxyType(metrics_of(properties)),
        data_validation=validation_of(properties),
        approval_note=described.get("ApprovalDescription") or "",
    )


def model_data_url_of(container: Mapping[str, Any]) -> str:
    """Where the archive lies: SageMaker knows an older and a newer way to say so."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return str(container.get("ModelDataUrl") or source.get("S3Uri") or "")


def metrics_of(properties: Mapping[str, str]) -> dict[str, str]:
    """Metric name -> value as written. A live value overrides the registered one unless it is no number.

    A value that is no number stays text, so that its verdict can say what was found.
    """
    names = [key for key in properties if key.startswith(metadata.PREFIX) and key not in metadata.NOT_METRICS]
    registered = {key.removeprefix(metadata.PREFIX): properties[key] for key in names if not _is_live(key)}
    live = {key.removeprefix(metadata.LIVE_PREFIX): properties[key] for key in names if _is_live(key)}
    readable = {
        name: text for name, text in live.items() if metadata.parse_metric(text) is not None or name not in registered
    }
    return registered | readable


def _is_live(key: str) -> bool:
    return key.startswith(metadata.LIVE_PREFIX)


def validation_of(properties: Mapping[str, str]) -> DataValidation:
    """What the package says of its data validation."""
    match properties.get(metadata.DATA_VALIDATION):
        case metadata.VALIDATION_PASSED:
            return DataValidation.PASSED
        case metadata.VALIDATION_FAILED:
            return DataValidation.FAILED
        case _:
            return DataValidation.UNKNOWN


def approval_of(row: Mapping[str, Any]) -> Approval:
    """The approval status; a package without one waits for it."""
    return Approval(row.get("ModelApprovalStatus") or Approval.PENDING)
