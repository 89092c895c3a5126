"""Step 8: files of a trained model -> bucket and registry, waiting for approval."""

from typing import Any, Final

from psm_contract import environment, metadata
from psm_training.registry import ModelPackage, ModelRegistry, Registration
from psm_training.workspace import ModelFiles, need, read_json

DEFAULT_GROUP: Final = "price-sensitivity"
DEFAULT_BUCKET: Final = "mlops-dev-models"
DEFAULT_IMAGE: Final = "mlops/api-price-sensitivity:dev"


def register(registry: ModelRegistry, files: ModelFiles, *, group: str, bucket: str, image: str) -> ModelPackage:
    """Uploads the archive under its own digest and registers it.

    Args:
        registry: Where to.
        files: As `package` wrote them.
        group: Model package group; made when missing.
        bucket: Must exist.
        image: That serves the model.
    """
    card = read_json(files.card, "package")
    folder = f"{group}/{card['sha256']}"
    model_url = registry.upload(
        need(files.artifact, "package"), bucket, f"{folder}/{files.artifact.name}", "application/gzip"
    )
    evaluation_url = registry.upload(
        need(files.evaluation, "evaluate"), bucket, f"{folder}/{files.evaluation.name}", "application/json"
    )
    return registry.register(
        Registration(
            group=group,
            image=image,
            model_url=model_url,
            evaluation_url=evaluation_url,
            environment={environment.MODEL_SHA256: card["sha256"]},
            properties=properties_of(card),
            description=f"recipe {card['recipe']['name']}, trained on {card['training']['source']}",
        )
    )


def properties_of(card: dict[str, Any]) -> dict[str, str]:
    """Customer metadata of a model's card."""
    metrics = card["metrics"]
    training = card["training"]
    return {
        metadata.PROTOCOL: str(card["protocol"]),
        metadata.SHA256: card["sha256"],
        metadata.ACCURACY: metadata.format_metric(metrics["accuracy"]),
        metadata.MACRO_F1: metadata.format_metric(metrics["macro_f1"]),
        metadata.PRECISION_MIN_CLASS: metadata.format_metric(metrics["precision_min_class"]),
        metadata.DATA_VALIDATION: card["data_validation"],
        metadata.TRAINING_WINDOW: f"{training['first_week']}-{training['last_week']}",
        metadata.GIT_SHA: card["git_sha"],
    }
