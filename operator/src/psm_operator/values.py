"""Frozen values passed between the phases of a reconcile.

They carry facts, not behaviour: `observe` fills an `Observation`, `decide` turns it into a `Plan`, `apply` and `report` carry the plan
out. Nothing here does I/O or reads a clock.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from psm_operator.api.conditions import Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import ModelStatus

Manifest = dict[str, Any]
"""One Kubernetes object as JSON."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one PriceSensitivityModel."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class GroupRef:
    """Names one SageMaker model package group; what registry polls are shared by.

    Attributes:
        role_arn: IAM role assumed for every AWS call about this group; empty for the operator's own credentials.
    """

    name: str
    region: str
    role_arn: str = ""

    def __str__(self) -> str:
        return f"{self.region}/{self.name}"


class Approval(StrEnum):
    """SageMaker's ModelApprovalStatus."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    PENDING = "PendingManualApproval"


class DataValidation(StrEnum):
    """What the package says of its data validation; UNKNOWN when it says nothing."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """One row of ListModelPackages; `created_at` in whole seconds, UTC."""

    version: int
    arn: str
    approval: Approval
    created_at: datetime | None = None

    @property
    def sha256(self) -> str:
        """Always empty: a list does not say it."""
        return ""


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """One DescribeModelPackage, in our words.

    Attributes:
        sha256: hex digest of model.tar.gz; empty when the package does not say.
        metrics: metric name -> value as written; the newest truth: `psm.live.*` over the evaluation JSON in S3 over `psm.*`.
            Unparsable values stay text.
        live_metrics: names that `psm.live.*` gives.
        evaluation_error: why the evaluation JSON that the package names could not be read; empty if it could or names none.
        approval_note: ApprovalDescription; a changed note on an Approved package is a re-approval.
        created_at: CreationTime in whole seconds, UTC.
    """

    version: int
    arn: str
    approval: Approval
    model_data_url: str
    sha256: str
    modified_at: datetime
    metrics: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    data_validation: DataValidation = DataValidation.UNKNOWN
    approval_note: str = ""
    live_metrics: frozenset[str] = frozenset()
    evaluation_error: str = ""
    created_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """Identifies one approval of one artifact: sha256 over digest, url and approval note, 16 hex digits.

        LastModifiedTime is left out on purpose: every metadata edit moves it (docs/adr/0005).
        """
        text = f"{self.sha256}\0{self.model_data_url}\0{self.approval_note}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One successful poll of a group.

    Attributes:
        number: counts polls; two observations of one number are one piece of evidence.
        summaries: every version of the group, newest first.
        packages: described versions: the newest approved ones and those somebody asked for.
    """

    number: int
    read_at: datetime
    summaries: tuple[PackageSummary, ...]
    packages: Mapping[int, ModelPackage]


@dataclass(frozen=True, slots=True)
class RegistryUnknown:
    """The registry could not be read: nothing may be concluded from it."""

    reason: Reason
    message: str


RegistryView = Snapshot | RegistryUnknown


def is_same_content(one: RegistryView, other: RegistryView) -> bool:
    """Whether two reads of a group say the same, whenever they were made."""
    if isinstance(one, Snapshot) and isinstance(other, Snapshot):
        return (one.summaries, one.packages) == (other.summaries, other.packages)
    return one == other


@dataclass(frozen=True, slots=True, order=True)
class MetricQuery:
    """One CloudWatch metric and how it is summed up.

    Attributes:
        statistic: as in GetMetricData, such as Average or p95.
        period_s: seconds per datapoint.
        dimensions: (name, value), sorted by name.
    """

    namespace: str
    metric_name: str
    statistic: str
    period_s: int
    dimensions: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        where = "".join(f", {name}={value}" for name, value in self.dimensions)
        return f"{self.namespace}/{self.metric_name} ({self.statistic}{where})"


@dataclass(frozen=True, slots=True)
class MetricReading:
    """The newest complete datapoint of a query.

    Attributes:
        value: None when there is no datapoint, or none could be read.
        at: start of the datapoint's period.
        error: why it could not be read; empty if it could.
    """

    value: Decimal | None
    at: datetime | None
    error: str = ""


class ArtifactState(StrEnum):
    """What S3 says of an artifact. UNKNOWN: could not be asked."""

    PRESENT = "present"
    MISSING = "missing"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One look at an artifact; `message` says where and why when it is not PRESENT."""

    state: ArtifactState
    message: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a Deployment of ours says of itself.

    Attributes:
        version: the model version stamped on its pod template.
        complete: observed, every wanted replica updated and available, none left of an older template.
        deadline_exceeded: its Progressing condition is False with ProgressDeadlineExceeded.
        available: its Available condition is True: enough replicas answer.
        failure: what its pods, or the making of them, last complained of; empty if nothing.
        failure_is_final: the predictor itself said that its artifact can never be served.
        is_tried: a pod that does not answer was placed and its predictor runs, or ended by itself.
        answering: versions of the pods that are ready, ascending; None if nobody looked at them.
        arn, sha256: which package its pod template serves; empty if it does not say.
    """

    version: int | None
    replicas: int
    ready_replicas: int
    complete: bool
    available: bool = False
    deadline_exceeded: bool = False
    failure: str = ""
    failure_is_final: bool = False
    is_tried: bool = False
    answering: tuple[int, ...] | None = None
    arn: str = ""
    sha256: str = ""

    @property
    def created_at(self) -> None:
        """Never known: a pod template does not say when its package was made."""
        return


