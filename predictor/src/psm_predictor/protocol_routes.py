"""The routes by which other platforms watch a model server: Open Inference Protocol health and metadata, SageMaker's /ping.

Ordinary FastAPI; translate, nothing else. Predictions in these protocols are hot and live in `dialects`.
"""

from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from psm_contract.manifest import Manifest
from psm_predictor.dialects.tensors import BYTES
from psm_predictor.dialects.v2 import LABEL, PROBABILITIES
from psm_predictor.lifecycle import Lifecycle, Phase
from psm_predictor.settings import PackageRef, RequestLimits
from psm_predictor.telemetry import Telemetry

_TAG: Final = "open inference protocol"
_MEBIBYTE: Final = 1024 * 1024
_TRANSFORMS: Final = 4
"""Requests that Batch Transform may have under way: enough to keep one core busy while bodies travel."""


class ProtocolError(BaseModel):
    """Why not, as the Open Inference Protocol says it."""

    error: str


class ServerLive(BaseModel):
    """The process runs."""

    live: bool = True


class ServerReady(BaseModel):
    """Whether predictions are answered."""

    ready: bool


class ModelReady(BaseModel):
    """Whether the model answers predictions."""

    name: str
    ready: bool


class ServerMetadata(BaseModel):
    """What serves."""

    name: str = "psm-predictor"
    version: str
    extensions: list[str] = Field(examples=[["binary_tensor_data"]])


