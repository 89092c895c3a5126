"""HTTP for probes and Prometheus: `/healthz` and `/readyz` on one port, `/metrics` on another."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from psm_operator.api.conditions import Reason
from psm_operator.errors import Stalled

Complaints = Callable[[], Sequence[str]]


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int, setting: str) -> AsyncIterator[int]:
    """Serve `app` while the block runs; yields the port, which matters when 0 was asked for.

    Raises:
        Stalled: the port cannot be had; `setting` is the variable that names another.
    """
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await _start(site, f"{host}:{port}", setting)
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _start(site: web.TCPSite, where: str, setting: str) -> None:
    try:
        await site.start()
    except OSError as err:
        message = f"cannot listen on {where}: {os.strerror(err.errno or 0)}; end what listens there, or set {setting} to another port"
        raise Stalled(Reason.DEPENDENCY_UNAVAILABLE, message) from err


def probes(alive: Complaints, ready: Complaints) -> web.Application:
    """`/healthz` and `/readyz`: 200 ok, or 500 and 503 with the reasons, one per line."""
    app = web.Application()
    app.router.add_get("/healthz", _probe(alive, 500))
    app.router.add_get("/readyz", _probe(ready, 503))
    return app


def _probe(complaints: Complaints, bad: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        found = complaints()
        return web.Response(text="\n".join(found) or "ok", status=bad if found else 200)

    return answer


def metrics(exposition: Callable[[], bytes]) -> web.Application:
    """`/metrics` in Prometheus' text format."""
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        body = await asyncio.to_thread(exposition)  # thousands of models take a while; passes go on
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/metrics", answer)
    return app
