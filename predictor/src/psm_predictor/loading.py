"""Gets the model while the server already answers /healthz: fetch -> verify -> load, repeated while the store is away."""

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from psm_predictor.artifact.fetch import fetch
from psm_predictor.artifact.verify import verify
from psm_predictor.errors import ArtifactUnavailable
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.model import Model
from psm_predictor.settings import Settings
from psm_predictor.telemetry import Recorder

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_FIRST_DELAY_S: Final = 0.5
_LONGEST_DELAY_S: Final = 15.0  # a pod should notice within seconds that the store is back


def load_model(settings: Settings) -> Model:
    """The three steps. Blocking.

    Raises:
        ArtifactError: The model can never be served.
        ArtifactUnavailable: It cannot be fetched just now.
    """
    # what the model needs is imported here in the thread, after the socket is open
    from psm_predictor.artifact.load import load  # noqa: PLC0415

    archive = settings.archive
    fetched = fetch(settings.package, cache_dir=settings.cache_dir, limit_bytes=archive.packed_bytes)
    verified = verify(fetched, archive, keep_joblib=settings.engine == "joblib")
    return load(verified, settings.engine)


async def load_until_ready(settings: Settings, lifecycle: Lifecycle, recorder: Recorder) -> Model:
    """Loads the model, waiting for a store that does not answer.

    Raises:
        ArtifactError: The model can never be served.
    """
    delay_s = _FIRST_DELAY_S
    while True:
        try:
            return await in_daemon_thread(partial(load_model, settings))
        except ArtifactUnavailable as err:
            recorder.load_failed()
            lifecycle.waiting_for = lifecycle.unreachable = str(err)
            pause_s = delay_s * random.uniform(0.8, 1.2)  # noqa: S311  # spreads pods, guards nothing
            _LOG.warning("the model cannot be fetched yet", extra={"error": str(err), "next_try_s": round(pause_s, 1)})
        await asyncio.sleep(pause_s)
        delay_s = min(delay_s * 2, _LONGEST_DELAY_S)


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Runs a blocking function in a thread that does not keep the process alive, as an executor's would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # T may itself be None

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = function()
        except Exception as err:  # noqa: BLE001  # handed to the awaiting side, whatever it is
            error = err
        with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=getattr(function, "__name__", "blocking"), daemon=True).start()
    return await done
