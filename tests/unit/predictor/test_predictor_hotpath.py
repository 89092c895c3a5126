"""The hot route without a socket: what waits for what."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from loaded_model import INFER, PACKAGE, instance, model

from psm_predictor.answer import Answerer
from psm_predictor.asgi import Message
from psm_predictor.counters import CounterBlock
from psm_predictor.dialects import Dialects, dialects
from psm_predictor.hotpath import Answerers, HotRoute
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.model import Matrix
from psm_predictor.request import RequestSchemas
from psm_predictor.requestlog import RequestLog
from psm_predictor.settings import RequestLimits
from psm_predictor.telemetry import Recorder, Telemetry

LIMITS = RequestLimits()
LIMIT_S = 10.0
LARGE = 1000


class Alone:
    """One request at a time, as far as the limit is concerned."""

    def count(self) -> int:
        return 1

    def leave(self) -> None:
        """Nothing."""


class Held:
    """An engine that holds large questions back until it is told."""

    name = "held"

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def __call__(self, features: Matrix, /) -> Matrix:
        if len(features) == LARGE:
            self.asked.set()
            assert self.may_answer.wait(LIMIT_S)
        return model().engine(features)


def route(engine: Callable[[Matrix], Matrix]) -> tuple[HotRoute, Dialects]:
    """A hot route over the test model with another engine."""
    spoken = dialects(PACKAGE, LIMITS, "")
    schemas = RequestSchemas(model().manifest.features, LIMITS)
    recorders = [Recorder(CounterBlock(1).row(0)) for _ in range(2)]
    lifecycle = Lifecycle()
    lifecycle.loaded(model())
    hot = HotRoute(lifecycle, LIMITS, recorders[0], Alone(), guard=None, log=RequestLog("off"))
    held = replace(model(), engine=engine)  # type: ignore[arg-type]  # a name is all that it lacks
    inline, batch = (Answerer(held, spoken.spoken, schemas, recorder) for recorder in recorders)
    hot.answerers = Answerers(inline, batch)
    return hot, spoken


async def ask(hot: HotRoute, spoken: Dialects, path: str, body: bytes, **changes: Any) -> tuple[int, bytes]:
    """Status and body of the answer to one request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", **changes}
    await hot(spoken.paths[path], scope, receive, send)
    start, rest = sent
    return start["status"], rest["body"]


@asynccontextmanager
async def a_large_request_under_way(hot: HotRoute, spoken: Dialects, engine: Held, path: str) -> AsyncIterator[None]:
    """For the length of the block; then it is answered."""
    body = json.dumps({"instances": [instance()] * LARGE}).encode()
    large = asyncio.create_task(ask(hot, spoken, path, body))
    assert await asyncio.to_thread(engine.asked.wait, LIMIT_S)
    try:
        yield
    finally:
        engine.may_answer.set()
    status, answer = await large
    assert (status, len(json.loads(answer)["predictions"])) == (200, LARGE)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
async def test_small_requests_do_not_wait_for_a_large_one(path: str) -> None:
    """It is answered in a thread; meanwhile the event loop answers in every dialect."""
    engine = Held()
    hot, spoken = route(engine)
    small = json.dumps(instance()).encode()
    column = {"name": "features", "datatype": "FP32", "shape": [1, 48], "data": None}
    async with a_large_request_under_way(hot, spoken, engine, path):
        for small_path in ("/predict", "/invocations"):
            async with asyncio.timeout(LIMIT_S):
                assert (await ask(hot, spoken, small_path, small))[0] == 200
        async with asyncio.timeout(LIMIT_S):
            assert (await ask(hot, spoken, INFER, json.dumps({"inputs": [column]}).encode()))[0] == 400


async def test_our_own_fault_is_counted_as_500() -> None:
    """What escapes is no refusal: the server logs it and answers 500."""

    def broken(_features: Matrix, /) -> Matrix:
        raise ZeroDivisionError

    hot, spoken = route(broken)
    block = CounterBlock(1)
    hot._recorder = Recorder(block.row(0))

    with pytest.raises(ZeroDivisionError):
        await ask(hot, spoken, "/predict", json.dumps(instance()).encode())

    telemetry = Telemetry(block, PACKAGE, workers=1)
    labels = {"route": "/predict", "status": "500"}
    assert telemetry.registry.get_sample_value("psm_predictor_requests_total", labels) == 1


async def test_before_the_model_is_loaded_every_dialect_says_not_ready() -> None:
    """503 in the words of each protocol, so that a client of it understands."""
    hot, spoken = route(model().engine)
    hot.answerers = None

    for path, word in (("/predict", "detail"), ("/invocations", "detail"), (INFER, "error")):
        status, body = await ask(hot, spoken, path, b"{}")

        assert (status, json.loads(body)) == (503, {word: "not ready: "})