@dataclass(frozen=True, slots=True)
class PodFailure:
    """What a pod last complained of.

    Attributes:
        is_final: the predictor ended with its exit code for an artifact that can never be served.
    """

    message: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class PodReport:
    """What is seen of a Deployment's pods.

    Attributes:
        failure: the gravest complaint of the pods of the version asked about; None if all is well.
        is_tried: one of them that is not ready was placed and its predictor runs, or ended by itself: the rest is its own doing.
        answering: versions of all pods that are ready, ascending.
    """

    failure: PodFailure | None = None
    is_tried: bool = False
    answering: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """How long this process has watched a candidate being tried; kept in memory, so a restart begins anew.

    Attributes:
        about: the version, when it was asked for, and the generation of the spec.
        watched: time between two looks that both saw it tried.
        seen_at: the last look, if that saw it tried.
    """

    about: tuple[int, datetime, int] | None = None
    watched: timedelta = timedelta(0)
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What several polls in a row said of the version being served; kept in memory, so a restart only delays.

    Attributes:
        poll: number of the last poll counted.
        version, arn, sha256, created_at: the package the counts are about; None and empty if about none.
        revoked_since, revoked_until: first and last of an unbroken run of reads in which its approval was withdrawn.
        invalid_data_reads: reads in a row that said its data validation failed.
        metric_failures: metric name -> Fail verdicts in a row.
        metric_errors: metric name -> reads in a row that failed.
        datapoints: metric name -> the last datapoint of CloudWatch that was counted.
    """

    poll: int = 0
    version: int | None = None
    revoked_since: datetime | None = None
    revoked_until: datetime | None = None
    invalid_data_reads: int = 0
    metric_failures: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    metric_errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    datapoints: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    arn: str = ""
    sha256: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MonitoringView:
    """How the last look at a model's dashboard and alarms ended.

    Attributes:
        is_ready: everything is as it should be.
    """

    is_ready: bool
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything `decide` may know.

    Attributes:
        children: live child objects we own, by (kind, name).
        serving, candidate: the two Deployments' truth; None when absent.
        artifacts: version -> artifact, for every version in play.
        readings: what CloudWatch last said to each query of the spec; absent if it was not asked yet.
        watched: how long the candidate was watched being tried.
        monitoring: how the last look at its dashboard and alarms ended; None if nobody looked since this process began.
        is_guarded: something in AWS may be its own: the finalizer is on it.
    """

    ref: ObjectRef
    uid: str
    generation: int
    spec: ModelSpec
    status: ModelStatus
    registry: RegistryView
    evidence: Evidence
    artifacts: Mapping[int, Artifact]
    serving: Workload | None
    candidate: Workload | None
    children: Mapping[tuple[str, str], Manifest]
    now: datetime
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    resource_version: str = ""
    readings: Mapping[MetricQuery, MetricReading] = field(default_factory=lambda: MappingProxyType({}))
    monitoring: MonitoringView | None = None
    is_guarded: bool = False
    watched: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class ServeTarget:
    """What a Deployment is to run: enough to build its manifest without asking anyone."""

    version: int
    arn: str
    model_data_url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of one manifest, and why.

    Attributes:
        manifest: bears the resourceVersion of the live object, if there is one: a stale plan must not undo a newer one.
    """

    manifest: Manifest
    reason: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletion of one child we own, and why; `uid` guards against deleting a successor."""

    api_version: str
    kind: str
    name: str
    uid: str
    reason: str


Action = Apply | Delete


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event to record once per `key`."""

    type: str
    reason: Reason
    message: str
    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about an observation.

    Attributes:
        release: the whole status as decided, conditions included.
        actions: what to write to children, in order.
        requeue_after_s: when time alone would change the decision; None if never.
        refresh_registry_after_s: ask for an early poll, to confirm what one read said.
        needs_every_read: another read of the registry may change the decision even if it says the same again.
    """

    release: ModelStatus
    actions: tuple[Action, ...]
    requeue_after_s: float | None = None
    refresh_registry_after_s: float | None = None
    needs_every_read: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """One metric of one version, judged.

    Attributes:
        at: the datapoint judged, if the value was measured and not registered.
    """

    metric: str
    outcome: "Outcome"
    value: Decimal | None
    message: str
    at: datetime | None = None


class Outcome(StrEnum):
    """Missing is not bad: only FAIL counts against a version, only PASS for it."""

    PASS = "Pass"  # noqa: S105  # a verdict, not a password
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"
