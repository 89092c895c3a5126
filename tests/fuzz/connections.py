"""Feeds bytes to a connection as the network would, cut in pieces, and looks at what it answers."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from raw_http import RawAnswer, read_answer
from uvicorn.config import Config
from uvicorn.server import ServerState

from psm_predictor.connection import Rules, close_late, protocol_class
from psm_predictor.settings import ConnectionLimits

_RULES: Final = Rules(ConnectionLimits(header_bytes=1024, connections=4), 1.0, lambda _: None)
_ENDS: Final = (400, 431)
_MOST_PIECES: Final = 64


class _Transport(asyncio.Transport):
    """The server's side of a connection without a network."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.written = bytearray()
        self._loop = loop
        self._protocol: Any = None
        self._is_closing = False

    def carry(self, protocol: Any) -> None:
        """Connects."""
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        assert not self._is_closing, "written after the end"
        self.written += data

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing is read on its own."""

    def resume_reading(self) -> None:
        """Nothing is read on its own."""


class _App:
    """Answers a whole body with its size, a PUT before its body."""

    def __init__(self) -> None:
        self.begun = 0

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        self.begun += 1
        size, more = 0, scope["method"] != "PUT"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message["body"])
            more = message["more_body"]
        body = b"%d" % size
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def connection_target() -> Callable[[bytes], None]:
    """The first byte says into how many pieces the others are cut."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_raise)
    app = _App()
    config = Config(app, http=protocol_class(_RULES), lifespan="off", log_config=None)
    config.load()

    def run(data: bytes) -> None:
        app.begun = 0
        state = ServerState()
        transport = _Transport(loop)
        protocol = config.http_protocol_class(config, state, {}, loop)  # type: ignore[call-arg]  # uvicorn's own call
        transport.carry(protocol)
        loop.run_until_complete(_feed(transport, protocol, data))
        answers = _answers(bytes(transport.written), data)
        assert len([one for one in answers if one.status not in _ENDS]) <= app.begun, (answers, app.begun)
        assert not any(one.status in _ENDS for one in answers[:-1]), answers
        transport.close()
        loop.run_until_complete(_end(state))

    return run


async def _feed(transport: _Transport, protocol: Any, data: bytes) -> None:
    size = max(1, len(data) // (1 + (data[0] if data else 0) % _MOST_PIECES))
    for at in range(1, len(data), size):
        if transport.is_closing():
            break
        protocol.data_received(data[at : at + size])
        await asyncio.sleep(0)
    for _ in range(4):
        await asyncio.sleep(0)
    close_late([protocol], asyncio.get_running_loop().time() + 1000)
    await asyncio.sleep(0)


async def _end(state: ServerState) -> None:
    await asyncio.gather(*state.tasks)


def _answers(raw: bytes, data: bytes) -> list[RawAnswer]:
    answers = []
    file = BytesIO(raw.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
    is_head = b"HEAD" in data  # whose answers have a length and no body
    while not is_head and (answer := read_answer(file)) is not None:
        answers.append(answer)
    return answers


def _raise(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    raise context.get("exception") or AssertionError(context["message"])
