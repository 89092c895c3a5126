"""Values: whose dashboard and alarms they are, how they are called, what is wanted and what was found."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from psm_operator.values import ObjectRef

FINALIZER: Final = "retail.mlops/cloudwatch"
"""On a model for as long as the operator may own something in AWS for it; the only finalizer there is (docs/adr/0023)."""

MANAGED_BY: Final = "psm-operator"
MANAGED_BY_TAG: Final = "ManagedBy"
OWNER_TAG: Final = "OwnerUid"
MODEL_TAG: Final = "Model"
"""Tags of every alarm, which no setting can take away."""

PREFIX_PATTERN: Final = "[a-z][a-z0-9-]{0,31}"
"""With a namespace of 63, a name of 53 and the longest suffix, the name of an alarm stays below its limit of 255."""

HASH_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class MonitoringDefaults:
    """What the operator's own settings say of CloudWatch.

    Attributes:
        prefix: begins every name, such as mlops-dev.
        region: where dashboards' metrics and alarms are; empty: the model's registry's region.
        cluster: the cluster's name in Container Insights; empty: no widget of it.
        tags: tags of every alarm.
    """

    prefix: str = "psm"
    region: str = ""
    cluster: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose dashboard and alarms: one model of one cluster."""

    ref: ObjectRef
    uid: str
    prefix: str

    @property
    def stem(self) -> str:
        """Begins every name.

        `a-b/c` and `a/b-c` would be called the same, hence the digits: sha256 of the model's name with its namespace.
        """
        digits = hashlib.sha256(str(self.ref).encode()).hexdigest()[:HASH_DIGITS]
        return f"{self.prefix}-{self.ref.namespace}-{self.ref.name}-{digits}"

    @property
    def dimension(self) -> str:
        """Value of the dimension that the model's pods give to their metrics."""
        return dimension(self.prefix, self.ref)

    @property
    def sign(self) -> str:
        """Stands in the dashboard, for want of tags that every SDK knows."""
        return f"{MANAGED_BY} owns this dashboard for the PriceSensitivityModel {self.ref} with uid {self.uid}."


def dimension(prefix: str, ref: ObjectRef) -> str:
    """Names a model among all that tell CloudWatch of themselves in an account."""
    return f"{prefix}/{ref.namespace}/{ref.name}"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in AWS: always with the operator's own credentials, since the metrics are of its own cluster."""

    region: str


Request = Mapping[str, Any]
"""Arguments of PutMetricAlarm, but for its tags."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be there.

    Attributes:
        alarms: in order of their names.
        dashboard: its body; None for none.
        topic: SNS topic that alarms tell; empty for none.
        tags: of every alarm.
    """

    owner: Owner
    place: Place
    alarms: tuple[Request, ...]
    dashboard: str | None
    topic: str
    tags: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Equal as long as the same is wanted."""
        everything = {**asdict(self.owner), "region": self.place.region, "topic": self.topic, "tags": dict(self.tags)}
        everything |= {"dashboard": self.dashboard, "alarms": [dict(alarm) for alarm in self.alarms]}
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FoundAlarm:
    """An alarm that exists under a name of ours."""

    name: str
    request: Request
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FoundDashboard:
    """A dashboard that exists under our name."""

    body: str


@dataclass(frozen=True, slots=True)
class Found:
    """What exists under names of ours, whoever made it."""

    alarms: tuple[FoundAlarm, ...] = ()
    dashboard: FoundDashboard | None = None
