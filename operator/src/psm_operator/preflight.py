"""`psm-operator preflight`: asks AWS what the operator would ask of one group, in order, and says what is wrong.

One line per check: `ok`, `failed` with what to do, or `skipped` where an earlier one failed. Run in the operator's pod,
it has the operator's network, credentials and endpoints. Called by `__main__`; changes nothing anywhere.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.cloudwatch import CloudWatchMetrics
from psm_operator.adapters.cloudwatch_monitoring import CloudWatchMonitoring
from psm_operator.adapters.roles import RoleNotAssumable
from psm_operator.adapters.s3 import look_at
from psm_operator.adapters.s3_trouble import ObjectUrl, Search
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.adapters.trouble import (
    AWS_ERRORS,
    Trouble,
    code_of,
    denial_advice,
    is_known_region,
    trouble_of,
)
from psm_operator.api.conditions import Reason
from psm_operator.decide.monitoring import Owner, Place
from psm_operator.errors import Retryable, Stalled
from psm_operator.metric_polls import Account
from psm_operator.values import Approval, ArtifactState, GroupRef, MetricQuery, ModelPackage, ObjectRef, Snapshot

CHECKS: Final = ("region", "credentials", "role", "endpoint", "group", "package", "bucket", "key", "kms", "evaluation")
"""In order; metrics, and dashboards and alarms, come last, if asked for."""

OF_BUCKET: Final = {"region": "bucket", "endpoint": "bucket", "role": "bucket"}
"""What S3's complaints are about -> the check that fails: SageMaker's region, endpoint and role were good."""

PROBE: Final = MetricQuery("psm-operator", "preflight", "Sum", 60)
"""A metric that nobody writes: asking for it needs the right to ask, and nothing else."""


class Outcome(Enum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    """One check's outcome."""

    check: str
    outcome: Outcome
    text: str = ""

    def __str__(self) -> str:
        return f"{self.outcome.value:<8}{self.check:<12}{self.text}".rstrip()


class CheckFailedError(Exception):
    """A check failed.

    Attributes:
        check: which one; it may be an earlier one than was being made, since one call tells of several.
    """

    def __init__(self, check: str, text: str) -> None:
        super().__init__(text)
        self.check = check


