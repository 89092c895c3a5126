"""The body of a request: read whole, within bounds of size and time. Called by `hotpath`."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from psm_predictor.asgi import Receive
from psm_predictor.errors import RequestError
from psm_predictor.settings import RequestLimits

_DISCARD_FACTOR: Final = 16
"""A refused body is read on up to 16 times its limit, so that a client that does not stop sees the answer."""


class ClientGoneError(Exception):
    """The client closed the connection before it had sent its request."""


class BodyReader:
    """Reads the bodies of one process."""

    def __init__(self, limits: RequestLimits) -> None:
        self._limit_bytes = limits.body_bytes
        self._timeout_s = limits.body_timeout_s
        self._most_held_bytes = limits.in_flight_bytes
        self._held_bytes = 0

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """What the headers tell of the body; raises RequestError."""
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limit_bytes:
            raise self._too_large(int(length))
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            shown = encoding[:100].decode("ascii", errors="replace")
            raise RequestError(415, f"content encoding {shown} is not supported; send the body as it is", "validation")

    async def read(self, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            RequestError: 413, 408, or 503 if too much is buffered already.
            ClientGoneError: The rest will never come.
        """
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body: bytes = message["body"]
        if message["more_body"]:
            body = await self._rest(body, receive)
        if len(body) > self._limit_bytes:
            raise self._too_large(len(body))
        return body

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Counts a body that waits for its answer; raises RequestError, 503, if too much is held already."""
        try:
            self._held_bytes += size
            self._check_held()
            yield
        finally:
            self._held_bytes -= size

    async def discard(self, receive: Receive) -> None:
        """Reads on for a while: closing on a client that still writes would cost it the answer."""
        left = self._limit_bytes * _DISCARD_FACTOR
        try:
            async with asyncio.timeout(self._timeout_s):
                while left > 0:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message["more_body"]:
                        return
                    left -= len(message["body"])
        except TimeoutError:
            return

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        more = True
        try:
            self._held_bytes += size
            async with asyncio.timeout(self._timeout_s):
                while more and size <= self._limit_bytes:
                    self._check_held()
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    part: bytes = message["body"]
                    parts.append(part)
                    size += len(part)
                    self._held_bytes += len(part)
                    more = message["more_body"]
        except TimeoutError as err:
            text = f"{size} bytes came within {self._timeout_s:g} s, and the body is not complete"
            raise RequestError(408, text, "slow_body") from err
        finally:
            self._held_bytes -= size
        return b"".join(parts)

    def _check_held(self) -> None:
        if self._held_bytes > self._most_held_bytes:
            raise RequestError(503, "too many large bodies are under way; try again", "in_flight")

    def _too_large(self, size: int) -> RequestError:
        limit = self._limit_bytes
        return RequestError(
            413, f"the body has {size} bytes or more, the limit is {limit}; send less", "body_too_large"
        )