class TensorMetadata(BaseModel):
    """One input or output; -1 is the number of baskets."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """What the model takes and gives."""

    name: str
    versions: list[str]
    platform: str = "psm"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ExecutionParameters(BaseModel):
    """How Batch Transform should call /invocations."""

    MaxConcurrentTransforms: int
    BatchStrategy: str
    MaxPayloadInMB: int


_Responses = dict[int | str, dict[str, Any]]
_NOT_READY: Final[_Responses] = {503: {"model": ProtocolError, "description": "Loading or draining."}}
_UNKNOWN: Final[_Responses] = {404: {"model": ProtocolError, "description": "Another model or version."}}


def router(package: PackageRef, limits: RequestLimits, lifecycle: Lifecycle, telemetry: Telemetry) -> APIRouter:
    """The routes over the given state."""
    routes = APIRouter()
    state = _State(package, lifecycle, telemetry)
    _add_v2_server(routes, state)
    _add_v2_model(routes, state)
    _add_v2_other_models(routes, state)
    _add_sagemaker(routes, state, limits)
    return routes


class _State:
    """What these routes ask."""

    def __init__(self, package: PackageRef, lifecycle: Lifecycle, telemetry: Telemetry) -> None:
        self.name = package.group
        self.version = str(package.version)
        self._lifecycle = lifecycle
        self._telemetry = telemetry

    @property
    def ready(self) -> bool:
        """Whether a prediction would be answered, by whichever worker gets it."""
        return self._lifecycle.phase is Phase.READY and self._telemetry.all_ready()

    @property
    def manifest(self) -> Manifest | None:
        """Of the model, once it is loaded."""
        return None if self._lifecycle.model is None else self._lifecycle.model.manifest

    def not_ready(self) -> JSONResponse:
        """503 with what is waited for."""
        waiting_for = self._lifecycle.waiting_for or "another worker is still loading"
        return JSONResponse({"error": f"not ready: {waiting_for}"}, 503, {"retry-after": "1"})

    def unknown(self, name: str, version: str | None) -> JSONResponse | None:
        """404 for another model than the one that is served."""
        if name == self.name and version in (None, self.version):
            return None
        asked = name if version is None else f"{name} version {version}"
        text = f"{asked[:200]} is not served here, {self.name} version {self.version} is"
        return JSONResponse({"error": text.encode(errors="backslashreplace").decode()}, 404)


def _add_v2_server(routes: APIRouter, state: _State) -> None:
    @routes.get("/v2", tags=[_TAG], summary="What serves")
    async def server() -> ServerMetadata:
        """Name, version and extensions of the server."""
        return ServerMetadata(version=version("psm-predictor"), extensions=["binary_tensor_data"])

    @routes.get("/v2/health/live", tags=[_TAG], summary="Alive")
    async def live() -> ServerLive:
        """200 while the process runs."""
        return ServerLive()

    @routes.get("/v2/health/ready", tags=[_TAG], summary="Ready", response_model=ServerReady, responses=_NOT_READY)
    async def ready() -> Response:
        """200 once predictions are answered."""
        return JSONResponse({"ready": True}) if state.ready else state.not_ready()


def _add_v2_model(routes: APIRouter, state: _State) -> None:
    name_in_path = Path(examples=[state.name], description=f"The model's name, {state.name}.")
    version_in_path = Path(examples=[state.version], description=f"The model's version, {state.version}.")
    refusals: _Responses = {**_UNKNOWN, **_NOT_READY}

    async def metadata(model_name: str, model_version: str | None = None) -> Response:
        if refusal := state.unknown(model_name, model_version):
            return refusal
        manifest = state.manifest
        if manifest is None:
            return state.not_ready()
        return JSONResponse(_metadata(manifest, state.name, state.version).model_dump())

    async def model_ready(model_name: str, model_version: str | None = None) -> Response:
        if refusal := state.unknown(model_name, model_version):
            return refusal
        return JSONResponse({"name": state.name, "ready": True}) if state.ready else state.not_ready()

    model, versioned = "/v2/models/{model_name}", "/v2/models/{model_name}/versions/{model_version}"

    @routes.get(model, tags=[_TAG], summary="What the model takes", response_model=ModelMetadata, responses=refusals)
    async def model_metadata(model_name: str = name_in_path) -> Response:
        """Inputs and outputs; in place of one tensor per feature, one tensor `features` may be sent."""
        return await metadata(model_name)

    @routes.get(
        versioned, tags=[_TAG], summary="What the version takes", response_model=ModelMetadata, responses=refusals
    )
    async def version_metadata(model_name: str = name_in_path, model_version: str = version_in_path) -> Response:
        """As without a version."""
        return await metadata(model_name, model_version)

    @routes.get(f"{model}/ready", tags=[_TAG], summary="Model ready", response_model=ModelReady, responses=refusals)
    async def ready(model_name: str = name_in_path) -> Response:
        """200 once the model answers predictions."""
        return await model_ready(model_name)

    @routes.get(
        f"{versioned}/ready", tags=[_TAG], summary="Version ready", response_model=ModelReady, responses=refusals
    )
    async def version_ready(model_name: str = name_in_path, model_version: str = version_in_path) -> Response:
        """As without a version."""
        return await model_ready(model_name, model_version)


def _add_v2_other_models(routes: APIRouter, state: _State) -> None:
    @routes.post("/v2/models/{model_name}/infer", include_in_schema=False)
    @routes.post("/v2/models/{model_name}/versions/{model_version}/infer", include_in_schema=False)
    async def infer(model_name: str, model_version: str | None = None) -> Response:
        """Only another model's requests come here; the served one's are hot."""
        return state.unknown(model_name, model_version) or JSONResponse({"error": "not found"}, 404)


def _metadata(manifest: Manifest, name: str, version: str) -> ModelMetadata:
    inputs = [
        TensorMetadata(name=feature.name, datatype="FP32" if feature.kind == "number" else BYTES, shape=[-1])
        for feature in manifest.features
    ]
    outputs = [
        TensorMetadata(name=PROBABILITIES, datatype="FP32", shape=[-1, len(manifest.classes)]),
        TensorMetadata(name=LABEL, datatype=BYTES, shape=[-1]),
    ]
    return ModelMetadata(name=name, versions=[version], inputs=inputs, outputs=outputs)


def _add_sagemaker(routes: APIRouter, state: _State, limits: RequestLimits) -> None:
    @routes.get(
        "/ping",
        tags=["sagemaker"],
        summary="Ready: for SageMaker hosting",
        response_class=Response,
        responses={200: {"description": "Ready."}, 503: {"description": "Loading or draining."}},
    )
    async def ping() -> Response:
        """200 without a body once predictions are answered."""
        return Response(status_code=200 if state.ready else 503)

    @routes.get("/execution-parameters", tags=["sagemaker"], summary="How Batch Transform should call")
    async def execution_parameters() -> ExecutionParameters:
        """Asked by Batch Transform for what its job does not say."""
        return ExecutionParameters(
            MaxConcurrentTransforms=_TRANSFORMS,
            BatchStrategy="MULTI_RECORD",
            MaxPayloadInMB=max(1, limits.body_bytes // _MEBIBYTE),
        )
