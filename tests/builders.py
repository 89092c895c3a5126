"""Values that many tests need, each built with what the test does not care about already filled in."""

from typing import Any

from psm_operator.api.spec import ModelSpec
from psm_operator.decide.desired import DesiredModel, PredictorDefaults
from psm_operator.values import Manifest, ObjectRef, ServeTarget

UID = "11111111-2222-3333-4444-555555555555"
REGISTRY = {"modelPackageGroupName": "price-sensitivity", "region": "ap-southeast-1"}
DEFAULTS = PredictorDefaults(image="localhost/mlops/api-price-sensitivity:dev")


def model_spec(**fields: Any) -> ModelSpec:
    """A parsed spec; `fields` are top-level JSON fields beside the registry."""
    return ModelSpec.model_validate({"registry": REGISTRY, **fields}, extra="forbid")


def serve_target(version: int = 17) -> ServeTarget:
    """A version as it would be served."""
    digest = f"{version:064x}"
    return ServeTarget(
        version=version,
        arn=f"arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/{version}",
        model_data_url=f"s3://mlops-dev-models/price-sensitivity/{digest}/model.tar.gz",
        sha256=digest,
    )


def desired_model(
    *,
    serving: int | None = 17,
    candidate: int | None = None,
    held_at: int | None = None,
    replicas_hint: int | None = None,
    defaults: PredictorDefaults = DEFAULTS,
    ref: ObjectRef = ObjectRef("mlops", "uk-grocery"),  # noqa: B008  # frozen
    **fields: Any,
) -> DesiredModel:
    """One model as it should run; `fields` are top-level fields of the spec."""
    return DesiredModel(
        ref=ref,
        uid=UID,
        spec=model_spec(**fields),
        serving=None if serving is None else serve_target(serving),
        candidate=None if candidate is None else serve_target(candidate),
        held_at=held_at,
        replicas_hint=replicas_hint,
        defaults=defaults,
    )


def by_kind(manifests: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """Manifests by kind; the candidate Deployment by the kind `Candidate`."""
    return {
        "Candidate" if manifest["metadata"]["name"].endswith(".candidate") else manifest["kind"]: manifest
        for manifest in manifests
    }
