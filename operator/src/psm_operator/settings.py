"""The operator's settings: the only reader of the environment, once, at the start.

Frozen and grouped; the unit is in the name. Variables begin with PSM_OPERATOR_; AWS's own (AWS_REGION,
AWS_ENDPOINT_URL, AWS_ROLE_ARN...) are read by boto3 itself.
"""

import json
import os
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from psm_operator.adapters.aws import AwsLimits
from psm_operator.decide.desired import PredictorDefaults
from psm_operator.decide.monitoring import MonitoringDefaults
from psm_operator.decide.monitoring.model import PREFIX_PATTERN
from psm_operator.election import LeaseTimes
from psm_operator.watchdog import Patience

PREFIX: Final = "PSM_OPERATOR_"
PREDICTOR_ENV_PREFIX: Final = "PSM_OPERATOR_PREDICTOR_ENV_"

DEFAULT_NAMESPACE: Final = "psm-system"
DEFAULT_LEASE: Final = "psm-operator"
DEFAULT_IMAGE: Final = "localhost/mlops/api-price-sensitivity:dev"

SERVICE_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Which cluster, and what of it.

    Attributes:
        kubeconfig: path of a kubeconfig file; None inside a pod.
        namespaces: whose models are looked after; empty for every namespace.
        sweep_interval_s: how often everything is listed anew. Watches miss what was deleted while they re-listed; ten
            minutes bounds for how long that matters, at eight list calls each.
    """

    kubeconfig: str | None = None
    namespaces: tuple[str, ...] = ()
    sweep_interval_s: float = 600.0


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """The Lease that decides who leads.

    Attributes:
        identity: unique to this process.
    """

    identity: str
    namespace: str = DEFAULT_NAMESPACE
    name: str = DEFAULT_LEASE
    times: LeaseTimes = field(default_factory=LeaseTimes)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How passes are worked on.

    Attributes:
        workers: passes at once; each waits on the API server most of its time.
        pass_timeout_s: cuts off a pass that hangs; four times the request timeout.
    """

    workers: int = 16
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 300.0
    pass_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class RegistryEventsSettings:
    """What tells of changes in the registry before the next poll.

    Attributes:
        queue_url: URL of the SQS queue that EventBridge feeds; empty: polls alone.
    """

    queue_url: str = ""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where probes and metrics are served."""

    host: str = "0.0.0.0"  # noqa: S104  # the kubelet and Prometheus reach a pod from outside
    health_port: int = 8080
    metrics_port: int = 9090


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how: style is json or text."""

    level: str = "INFO"
    style: str = "json"


