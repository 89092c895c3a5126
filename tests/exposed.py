"""Everything that an operator and a predictor expose, each metric in use: what rules, dashboards and pages may name."""

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from timers_by_hand import HandTimer

from psm_contract.drift import LEAST_BASKETS, Drift
from psm_contract.manifest import Feature, Histogram, Reference
from psm_contract.schema import CLASSES
from psm_operator.adapters.kinds import CHILDREN, LEASE, MODEL
from psm_operator.adapters.memory import MemoryClock, MemoryRegistry
from psm_operator.adapters.watch_cache import WatchCache
from psm_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from psm_operator.api.spec import ModelSpec
from psm_operator.api.status import MetricValue, ModelStatus, Phase, Rejection, Rollback, Served
from psm_operator.gauges import serve_state, serve_watches
from psm_operator.polls import SharedPolls
from psm_operator.queue import Backoff, PassResult, WorkQueue
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import Evidence, GroupRef, ObjectRef, Observation, Plan, RegistryUnknown
from psm_operator.watchdog import Patience, Watchdog
from psm_predictor.counters import CounterBlock
from psm_predictor.live import layout
from psm_predictor.live.exposition import LiveCollector
from psm_predictor.settings import PackageRef
from psm_predictor.telemetry import PREDICT, Recorder, Telemetry

REF = ObjectRef("mlops", "uk-grocery")
GROUP = GroupRef("price-sensitivity", "ap-southeast-1", "arn:aws:iam::123456789012:role/reader")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
REGISTRY = {"modelPackageGroupName": GROUP.name, "region": GROUP.region}


OF_A_POD = frozenset({"name", "version", "role"})
"""Labels that the chart's PodMonitor adds to the series of predictors."""


class NoLease:
    """A lease that never changed hands."""

    transitions = 0


def operator() -> PrometheusTelemetry:
    """Telemetry wired as `__main__` does it, with one model and one of each thing that happens."""
    telemetry = PrometheusTelemetry(version="1.2.3")
    timer = HandTimer()

    async def work(_: ObjectRef) -> PassResult:
        raise NotImplementedError

    queue = WorkQueue(work, timer=timer, backoff=Backoff(lambda: 1.0), metrics=telemetry)
    polls = SharedPolls(MemoryRegistry(MemoryClock()), timer=timer, metrics=telemetry, on_poll=lambda _: None)
    watchdog = Watchdog(expected=(), running=list, queue=queue, timer=timer, patience=Patience())
    serve_state(telemetry, queue, polls, NoLease(), WatchCache())
    kinds = [resource.kind for resource in (MODEL, *CHILDREN, LEASE)]
    serve_watches(telemetry, watchdog, {kind: frozenset({f"watcher for {kind}"}) for kind in kinds})
    queue.add(REF)
    telemetry.queue_waited(0.1)
    telemetry.queue_retried(Reason.REGISTRY_THROTTLED.value)
    telemetry.pass_finished("success", 0.02)
    telemetry.aws_called("sagemaker", "ListModelPackages", "throttled", 0.3, retries=2)
    telemetry.polled(0.2)
    telemetry.registry_unknown(GROUP, 1.5)
    telemetry.leading(is_leader=True)
    show_model(telemetry)
    return telemetry


def show_model(telemetry: PrometheusTelemetry) -> None:
    """A model that went back from version 3 to 2, with every optional part of its status."""
    served = Served(
        version=2,
        arn="arn/2",
        model_data_url="s3://a/b",
        metrics=(MetricValue(name="accuracy", value="0.78", verdict="Pass"),),
    )
    rejection = Rejection(version=3, reason=Reason.METRIC_REGRESSION, message="", at=NOW, fingerprint="")
    rollback = Rollback(
        id="3-2", from_=3, to=served, reason=Reason.METRIC_REGRESSION, message="", started_at=NOW + timedelta(hours=1)
    )
    ready = Condition(
        type=ConditionType.READY,
        status=ConditionStatus.TRUE,
        reason=Reason.SERVING,
        message="",
        observed_generation=1,
        last_transition_time=NOW,
    )
    status = ModelStatus(
        phase=Phase.READY, current=served, rejected=(rejection,), rollback=rollback, conditions=(ready,)
    )
    seen = Observation(
        ref=REF,
        uid="uid",
        generation=1,
        spec=ModelSpec.model_validate({"registry": REGISTRY}),
        status=ModelStatus(),
        registry=RegistryUnknown(Reason.NOT_CHECKED, ""),
        evidence=Evidence(),
        artifacts={},
        serving=None,
        candidate=None,
        children={},
        now=NOW,
    )
    telemetry.noticed(seen)
    telemetry.observed(seen, Plan(release=status, actions=()))


def predictor() -> bytes:
    """What a predictor exposes that answered enough baskets for drift and got a label."""
    block = CounterBlock(2)
    telemetry = Telemetry(block, PackageRef("file:///x", "ab" * 32, "arn:x", 2), workers=1)
    telemetry.describe_model(CLASSES, ("PROD_CODE",))
    spend = Feature(name="spend", kind="number", description="money")
    thirds = Histogram(shares=(0.25, 0.25, 0.5))
    reference = Reference(baskets=1000, features=(Histogram(edges=(1.0,), shares=(0.5, 0.5)),), predictions=thirds)
    drift = Drift((spend,), reference)
    row = block.row(0)
    Recorder(row).request(PREDICT, 200, 0.001)
    baskets = np.full((LEAST_BASKETS, 1), 0.5, dtype=np.float32)
    counts = drift.count(baskets, np.zeros(LEAST_BASKETS, dtype=np.int64))
    row[layout.BINS : layout.BINS + drift.bins] = counts.astype(np.float64).data
    row[layout.CONFUSION] = 1
    telemetry.registry.register(LiveCollector(block, drift, CLASSES))
    return generate_latest(telemetry.registry)


@functools.cache
def labels_by_sample() -> Mapping[str, frozenset[str]]:
    """Every sample's name, as queries name it -> its labels, those that a scrape of predictors adds included."""
    found: dict[str, frozenset[str]] = {}
    for exposition, added in ((operator().exposition(), frozenset[str]()), (predictor(), OF_A_POD)):
        for family in text_string_to_metric_families(exposition.decode()):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, frozenset()) | sample.labels.keys() | added
    return found


@functools.cache
def families() -> frozenset[str]:
    """Names of our own metrics, as the README lists them: `_total` and `_info` included, `_bucket` and the like not."""
    lines = operator().exposition().decode().splitlines()
    return frozenset(line.split()[2] for line in lines if line.startswith("# TYPE psm_"))
