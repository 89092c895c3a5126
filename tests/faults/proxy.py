"""An HTTP proxy that misbehaves on demand: between an operator and its API server, or between it and S3.

Plain HTTP on the operator's side. Towards an API server it adds the administrator's token and impersonates a user named
after the operator, so that the audit log tells which process wrote what. Everything runs in the test's event loop.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

READS: Final = frozenset({"GET", "HEAD"})
HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "authorization"}
)
GONE: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}

CUT: Final = 499
"""Nobody reads it: the connection is gone."""

LOOK_S: Final = 0.25
"""How often a watch that delivers nothing looks whether it is to end."""

Hook = Callable[["Call"], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """One request of the operator."""

    method: str
    path: str
    is_watch: bool
    is_list: bool = False
    body: bytes = b""

    @property
    def is_write(self) -> bool:
        """Whether it changes something; the election's own writes do not count."""
        return self.method not in READS and "/leases" not in self.path

    def is_write_of(self, name: str) -> bool:
        """Whether it changes something of one model, or tells something about it."""
        return self.is_write and (name in self.path or name.encode() in self.body)


class Dropped(Exception):  # noqa: N818  # says what becomes of the request
    """The connection is cut instead of an answer."""


async def _nothing(_: Call) -> None:
    """What a hook does by default."""


@dataclass
class Faults:
    """What goes wrong now; an instance of its own heals everything.

    Attributes:
        answer: (status, headers) with which requests are refused, as long as `answers` lasts.
        answers: how many requests are refused like that.
        only_watches: whether `answer` is for new watches alone.
        spares_lease: whether renewals of the Lease get through whatever happens.
        stalls: requests are accepted and never answered.
        stalls_watches: a watch that has something to deliver falls silent, and stays so and open after this is over.
        doubles_events: every watch event is delivered twice.
        resets_every: each n-th request is cut off; 0 for none.
        delay_s: before each request is passed on.
        before, after: awaited before a request is passed on, and before its answer is.
    """

    answer: tuple[int, Mapping[str, str]] | None = None
    answers: int = 0
    only_watches: bool = False
    spares_lease: bool = False
    stalls: bool = False
    stalls_watches: bool = False
    doubles_events: bool = False
    resets_every: int = 0
    delay_s: float = 0.0
    before: Hook = _nothing
    after: Hook = _nothing


@dataclass
class Proxy:
    """One operator's way to a server.

    Attributes:
        upstream: base URL.
        headers: added to each request.
        met: how many requests met a fault.
        stalled: how many watches fell silent.
        calls: every request, in order of arrival.
    """

    upstream: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | bool = True
    keeps_host: bool = False
    faults: Faults = field(default_factory=Faults)
    met: int = 0
    stalled: int = 0
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    _watches: set[web.StreamResponse] = field(default_factory=set)
    _ended: dict[web.StreamResponse, int] = field(default_factory=dict)
    _healed: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _site: web.TCPSite | None = None
    _client: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Where the operator finds it."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Proxy"]:
        """Serve while the block runs."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        connector = aiohttp.TCPConnector(ssl=self.tls, limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as self._client:
            await self.come_back()
            try:
                yield self
            finally:
                self.heal()
                await self._runner.cleanup()

    @property
    def open_watches(self) -> int:
        """Watch streams that are open."""
        return len(self._watches)

    @property
    def writes(self) -> list[Call]:
        """Every write so far."""
        return [call for call in self.calls if call.is_write]

    # --- faults ---------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.faults = Faults()
        self._healed.set()
        self._healed = asyncio.Event()

    def end_watches(self, code: int = 410) -> int:
        """Every open watch is told an error within its stream and ends; returns how many there were."""
        self._ended |= dict.fromkeys(self._watches, code)
        self.met += len(self._watches)
        return len(self._watches)

    async def go_away(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._site is not None and self._runner is not None and self._runner.server is not None:
            await self._site.stop()
            for connection in list(self._runner.server.connections):
                if connection.transport is not None:
                    connection.transport.abort()
            self._site = None
        self.met += 1

    async def come_back(self) -> None:
        """Listen, on the same port as before."""
        if self._runner is None:
            raise RuntimeError("serve first")
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = int(self._site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]  # it listens

    # --- how ------------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        is_list = "limit" in request.query and "watch" not in request.query
        call = Call(request.method, request.path, "watch" in request.query, is_list, await request.read())
        self.calls.append(call)
        try:
            refusal = await self._meet(call)
            return refusal if refusal is not None else await self._forward(request, call)
        except (Dropped, aiohttp.ClientError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=CUT)

    async def _meet(self, call: Call) -> web.Response | None:
        faults = self.faults
        if faults.spares_lease and "/leases" in call.path:
            return None
        if faults.delay_s:
            self.met += 1
            await asyncio.sleep(faults.delay_s)
        if faults.resets_every and len(self.calls) % faults.resets_every == 0:
            self.met += 1
            raise Dropped
        while self.faults.stalls:
            self.met += 1
            await self._healed.wait()
            raise Dropped
        if faults.answer is not None and faults.answers > 0 and (call.is_watch or not faults.only_watches):
            self.met += 1
            faults.answers -= 1
            status, headers = faults.answer
            body = GONE if status == GONE["code"] else {"kind": "Status", "message": "fault on demand", "code": status}
            return web.json_response(body, status=status, headers=headers)
        await faults.before(call)
        return None

    async def _forward(self, request: web.Request, call: Call) -> web.StreamResponse:
        if self._client is None:
            raise Dropped
        kept = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        if self.keeps_host:
            kept |= {name: request.headers[name] for name in ("Host", "Authorization") if name in request.headers}
        url = f"{self.upstream}{request.raw_path}"
        sent = self._client.request(
            request.method, _verbatim(url), headers=kept | dict(self.headers), data=await request.read() or None
        )
        async with sent as answer:
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
            if call.is_watch and answer.status == 200:  # HTTP
                return await self._pump(request, answer, headers)
            body = await answer.read()
            await self.faults.after(call)
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                headers["Content-Length"] = answer.headers["Content-Length"]
            return web.Response(status=answer.status, headers=headers, body=body)

    async def _pump(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Pass a watch on, event by event."""
        stream = web.StreamResponse(status=answer.status, headers=headers)
        await stream.prepare(request)
        self._watches.add(stream)
        lines, reading = _Lines(answer), None
        try:
            while stream not in self._ended:
                reading = reading or asyncio.create_task(lines.next())
                await asyncio.wait({reading}, timeout=LOOK_S)
                if not reading.done():
                    continue
                line, reading = reading.result(), None
                if not line:
                    return stream
                if self.faults.stalls_watches:
                    self.stalled += 1
                    await asyncio.Event().wait()
                self.met += self.faults.doubles_events
                await stream.write(line * (2 if self.faults.doubles_events else 1))
            error = {**GONE, "code": self._ended[stream]}
            await stream.write(json.dumps({"type": "ERROR", "object": error}).encode() + b"\n")
        finally:
            self._watches.discard(stream)
            self._ended.pop(stream, None)
            if reading is not None:
                reading.cancel()
                with suppress(asyncio.CancelledError, aiohttp.ClientError):
                    await reading
        return stream


class _Lines:
    """Watch events of an answer, one by one; they may be longer than aiohttp's own limit for lines."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._content = answer.content
        self._rest = b""

    async def next(self) -> bytes:
        """The next event; empty at the end."""
        while b"\n" not in self._rest:
            more = await self._content.readany()
            if not more:
                return b""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


def _verbatim(url: str) -> URL:
    """The URL as the operator wrote it; signatures of AWS depend on every character."""
    return URL(url, encoded=True)
