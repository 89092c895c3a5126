"""`python -m psm_operator`: settings -> adapters -> runtime, or a command beside it. The only composition root."""

import asyncio
import logging
import os
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from importlib.metadata import version

import uvloop

from psm_operator import preflight
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.cloudwatch import CloudWatchMetrics
from psm_operator.adapters.cloudwatch_monitoring import CloudWatchMonitoring
from psm_operator.adapters.event_recorder import EventRecorder
from psm_operator.adapters.kube_api import KubeApi
from psm_operator.adapters.kubernetes import KubernetesCluster
from psm_operator.adapters.s3 import S3Artifacts
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.adapters.sqs import SqsQueue
from psm_operator.adapters.watch_cache import WatchCache
from psm_operator.allocator import keep_little
from psm_operator.deps import Deps
from psm_operator.election import Election
from psm_operator.errors import OperatorError
from psm_operator.gauges import serve_state, serve_watches
from psm_operator.handlers import WATCHED, EventSink, operator_registry, operator_settings, watcher_name
from psm_operator.logs import set_up_logging
from psm_operator.metric_polls import SharedMetricPolls
from psm_operator.monitoring import MonitoringKeeper
from psm_operator.polls import SharedPolls
from psm_operator.ports import Clock
from psm_operator.queue import Backoff, Uncounted, WorkQueue
from psm_operator.reconcile import Result, reconcile
from psm_operator.registry_events import BACKOFF_CAP_S, BACKOFF_S, RegistryEvents
from psm_operator.runtime import Parts, Runtime, watched_namespaces
from psm_operator.settings import Settings, SettingsError
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.timers import Timer
from psm_operator.values import ObjectRef
from psm_operator.watchdog import Watchdog

log = logging.getLogger(__name__)

TOGETHER_S = 0.2
"""Changes of one model's children within this time are looked at together: a rollout is a dozen writes."""

MONITORING_THREADS = 2
"""Calls about dashboards and alarms at once: nobody waits for them, and CloudWatch allows a few a second."""

LINGER_S = 2.0
"""For threads that are still in a call to AWS, once everything else has ended well."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the operator, or a command beside it, and exit with its code; without arguments, those of the process."""
    options = preflight.parser().parse_args(arguments)
    if options.command == "preflight":
        sys.exit(asyncio.run(preflight.run(options, AwsClients(AwsLimits(attempts=2)))))
    try:
        settings = Settings.read()
    except SettingsError as err:
        sys.exit(f"psm-operator: {err}")
    set_up_logging(settings.log.level, settings.log.style)
    keep_little()
    try:
        sys.exit(uvloop.run(run(settings)))
    except OperatorError as err:
        sys.exit(f"psm-operator: {err}")


async def run(settings: Settings) -> int:
    """Compose and run one operator; returns the exit code."""
    api = await KubeApi.connect(settings.cluster.kubeconfig)
    clients = AwsClients(settings.aws)
    runtime = compose(settings, api, clients)
    runtime.on_end = lambda: _end_at_the_latest(settings.shutdown.total_s, 1)
    try:
        code = await runtime.run()
    finally:
        clients.close()
        await api.close()
    _end_at_the_latest(LINGER_S, code)
    return code


def compose(settings: Settings, api: KubeApi, clients: AwsClients) -> Runtime:
    """Put the parts together; needs a running event loop."""
    timer, clock = asyncio.get_running_loop(), SystemClock()
    telemetry = PrometheusTelemetry(version=version("psm-operator"))
    clients.measure(telemetry)
    identity, cache = settings.lease.identity, WatchCache()
    recorder = EventRecorder(api, identity=identity, clock=clock, timer=timer, metrics=telemetry)

    def fence() -> None:
        election.confirm()

    cluster = KubernetesCluster(api, cache, recorder, fence)

    async def work(ref: ObjectRef) -> Result:
        return await reconcile(ref, deps)

    queue = _work_queue(settings, work, telemetry, timer)

    def on_poll(refs: frozenset[ObjectRef]) -> None:
        for ref in sorted(refs):
            queue.add(ref)

    keeper, watching = _monitoring(settings, clients, cluster, on_news=queue.add, fence=fence)
    polls = SharedPolls(SageMakerRegistry(clients, clock=clock), timer=timer, metrics=telemetry, on_poll=on_poll)
    deps = Deps(
        cluster=cluster,
        polls=polls,
        artifacts=S3Artifacts(clients, timer=timer),
        live_metrics=SharedMetricPolls(CloudWatchMetrics(clients, clock=clock), timer=timer, on_poll=on_poll),
        clock=clock,
        telemetry=telemetry,
        defaults=settings.predictor,
        monitoring=keeper,
        monitoring_defaults=settings.monitoring,
    )
    watchdog = _watchdog(settings, queue, timer)
    sink = _event_sink(settings, api, cache, watchdog, queue)
    election = _election(settings, api, watchdog, clock, timer)
    serve_state(telemetry, queue, polls, election, cache)
    serve_watches(telemetry, watchdog, _watchers(settings))
    kopf_settings = operator_settings(settings.lease.name)
    parts = Parts(
        settings, cluster, queue, polls, election, watchdog, telemetry, operator_registry(sink), kopf_settings
    )
    events = _registry_events(settings, polls, telemetry, timer)
    return Runtime(parts, while_leading=lambda: _beside(watching, events))


