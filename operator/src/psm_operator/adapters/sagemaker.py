"""The model registry on SageMaker: one read of a model package group, errors translated by code.

ListModelPackages pages through every version; DescribeModelPackage is called for the newest approved one and for those
asked for, so the calls per read are bounded by pages + versions in play, and one conditional GET of each described
version's evaluation JSON. A group that does not exist may come as a ValidationException or as an empty list:
DescribeModelPackageGroup settles which.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from psm_contract import metadata
from psm_operator.adapters.arn import Arn
from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.evaluation import Evaluation, EvaluationReader
from psm_operator.adapters.trouble import AWS_ERRORS, Trouble, code_of, denial_advice, network_advice, trouble_of
from psm_operator.api.conditions import Reason
from psm_operator.errors import OperatorError, Retryable, Stalled
from psm_operator.ports import Clock
from psm_operator.values import Approval, DataValidation, GroupRef, ModelPackage, PackageSummary, Snapshot

GroupContent = tuple[tuple[PackageSummary, ...], Mapping[int, ModelPackage]]
"""The versions, newest first, and the described ones."""

PAGE_SIZE: Final = 100
"""The service's own maximum."""


class SageMakerRegistry:
    """Implements `ports.Registry`."""

    def __init__(self, clients: AwsClients, *, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._evaluations = EvaluationReader(clients)

    async def read_group(self, group: GroupRef, describe: frozenset[int], number: int) -> Snapshot:
        """List every version and describe the newest approved one and those in `describe`."""
        summaries, packages = await self._clients.call(lambda: self._read(group, describe))
        return Snapshot(number=number, read_at=self._clock.now(), summaries=summaries, packages=packages)

    def _read(self, group: GroupRef, describe: frozenset[int]) -> GroupContent:
        """In a thread: making a client reads the service's model from disk, which takes half a second the first time."""
        try:
            client = self._clients.client("sagemaker", group.region, group.role_arn)
        except AWS_ERRORS as err:
            message = f"no SageMaker client for region {group.region}: {err}; check the region and the credentials"
            raise Retryable(message, reason=Reason.REGISTRY_UNAVAILABLE) from err
        return GroupRead(client, group, self._evaluations).everything(describe)


@dataclass(frozen=True, slots=True)
class GroupRead:
    """One read under way, in a thread."""

    client: Any
    group: GroupRef
    evaluations: EvaluationReader

    def everything(self, describe: frozenset[int]) -> GroupContent:
        """The versions, newest first, and the described ones."""
        try:
            summaries = sorted(self._summaries(), key=lambda summary: -summary.version)
            if not summaries:
                self._call("DescribeModelPackageGroup", ModelPackageGroupName=self.group.name)
            newest_approved = [s.version for s in summaries if s.approval is Approval.APPROVED][:1]
            wanted = describe.union(newest_approved)
            described = [
                self._call("DescribeModelPackage", ModelPackageName=s.arn) for s in summaries if s.version in wanted
            ]
        except AWS_ERRORS as err:
            raise self._translated(err) from err
        return tuple(summaries), MappingProxyType(self._packages(described))

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

    def _packages(self, described: Sequence[Mapping[str, Any]]) -> dict[int, ModelPackage]:
        urls = [evaluation_url_of(answer) for answer in described]
        evaluations = {"": Evaluation(), **self.evaluations.read_all(filter(None, urls), self.group)}
        packages = (package_of(answer, evaluations[url]) for answer, url in zip(described, urls, strict=True))
        return {package.version: package for package in packages}

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self.client, METHODS[operation])(**arguments)
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
                advice = self._stranger() or denial_advice(err, NEEDS)
                return Retryable(
                    f"the operator may not read {group} at {endpoint} ({code_of(err)}): {err}; {advice}",
                    reason=Reason.ACCESS_DENIED,
                )
            case Trouble.REFUSED | Trouble.MISSING:
                return self._refused(err)
            case Trouble.AWAY:
                return Retryable(
                    f"{group} could not be read at {endpoint} ({code_of(err)}): {err}; "
                    f"{network_advice(err, self.group.region)}",
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
                f"{self._as_whom()}({code_of(why)} from {self.client.meta.endpoint_url}); "
                f"{self._stranger() or 'create it or correct spec.registry'}",
            )
        return Retryable(
            f"SageMaker refused a read of {self.group.name} in region {self.group.region} ({code_of(err)}): {err}; "
            "the group exists, reading it again",
            reason=Reason.REGISTRY_UNAVAILABLE,
        )

    def _as_whom(self) -> str:
        return f"as seen by role {self.group.role_arn} " if self.group.role_arn else ""

    def _stranger(self) -> str:
        """What to do when the group's ARN names another region, or another account than the role's; empty if neither."""
        group, role = Arn.parse(self.group.name), Arn.parse(self.group.role_arn)
        if group is not None and group.region != self.group.region:
            return f"its ARN names region {group.region}: correct spec.registry.region"
        if group is not None and role is None:
            return (
                f"its ARN names account {group.account}: if that is not the operator's own, set spec.registry.roleARN to a "
                f"role of account {group.account} that the operator may assume"
            )
        if group is not None and role is not None and group.account != role.account:
            return f"the role is of account {role.account}, the group of {group.account}: correct spec.registry.roleARN"
        return ""


