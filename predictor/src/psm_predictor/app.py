"""The ASGI application: FastAPI, with the hot routes dispatched before its middleware and router.

Everything else takes FastAPI's ordinary way; its requests are counted here, outside of middleware.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final, cast

import msgspec
from fastapi import FastAPI

from psm_predictor import protocol_routes, routes
from psm_predictor.answer import Dialect
from psm_predictor.asgi import Message, Receive, Scope, Send
from psm_predictor.dialects.explained import EXPLAINED, asks_explanation
from psm_predictor.errors import RequestError
from psm_predictor.guard import Guard
from psm_predictor.hotpath import HotRoute
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.live import routes as feedback
from psm_predictor.live.live import Live
from psm_predictor.openapi import add_hot_routes
from psm_predictor.requestlog import Finished, RequestLog, trace_of
from psm_predictor.settings import Settings
from psm_predictor.telemetry import ROUTES, Recorder, Telemetry, route_number

_DESCRIPTION: Final = "Predicts the price sensitivity of baskets: LA (less affluent), MM (mid market), UM (up market)."


class PredictorApp(FastAPI):
    """FastAPI whose hot routes do not pay for FastAPI."""

    def __init__(
        self,
        settings: Settings,
        lifecycle: Lifecycle,
        telemetry: Telemetry,
        recorder: Recorder,
        *,
        hot: HotRoute,
        hot_paths: Mapping[str, Dialect],
        live: Live,
        guard: Guard | None,
        log: RequestLog,
    ) -> None:
        super().__init__(
            title="Price sensitivity predictor",
            version=str(settings.package.version),
            description=_DESCRIPTION,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # the redirect would repeat the client's Host header
        )
        self._settings = settings
        self._lifecycle = lifecycle
        self._recorder = recorder
        self._hot = hot
        self._hot_paths = hot_paths
        self._guard = guard
        self._log = log
        self._root_path = settings.server.root_path
        self._document: dict[str, Any] | None = None
        self.include_router(routes.router(settings.package, lifecycle, telemetry))
        self.include_router(feedback.router(live, settings.requests, recorder))
        self.include_router(protocol_routes.router(settings.package, settings.requests, lifecycle, telemetry))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatches one request."""
        if scope["type"] == "http":
            dialect = self._hot_paths.get(scope["path"])
            if scope["query_string"] and asks_explanation(scope["query_string"]):
                dialect = self._hot_paths.get(scope["path"] + EXPLAINED, dialect)
            if dialect is not None:
                await self._hot(dialect, scope, receive, send)
            else:
                await self._cold(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The description of all routes; complete once the model is loaded, cached from then on."""
        if self._document is not None:
            return self._document
        self.openapi_schema = None
        document = super().openapi()
        model = self._lifecycle.model
        manifest = None if model is None else model.manifest
        add_hot_routes(document, manifest, self._settings.package, self._settings.requests)
        if model is not None:
            self._document = document
        return document

    async def _cold(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        status, size = 500, 0
        path: str = scope["path"]
        refusal = None if self._guard is None else self._guard.admit(scope)
        if self._root_path and path.startswith(f"{self._root_path}/"):
            scope["root_path"] = self._root_path
            path = path.removeprefix(self._root_path)

        async def watched(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._lifecycle.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            size += len(message.get("body", b""))
            await send(message)

        try:
            if refusal is None:
                await super().__call__(cast(Any, scope), cast(Any, receive), cast(Any, watched))
            else:
                await self._refuse(refusal, watched)
        finally:
            self._hot.leave()  # else the gauge would go on counting a scrape that met the end of a hot request
            seconds = perf_counter() - started
            route = route_number(path)
            self._recorder.request(route, status, seconds)
            if self._log.wants(status):
                finished = Finished(scope["method"], ROUTES[route], status, seconds, "", 0, size)
                self._log.finished(finished, trace_of(scope["headers"]))

    async def _refuse(self, err: RequestError, send: Send) -> None:
        """Answers a request of somebody unknown."""
        self._recorder.rejected(err.kind)
        body = msgspec.json.encode({"detail": err.detail})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"www-authenticate", b"Bearer"),
        ]
        await send({"type": "http.response.start", "status": err.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