def _event_sink(settings: Settings, api: KubeApi, cache: WatchCache, watchdog: Watchdog, queue: WorkQueue) -> EventSink:
    namespaces = settings.cluster.namespaces
    return EventSink(
        api,
        cache,
        watchdog,
        add=queue.add,
        add_soon=lambda ref: queue.add_after(ref, TOGETHER_S),
        is_ours=lambda name: not namespaces or name in namespaces,
    )


async def _beside(watching: WorkQueue, events: Callable[[], Coroutine[None, None, None]] | None) -> None:
    """What runs beside the passes while this process leads."""
    watching.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(watching.run(), name="monitoring queue")
        if events is not None:
            group.create_task(events(), name="registry events")


def _monitoring(
    settings: Settings,
    clients: AwsClients,
    cluster: KubernetesCluster,
    *,
    on_news: Callable[[ObjectRef], None],
    fence: Callable[[], None],
) -> tuple[MonitoringKeeper, WorkQueue]:
    """Who keeps dashboards and alarms, and its queue: a CloudWatch that hangs holds up nothing else."""
    aws = CloudWatchMonitoring(clients.beside(MONITORING_THREADS), clock=SystemClock())

    def wake(ref: ObjectRef) -> None:
        queue.add(ref)

    keeper = MonitoringKeeper(aws, cluster, settings.monitoring, wake=wake, on_news=on_news, fence=fence)
    queue = WorkQueue(
        keeper.keep,
        timer=asyncio.get_running_loop(),
        backoff=Backoff(random.random, settings.queue.backoff_base_s, settings.queue.backoff_cap_s),
        metrics=Uncounted(),
        workers=MONITORING_THREADS,
        pass_timeout_s=settings.queue.pass_timeout_s,
    )
    return keeper, queue


def _work_queue(
    settings: Settings, work: Callable[[ObjectRef], Awaitable[Result]], telemetry: PrometheusTelemetry, timer: Timer
) -> WorkQueue:
    return WorkQueue(
        work,
        timer=timer,
        backoff=Backoff(random.random, settings.queue.backoff_base_s, settings.queue.backoff_cap_s),
        metrics=telemetry,
        workers=settings.queue.workers,
        pass_timeout_s=settings.queue.pass_timeout_s,
    )


def _registry_events(
    settings: Settings, polls: SharedPolls, telemetry: PrometheusTelemetry, timer: Timer
) -> Callable[[], Coroutine[None, None, None]] | None:
    """What consumes registry events; None where no queue is set."""
    if not settings.registry_events.queue_url:
        return None
    queue = SqsQueue(settings.registry_events.queue_url, settings.aws)
    queue.clients.measure(telemetry)
    backoff = Backoff(random.random, BACKOFF_S, BACKOFF_CAP_S)
    return RegistryEvents(queue, polls, timer=timer, backoff=backoff, metrics=telemetry).run


def _watchers(settings: Settings) -> dict[str, frozenset[str]]:
    """Kind -> names of kopf's watcher tasks, one per namespace."""
    namespaces = watched_namespaces(settings) or (None,)
    return {resource.kind: frozenset(watcher_name(resource, name) for name in namespaces) for resource in WATCHED}


def _watchdog(settings: Settings, queue: WorkQueue, loop: asyncio.AbstractEventLoop) -> Watchdog:
    """A scrape asks it from a thread, hence the loop by name."""
    return Watchdog(
        expected=frozenset().union(*_watchers(settings).values()),
        running=lambda: [task.get_name() for task in asyncio.all_tasks(loop)],
        queue=queue,
        timer=loop,
        patience=settings.patience,
    )


def _election(settings: Settings, api: KubeApi, watchdog: Watchdog, clock: Clock, timer: Timer) -> Election:
    return Election(
        api,
        namespace=settings.lease.namespace,
        name=settings.lease.name,
        identity=settings.lease.identity,
        times=settings.lease.times,
        clock=clock,
        timer=timer,
        draw=random.random,
        on_renewal=watchdog.renewed,
    )


def _end_at_the_latest(within_s: float, code: int) -> None:
    """A call to AWS that hangs in its thread must not keep the process: Python would wait for it."""
    timer = threading.Timer(within_s, os._exit, (code,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()
