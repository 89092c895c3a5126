import asyncio
from typing import Any

import pytest

from psm_predictor.asgi import Message, Receive
from psm_predictor.body import BodyReader, ClientGoneError
from psm_predictor.errors import RequestError
from psm_predictor.settings import RequestLimits

LIMITS = RequestLimits(body_bytes=80, in_flight_bytes=100, body_timeout_s=0.2)


def pieces(*parts: bytes, ends: bool = True) -> Receive:
    """What a server hands over; afterwards nothing comes any more."""
    waiting: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if ends:
        waiting[-1]["more_body"] = False

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


def test_bodies_that_wait_for_their_answer_count() -> None:
    """Until they are answered, however that ends."""
    bodies = BodyReader(LIMITS)

    with bodies.held(60):
        with pytest.raises(RequestError) as caught, bodies.held(41):
            raise AssertionError("not to be held")
        with bodies.held(40):
            pass
    with pytest.raises(ZeroDivisionError), bodies.held(100):
        raise ZeroDivisionError
    with bodies.held(100):
        pass

    assert (caught.value.status, caught.value.kind) == (503, "in_flight")


@pytest.mark.parametrize(
    ("receive", "error", "status"),
    [
        pytest.param(pieces(b"a" * 40, b"b" * 40), None, None, id="whole"),
        pytest.param(pieces(b"a" * 40, b"b" * 41), RequestError, 413, id="too large"),
        pytest.param(pieces(b"a" * 40, ends=False), RequestError, 408, id="too slow"),
    ],
)
async def test_a_body_in_pieces_gives_back_what_it_took(receive: Receive, error: Any, status: int | None) -> None:
    """Whether it is read, refused or given up."""
    bodies = BodyReader(LIMITS)

    if error is None:
        assert await bodies.read(receive) == b"a" * 40 + b"b" * 40
    else:
        with pytest.raises(error) as caught:
            await bodies.read(receive)
        assert caught.value.status == status

    with bodies.held(LIMITS.in_flight_bytes):
        pass


async def test_a_client_that_goes_gives_back_what_it_took() -> None:
    """In the middle of its body."""
    bodies = BodyReader(LIMITS)
    messages: list[Message] = [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.raises(ClientGoneError):
        await bodies.read(receive)
    with bodies.held(LIMITS.in_flight_bytes):
        pass
