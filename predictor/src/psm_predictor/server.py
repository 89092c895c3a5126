"""One worker: the HTTP server, the loading of the model, and an orderly end.

Called by `__main__` (one worker) or `workers` (several). Start: the socket answers at once, /readyz says 503 until the
model passed its self-test. SIGTERM: readiness off, requests answered through the drain, each with connection: close,
then the socket closes, what is under way is finished, exit 0.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
import uvloop

from psm_contract.environment import EXIT_SETTINGS, EXIT_UNREACHABLE, EXIT_UNSERVABLE
from psm_predictor import stop
from psm_predictor.answer import Answerer
from psm_predictor.app import PredictorApp
from psm_predictor.connection import Rules, close_late, protocol_class
from psm_predictor.counters import Seat
from psm_predictor.dialects import dialects
from psm_predictor.errors import UNREACHABLE, ArtifactError, SettingsError
from psm_predictor.guard import guard_of
from psm_predictor.hotpath import Answerers, HotRoute
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.live.live import BATCH, INLINE, Live
from psm_predictor.live.observer import LiveObserver
from psm_predictor.loading import in_daemon_thread, load_until_ready
from psm_predictor.model import Model
from psm_predictor.request import RequestSchemas, unknown_sources
from psm_predictor.requestlog import RequestLog, Spans
from psm_predictor.settings import Settings
from psm_predictor.telemetry import Recorder, Telemetry

_LOG: Final = logging.getLogger(__name__)
_MOST_TERMINATION_BYTES: Final = 4096  # what Kubernetes keeps
_LAST_SPANS_S: Final = 2.0  # for spans that wait to be sent when the process ends
EXIT_OK: Final = 0
"""The archive is missing or forbidden: somebody may put it there, or grant the role, and a restart helps."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which exits at once and with the signal's code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _TasksInFlight:
    """Counts uvicorn's request tasks: those that wait for the event loop too, not only the one that runs."""

    def __init__(self, tasks: set["asyncio.Task[None]"], loop: asyncio.AbstractEventLoop) -> None:
        self._tasks = tasks
        self._loop = loop

    def count(self) -> int:
        return len(self._tasks)

    def leave(self) -> None:
        task = asyncio.current_task(self._loop)  # to find the running one costs Python 3.11 a system call
        if task is not None:
            self._tasks.discard(task)