@dataclass(frozen=True, slots=True)
class ShutdownSettings:
    """How long the end may take.

    Attributes:
        drain_s: for passes under way.
        total_s: for everything; less than a pod's 30 s grace.
    """

    drain_s: float = 12.0
    total_s: float = 25.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set."""

    lease: LeaseSettings
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    aws: AwsLimits = field(default_factory=AwsLimits)
    registry_events: RegistryEventsSettings = field(default_factory=RegistryEventsSettings)
    monitoring: MonitoringDefaults = field(default_factory=MonitoringDefaults)
    predictor: PredictorDefaults = field(default_factory=lambda: PredictorDefaults(image=DEFAULT_IMAGE))
    server: ServerSettings = field(default_factory=ServerSettings)
    log: LogSettings = field(default_factory=LogSettings)
    patience: Patience = field(default_factory=Patience)
    shutdown: ShutdownSettings = field(default_factory=ShutdownSettings)

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read every setting.

        Raises:
            SettingsError: a variable cannot be understood; the message names it, its value and what is expected.
        """
        if environment is None:
            environment = os.environ  # noqa: TID251  # the only reader of the environment
        read = Reader(environment)
        prefix = read.matching("CLOUDWATCH_PREFIX", "psm", PREFIX_PATTERN)
        settings = cls(
            lease=LeaseSettings(
                identity=f"{read.text('POD_NAME', socket.gethostname())}_{uuid.uuid4().hex[:8]}",
                namespace=read.text("LEASE_NAMESPACE", _own_namespace()),
                name=read.text("LEASE_NAME", DEFAULT_LEASE),
            ),
            cluster=ClusterSettings(
                kubeconfig=environment.get("KUBECONFIG") or None,
                namespaces=read.names("NAMESPACES"),
                sweep_interval_s=read.number("SWEEP_INTERVAL_S", 600.0),
            ),
            queue=QueueSettings(workers=int(read.number("WORKERS", 16))),
            aws=AwsLimits(threads=int(read.number("AWS_THREADS", 8))),
            registry_events=RegistryEventsSettings(queue_url=read.url("REGISTRY_EVENTS_QUEUE_URL")),
            monitoring=MonitoringDefaults(
                prefix=prefix,
                region=read.text("CLOUDWATCH_REGION", environment.get("AWS_REGION", "")),
                cluster=read.text("CLOUDWATCH_CLUSTER", ""),
                tags=MappingProxyType(read.texts("CLOUDWATCH_TAGS")),
            ),
            predictor=PredictorDefaults(
                image=read.text("PREDICTOR_IMAGE", DEFAULT_IMAGE),
                env=read.predictor_env(),
                metrics_prefix=prefix,
                image_pull_policy=read.choice("PREDICTOR_PULL_POLICY", ("IfNotPresent", "Always", "Never")),
            ),
            server=ServerSettings(
                health_port=int(read.number("HEALTH_PORT", 8080)), metrics_port=int(read.number("METRICS_PORT", 9090))
            ),
            log=LogSettings(
                level=read.choice("LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
                style=read.choice("LOG_STYLE", ("json", "text")),
            ),
        )
        read.refuse_unknown()
        return settings


class SettingsError(Exception):
    """A variable of the environment cannot be understood."""


class Reader:
    """Reads variables by their name without prefix, and knows which it read."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._known: set[str] = set()

    def text(self, name: str, default: str) -> str:
        """A text; empty counts as unset."""
        self._known.add(PREFIX + name)
        return self._environment.get(PREFIX + name) or default

    def url(self, name: str) -> str:
        """An address on the web, or empty."""
        text = self.text(name, "")
        if text and not text.startswith(("https://", "http://")):
            raise SettingsError(f"{PREFIX}{name} is {text!r}; a URL such as https://sqs.… is expected")
        return text

    def matching(self, name: str, default: str, pattern: str) -> str:
        """A text that a regular expression matches as a whole."""
        text = self.text(name, default)
        if re.fullmatch(pattern, text) is None:
            raise SettingsError(f"{PREFIX}{name} is {text!r}; a text that matches {pattern} is expected")
        return text

    def texts(self, name: str) -> dict[str, str]:
        """A JSON object of texts."""
        text = self.text(name, "{}")
        try:
            pairs = json.loads(text)
        except ValueError:
            pairs = None
        if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
            raise SettingsError(f"{PREFIX}{name} is {text!r}; a JSON object of texts is expected")
        return pairs

    def names(self, name: str) -> tuple[str, ...]:
        """Names separated by commas."""
        return tuple(part.strip() for part in self.text(name, "").split(",") if part.strip())

    def number(self, name: str, default: float) -> float:
        """A number above zero; ports may be 0, which means any."""
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if value < 0 or (value == 0 and not name.endswith("_PORT")):
            raise SettingsError(f"{PREFIX}{name} is {text!r}; a number above 0 is expected")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of a few words; the first is the default."""
        text = self.text(name, allowed[0])
        if text not in allowed:
            raise SettingsError(f"{PREFIX}{name} is {text!r}; one of {', '.join(allowed)} is expected")
        return text

    def predictor_env(self) -> Mapping[str, str]:
        """PSM_OPERATOR_PREDICTOR_ENV as a JSON object, and PSM_OPERATOR_PREDICTOR_ENV_<NAME>, which wins."""
        pairs = self.texts("PREDICTOR_ENV")
        single = {name: value for name, value in self._environment.items() if name.startswith(PREDICTOR_ENV_PREFIX)}
        self._known |= single.keys()
        return MappingProxyType(pairs | {name.removeprefix(PREDICTOR_ENV_PREFIX): v for name, v in single.items()})

    def refuse_unknown(self) -> None:
        """A mistyped variable must not be ignored in silence."""
        unknown = sorted(name for name in self._environment if name.startswith(PREFIX) and name not in self._known)
        if unknown:
            raise SettingsError(f"unknown variables {', '.join(unknown)}; known are {', '.join(sorted(self._known))}")


def _own_namespace() -> str:
    """The pod's namespace; outside a pod the one the chart installs into by default."""
    if SERVICE_ACCOUNT_NAMESPACE.is_file():
        return SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
    return DEFAULT_NAMESPACE
