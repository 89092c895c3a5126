"""The OpenAPI description of the hot routes, which FastAPI's router never sees.

Built from the same schemas that the decoders enforce; examples are golden rows, so they work when tried.
"""

from typing import Any

from psm_contract.manifest import Manifest
from psm_predictor.openapi import predict, sagemaker, v2
from psm_predictor.openapi.parts import Parts
from psm_predictor.request import RequestSchemas
from psm_predictor.settings import PackageRef, RequestLimits


def add_hot_routes(
    document: dict[str, Any], manifest: Manifest | None, package: PackageRef, limits: RequestLimits
) -> None:
    """Adds the hot routes and their schemas to the document; without a manifest yet, bodies are not described."""
    schemas = None if manifest is None else RequestSchemas(manifest.features, limits)
    parts = Parts(manifest, schemas, package, limits)
    components = document.setdefault("components", {}).setdefault("schemas", {})
    for part in (predict, sagemaker, v2):
        components.update(part.components(parts))
        document["paths"].update(part.paths(parts))