class Worker:
    """The parts of one serving process, wired together."""

    def __init__(self, settings: Settings, seat: Seat) -> None:
        server = settings.server
        self._settings = settings
        self._parent = seat.parent
        self._batch_recorder = Recorder(seat.block.row(server.workers + seat.number))
        self._recorder = Recorder(seat.block.row(seat.number))
        self._telemetry = Telemetry(seat.block, settings.package, workers=server.workers)
        self._live = Live(settings.live, settings.package, seat, workers=server.workers)
        self._lifecycle = Lifecycle()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        self._dialects = dialects(settings.package, settings.requests, server.root_path)
        self._guard = guard_of(settings.guard, server.root_path)
        self._log = RequestLog(settings.access_log, _spans(settings))
        self._hot = HotRoute(
            self._lifecycle,
            settings.requests,
            self._recorder,
            _TasksInFlight(tasks, asyncio.get_running_loop()),
            guard=self._guard,
            log=self._log,
        )
        self._app = PredictorApp(
            settings,
            self._lifecycle,
            self._telemetry,
            self._recorder,
            hot=self._hot,
            hot_paths=self._dialects.paths,
            live=self._live,
            guard=self._guard,
            log=self._log,
        )
        self._server = _Server(self._config())
        self._server.server_state.tasks = tasks

    def _config(self) -> uvicorn.Config:
        settings = self._settings
        rules = Rules(settings.connections, settings.requests.body_timeout_s, self._recorder.rejected)
        return uvicorn.Config(
            self._app,
            loop="uvloop",
            http=protocol_class(rules),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.server.keep_alive_s,
            timeout_graceful_shutdown=settings.server.shutdown_timeout_s,
            callback_notify=self._every_second,
            timeout_notify=0,
        )

    async def run(self, listener: socket.socket) -> int:
        """Serves until the process is told to stop; the exit code.

        Raises:
            ArtifactError: The model can never be served.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop_requested, False)
        loop.add_signal_handler(signal.SIGINT, self._stop_requested, True)
        if self._parent is not None:
            loop.add_reader(self._parent, self._parent_died)
        stop.let_through()
        serving = loop.create_task(self._server.serve([listener]), name="serving")
        loading = loop.create_task(self._load(), name="loading")
        stopping = loop.create_task(self._stop.wait(), name="stopping")
        counting = loop.create_task(self._live.run(), name="counting")
        try:
            await asyncio.wait({serving, loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
        finally:
            loading.cancel()
            stopping.cancel()
            counting.cancel()
            self._server.should_exit = True
            await serving
            await self._live.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(in_daemon_thread(self._log.close), _LAST_SPANS_S)
        if self._lifecycle.model is None and self._lifecycle.unreachable:
            report_failure(self._lifecycle.unreachable, self._settings.termination_log)
            return EXIT_UNREACHABLE  # whoever stops a pod that waits for the store must not take it for a bad model
        return EXIT_OK

    async def _every_second(self) -> None:
        """What uvicorn calls beside its own housekeeping."""
        close_late(self._server.server_state.connections, asyncio.get_running_loop().time())
        if self._guard is not None:
            self._guard.refresh()

    async def _load(self) -> None:
        settings = self._settings
        model = await load_until_ready(settings, self._lifecycle, self._recorder)
        schemas = RequestSchemas(model.manifest.features, settings.requests)
        self._telemetry.describe_model(model.manifest.classes, unknown_sources(model.manifest.features))
        self._live.model_loaded(model.manifest, self._telemetry.registry)
        self._hot.answerers = Answerers(
            inline=self._answerer(model, schemas, self._recorder, self._live.observer(INLINE)),
            batch=self._answerer(model, schemas, self._batch_recorder, self._live.observer(BATCH)),
        )
        self._lifecycle.loaded(model)
        seconds = time.time() - _process_start_s()
        self._recorder.loaded(seconds)
        self._recorder.ready(is_ready=True)
        package = settings.package
        _LOG.info(
            "ready",
            extra={
                "version": package.version,
                "arn": package.arn,
                "sha256": package.sha256,
                "engine": model.engine.name,
                "seconds": round(seconds, 3),
            },
        )

    def _answerer(self, model: Model, schemas: RequestSchemas, recorder: Recorder, observer: LiveObserver) -> Answerer:
        return Answerer(model, self._dialects.spoken, schemas, recorder, observer)

    def _stop_requested(self, at_once: bool) -> None:  # noqa: FBT001  # add_signal_handler passes positional arguments
        if at_once or self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _parent_died(self) -> None:
        if self._parent is not None:
            asyncio.get_running_loop().remove_reader(self._parent)
        self._stop_requested(True)

    async def _drain(self) -> None:
        was_ready = self._lifecycle.model is not None
        self._lifecycle.drain()
        self._recorder.ready(is_ready=False)
        _LOG.info("draining", extra={"seconds": self._settings.server.drain_s if was_ready else 0})
        if was_ready:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._settings.server.drain_s)


def serve(settings: Settings, listener: socket.socket, seat: Seat) -> int:
    """Runs one worker to its end; the exit code."""

    async def main() -> int:
        return await Worker(settings, seat).run(listener)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            code = runner.run(main())
        except ArtifactError as err:
            report_failure(str(err), settings.termination_log)
            code = EXIT_UNREACHABLE if err.reason in UNREACHABLE else EXIT_UNSERVABLE
        except SettingsError as err:
            report_failure(f"the environment is wrong: {err}", settings.termination_log)
            code = EXIT_SETTINGS
    _LOG.info("stopped", extra={"exit_code": code})
    return code


def _spans(settings: Settings) -> Spans | None:
    """Where spans go; None if they go nowhere.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    if settings.tracing == "off":
        return None
    try:
        from psm_predictor.tracing import OpenTelemetrySpans  # noqa: PLC0415  # an extra
    except ImportError as err:
        raise SettingsError(f"PSM_TRACING=otlp needs psm-predictor[otel]: {err}") from err
    return OpenTelemetrySpans(settings.package)


def report_failure(message: str, termination_log: Path) -> None:
    """Says why in one line of the log, and in the file that Kubernetes shows as the termination message."""
    _LOG.error(message)
    if not termination_log.is_file() or not os.access(termination_log, os.W_OK):
        return  # not in a pod
    termination_log.write_bytes(message.encode()[:_MOST_TERMINATION_BYTES])


def _process_start_s() -> float:
    """When this process started, seconds since the epoch; from /proc on Linux."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return time.time()
    return time.time() - uptime_s + ticks / os.sysconf("SC_CLK_TCK")