NEEDS: Final = "sagemaker:ListModelPackages, DescribeModelPackage and DescribeModelPackageGroup on the group"

METHODS: Final[Mapping[str, str]] = {
    "ListModelPackages": "list_model_packages",
    "DescribeModelPackage": "describe_model_package",
    "DescribeModelPackageGroup": "describe_model_package_group",
}


def summary_of(row: Mapping[str, Any]) -> PackageSummary:
    """One row of ListModelPackages."""
    return PackageSummary(
        version=int(row["ModelPackageVersion"]),
        arn=row["ModelPackageArn"],
        approval=approval_of(row),
        created_at=created_at_of(row),
    )


def package_of(described: Mapping[str, Any], evaluation: Evaluation) -> ModelPackage:
    """One DescribeModelPackage in our words; what is missing stays empty, never guessed."""
    properties: Mapping[str, str] = described.get("CustomerMetadataProperties") or {}
    containers = (described.get("InferenceSpecification") or {}).get("Containers") or [{}]
    modified = described.get("LastModifiedTime") or described.get("CreationTime") or datetime.fromtimestamp(0, UTC)
    parsed = metadata.parse_metrics(properties, evaluation.metrics or None)
    return ModelPackage(
        version=int(described["ModelPackageVersion"]),
        arn=described["ModelPackageArn"],
        approval=approval_of(described),
        model_data_url=model_data_url_of(containers[0]),
        sha256=properties.get(metadata.SHA256, "").lower(),
        modified_at=modified,
        metrics=MappingProxyType(parsed.texts),
        data_validation=validation_of(properties),
        approval_note=described.get("ApprovalDescription") or "",
        live_metrics=parsed.live,
        evaluation_error=evaluation.error,
        created_at=created_at_of(described),
    )


def created_at_of(row: Mapping[str, Any]) -> datetime | None:
    """When a package was made; whole seconds, so that whoever rounds differently tells of no other package."""
    created: datetime | None = row.get("CreationTime")
    return created.astimezone(UTC).replace(microsecond=0) if created is not None else None


def evaluation_url_of(described: Mapping[str, Any]) -> str:
    """Where the evaluation JSON lies; empty if the package names none."""
    quality = (described.get("ModelMetrics") or {}).get("ModelQuality") or {}
    return str((quality.get("Statistics") or {}).get("S3Uri") or "")


def model_data_url_of(container: Mapping[str, Any]) -> str:
    """Where the archive lies: SageMaker knows an older and a newer way to say so."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return str(container.get("ModelDataUrl") or source.get("S3Uri") or "")


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
