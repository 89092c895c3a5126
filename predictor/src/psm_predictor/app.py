"""The ASGI application: FastAPI, with the hot routes dispatched before its middleware and router.

Everything else takes FastAPI's ordinary way; its requests are counted here, outside of middleware.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final, cast

from fastapi import FastAPI

from psm_predictor import protocol_routes, routes
from psm_predictor.answer import Dialect
from psm_predictor.asgi import Message, Receive, Scope, Send
from psm_predictor.hotpath import HotRoute
from psm_predictor.lifecycle import Lifecycle
from psm_predictor.openapi import add_hot_routes
from psm_predictor.settings import Settings
from psm_predictor.telemetry import Recorder, Telemetry, route_number

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
    ) -> None:
        super().__init__(
            title="Price sensitivity predictor",
            version=str(settings.package.version),
            description=_DESCRIPTION,
            docs_url=None,
            redoc_url=None,
        )
        self._settings = settings
        self._lifecycle = lifecycle
        self._recorder = recorder
        self._hot = hot
        self._hot_paths = hot_paths
        self._root_path = settings.server.root_path
        self._document: dict[str, Any] | None = None
        self.include_router(routes.router(settings.package, lifecycle, telemetry))
        self.include_router(protocol_routes.router(settings.package, settings.requests, lifecycle, telemetry))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatches one request."""
        if scope["type"] == "http":
            dialect = self._hot_paths.get(scope["path"])
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
        status = 500
        path: str = scope["path"]
        if self._root_path and path.startswith(f"{self._root_path}/"):
            scope["root_path"] = self._root_path
            path = path.removeprefix(self._root_path)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._lifecycle.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await super().__call__(cast(Any, scope), cast(Any, receive), cast(Any, watched))
        finally:
            self._recorder.request(route_number(path), status, perf_counter() - started)