def parser() -> argparse.ArgumentParser:
    """The command line of psm-operator: without a command it runs the operator."""
    top = argparse.ArgumentParser(prog="psm-operator", description="Serve PriceSensitivityModel resources.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    preflight = commands.add_parser("preflight", help="check what AWS lets the operator read of a model package group")
    preflight.add_argument("--group", required=True, help="spec.registry.modelPackageGroupName: a name or an ARN")
    preflight.add_argument("--region", required=True, help="spec.registry.region")
    preflight.add_argument("--role-arn", default="", help="spec.registry.roleARN")
    preflight.add_argument("--cloudwatch", action="store_true", help="check that metrics can be read, too")
    preflight.add_argument(
        "--dashboards",
        metavar="PREFIX",
        default="",
        help="check that dashboards and alarms called PREFIX-… can be looked at, too",
    )
    return top


async def run(options: argparse.Namespace, clients: AwsClients) -> int:
    """Make every check and print its line; returns the exit code."""
    group = GroupRef(options.group, options.region, options.role_arn)
    checks = Preflight(clients, group, with_cloudwatch=options.cloudwatch, dashboards=options.dashboards)
    lines = await checks.lines()
    for line in lines:
        print(line)  # noqa: T201  # a command's output
    return int(any(line.outcome is Outcome.FAILED for line in lines))


class Preflight:
    """The checks of one group."""

    def __init__(self, clients: AwsClients, group: GroupRef, *, with_cloudwatch: bool, dashboards: str = "") -> None:
        self._clients = clients
        self._group = group
        self._with_cloudwatch = with_cloudwatch
        self._dashboards = dashboards
        self._told: dict[str, str] = {}

    async def lines(self) -> list[Line]:
        """Every check's line, in order."""
        checks = [check for check in CHECKS if check != "role" or self._group.role_arn]
        try:
            await self._check()
        except CheckFailedError as failed:
            if failed.check not in checks:
                checks.insert(len([check for check in checks if check in self._told]), failed.check)
            return list(self._until(checks, failed))
        found = list(self._until(checks, None))
        found += [await self._cloudwatch()] if self._with_cloudwatch else []
        return found + ([await self._monitoring()] if self._dashboards else [])

    def _until(self, checks: list[str], failed: CheckFailedError | None) -> Iterator[Line]:
        is_over = False
        for check in checks:
            if failed is not None and check == failed.check:
                is_over = True
                yield Line(check, Outcome.FAILED, str(failed))
            elif is_over:
                yield Line(check, Outcome.SKIPPED)
            else:
                yield Line(check, Outcome.OK, self._told.get(check, ""))

    async def _check(self) -> None:
        self._told["region"] = self._region()
        self._told["credentials"] = await self._clients.call(self._identity)
        snapshot = await self._registry()
        self._told["role"] = f"{self._group.role_arn} can be assumed"
        self._told["endpoint"] = "SageMaker answers"
        self._told["group"] = f"{self._group.name} has {len(snapshot.summaries)} versions"
        package = self._package(snapshot)
        await self._clients.call(lambda: self._artifact(package))
        if package.evaluation_error:
            raise CheckFailedError("evaluation", package.evaluation_error)
        self._told["evaluation"] = f"metrics: {', '.join(sorted(package.metrics)) or 'none'}"

    def _region(self) -> str:
        known = "known" if is_known_region(self._group.region) else "not known"
        return f"{self._group.region} is {known} to this SDK"

    def _identity(self) -> str:
        """Who the operator is; without an answer from STS it goes on, for only a role needs that."""
        try:
            sts = self._clients.client("sts", self._group.region)
        except AWS_ERRORS as err:
            raise CheckFailedError("region", f"{err}; correct spec.registry.region") from err
        where = sts.meta.endpoint_url
        try:
            identity = sts.get_caller_identity()
        except AWS_ERRORS as err:
            if trouble_of(err) is Trouble.DENIED:
                text = f"refused at {where} ({code_of(err)}): {err}; {denial_advice(err, 'reading SageMaker and S3')}"
                raise CheckFailedError("credentials", text) from err
            return f"STS at {where} could not be asked whose they are ({code_of(err)})"
        return f"{identity['Arn']} in account {identity['Account']}"

    async def _registry(self) -> Snapshot:
        try:
            return await SageMakerRegistry(self._clients, clock=SystemClock()).read_group(self._group, frozenset(), 1)
        except RoleNotAssumable as err:
            raise CheckFailedError("role", str(err)) from err
        except (Retryable, Stalled) as err:
            is_away = err.reason in (Reason.REGISTRY_UNAVAILABLE, Reason.REGISTRY_THROTTLED)
            self._told["role"] = self._group.role_arn
            if is_away and not is_known_region(self._group.region):
                raise CheckFailedError("region", str(err)) from err
            raise CheckFailedError("endpoint" if is_away else "group", str(err)) from err

    def _package(self, snapshot: Snapshot) -> ModelPackage:
        approved = [row.version for row in snapshot.summaries if row.approval is Approval.APPROVED]
        if not approved:
            text = f"none of {len(snapshot.summaries)} versions of {self._group.name} is Approved; approve one"
            raise CheckFailedError("package", text)
        package = snapshot.packages[approved[0]]
        self._told["package"] = f"version {package.version} is the newest Approved one"
        return package

    def _artifact(self, package: ModelPackage) -> None:
        url = ObjectUrl.parse(package.model_data_url)
        if url is None:
            text = f"version {package.version} names {package.model_data_url!r}, which is not s3://bucket/key; register it again"
            raise CheckFailedError("package", text)
        client = self._clients.client("s3", self._group.region, self._group.role_arn)
        search = Search(client, url, self._group.region, "artifact", "register the model again")
        self._told["bucket"] = f"{url.bucket} in {search.place}"
        try:
            client.head_object(Bucket=url.bucket, Key=url.key, ChecksumMode="ENABLED")
            self._told["key"] = url.key
            client.get_object(Bucket=url.bucket, Key=url.key, Range="bytes=0-0")["Body"].close()
        except (*AWS_ERRORS, RoleNotAssumable) as err:
            complaint = search.complaint(err)
            raise CheckFailedError(OF_BUCKET.get(complaint.about, complaint.about), complaint.text) from err
        self._told["kms"] = "the object can be read"
        found = look_at(search, package.sha256)
        if found.state is not ArtifactState.PRESENT:
            raise CheckFailedError("digest", found.message)

    async def _cloudwatch(self) -> Line:
        account = Account(self._group.region, self._group.role_arn)
        read = await CloudWatchMetrics(self._clients, clock=SystemClock()).read(account, frozenset({PROBE}))
        error = read.by_query[PROBE].error
        return Line("cloudwatch", Outcome.FAILED if error else Outcome.OK, error or "metrics can be read")

    async def _monitoring(self) -> Line:
        """Looking needs no model; whether putting is allowed shows only when something is put."""
        owner = Owner(ObjectRef("preflight", "preflight"), "", self._dashboards)
        try:
            await CloudWatchMonitoring(self._clients, clock=SystemClock()).find(owner, Place(self._group.region))
        except Retryable as err:
            return Line("dashboards", Outcome.FAILED, str(err))
        return Line("dashboards", Outcome.OK, f"dashboards and alarms called {self._dashboards}-… can be looked at")
