"""What a pass needs from outside, bundled once by `__main__` and handed down."""

from dataclasses import dataclass, field

from psm_operator.decide.desired import PredictorDefaults
from psm_operator.decide.monitoring import MonitoringDefaults
from psm_operator.ports import Artifacts, Clock, Cluster, LiveMetrics, MonitoringKeeping, RegistryPolls, Telemetry
from psm_operator.values import Evidence, ObjectRef, Proof


@dataclass(frozen=True, slots=True)
class Deps:
    """The ports, the installation's defaults, and what is remembered between passes.

    Attributes:
        evidence: what several polls in a row said of each model; losing it only delays a rollback.
        proofs: how long each candidate was watched; losing it only delays a verdict.
    """

    cluster: Cluster
    polls: RegistryPolls
    artifacts: Artifacts
    live_metrics: LiveMetrics
    clock: Clock
    telemetry: Telemetry
    defaults: PredictorDefaults
    monitoring: MonitoringKeeping
    monitoring_defaults: MonitoringDefaults = field(default_factory=MonitoringDefaults)
    evidence: dict[ObjectRef, Evidence] = field(default_factory=dict)
    proofs: dict[ObjectRef, Proof] = field(default_factory=dict)
