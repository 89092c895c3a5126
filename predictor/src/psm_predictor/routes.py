"""The routes that are not hot: life, readiness, the model, metrics, documentation. Ordinary FastAPI; translate, nothing else."""

from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field

from psm_contract.manifest import Feature, Manifest, Training
from psm_predictor.lifecycle import Lifecycle, Phase
from psm_predictor.settings import PackageRef
from psm_predictor.telemetry import Telemetry

_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


class Alive(BaseModel):
    """The process runs its event loop."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether predictions are answered, and what is waited for if not."""

    status: Literal["loading", "ready", "draining"]
    waiting_for: str = Field(default="", examples=[""])


class ModelDescription(BaseModel):
    """What is served."""

    version: int = Field(description="Model package version.")
    arn: str = Field(description="Model package ARN.")
    sha256: str = Field(description="Digest of model.tar.gz.")
    protocol: int = Field(description="Version of the archive's layout.")
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    training: Training
    metrics: dict[str, float]
    libraries: dict[str, str]
    git_sha: str
    created_at: str


def _description(manifest: Manifest, package: PackageRef) -> ModelDescription:
    return ModelDescription(
        version=package.version,
        arn=package.arn,
        sha256=package.sha256,
        **{name: getattr(manifest, name) for name in ModelDescription.model_fields if name in Manifest.model_fields},
    )


def router(package: PackageRef, lifecycle: Lifecycle, telemetry: Telemetry) -> APIRouter:
    """The cold routes over the given state."""
    routes = APIRouter()
    _add_health(routes, lifecycle, telemetry)
    _add_model(routes, package, lifecycle)
    _add_metrics(routes, telemetry)
    _add_documentation(routes)
    return routes


def _add_health(routes: APIRouter, lifecycle: Lifecycle, telemetry: Telemetry) -> None:
    @routes.get("/health", tags=["operation"], summary="Alive (the same as /healthz)")
    @routes.get("/healthz", tags=["operation"], summary="Alive: for liveness probes")
    async def healthz() -> Alive:
        """200 while the process runs, loading and draining included."""
        return Alive()

    @routes.get(
        "/readyz",
        tags=["operation"],
        summary="Ready: for startup and readiness probes",
        responses={503: {"model": Readiness, "description": "Loading or draining."}},
    )
    async def readyz(response: Response) -> Readiness:
        """200 once every worker's model answered its golden rows; 503 before that and while draining."""
        ready = lifecycle.phase is Phase.READY and telemetry.all_ready()
        if ready:
            return Readiness(status="ready")
        response.status_code = 503
        waiting_for = lifecycle.waiting_for or "another worker is still loading"
        return Readiness(status="draining" if lifecycle.draining else "loading", waiting_for=waiting_for)


def _add_model(routes: APIRouter, package: PackageRef, lifecycle: Lifecycle) -> None:
    @routes.get(
        "/model",
        tags=["model"],
        summary="The model that is served",
        responses={503: {"description": "Not loaded yet."}},
    )
    async def model() -> ModelDescription:
        """Version, features with their vocabularies and defaults, metrics, training window."""
        if lifecycle.model is None:
            raise HTTPException(503, f"not ready: {lifecycle.waiting_for}", headers={"retry-after": "1"})
        return _description(lifecycle.model.manifest, package)


def _add_metrics(routes: APIRouter, telemetry: Telemetry) -> None:
    @routes.get(
        "/metrics",
        tags=["operation"],
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics."}},
    )
    async def metrics(request: Request) -> Response:
        """Requests, latency, predictions by class, unknown category values, the process."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(telemetry.registry), media_type=content_type)


def _add_documentation(routes: APIRouter) -> None:
    @routes.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root: str = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=f"{request.app.title} - documentation",
            swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/favicon.png",
        )

    @routes.get("/docs/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        """Swagger UI from the image itself: clusters without a way out show it too."""
        if name not in _ASSETS:
            return JSONResponse({"detail": "Not Found"}, 404)
        static = Path(str(files("fastapi_offline"))) / "static"
        return FileResponse(static / name, media_type=_ASSETS[name])
