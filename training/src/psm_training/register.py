"""Step 8: files of a trained model -> bucket and registry, waiting for approval."""

import hashlib
import json
from typing import Any, Final

from psm_contract import environment, metadata
from psm_training.errors import PipelineError
from psm_training.registry import ModelPackage, ModelRegistry, Registration
from psm_training.workspace import ModelFiles, need, read_json

DEFAULT_GROUP: Final = "price-sensitivity"
DEFAULT_BUCKET: Final = "mlops-dev-models"
DEFAULT_IMAGE: Final = "mlops/api-price-sensitivity:dev"

LINEAGE: Final = "lineage.json"
MODEL_CARD: Final = "model_card.json"
"""Written by `psm-train report`."""


def register(registry: ModelRegistry, files: ModelFiles, *, group: str, bucket: str, image: str) -> ModelPackage:
    """Uploads the archive under its own digest, with what judges it and where it comes from, and registers it.

    Args:
        registry: Where to.
        files: As `package` wrote them.
        group: Model package group; made when missing.
        bucket: Must exist.
        image: That serves the model.
    """
    card = read_json(files.card, "package")
    model_card = files.folder / MODEL_CARD
    folder = f"{group}/{card['sha256']}"
    kept = {
        name: registry.upload(path, bucket, f"{folder}/{path.name}", content_type)
        for name, path, content_type in (
            ("archive", need(files.artifact, "package"), "application/gzip"),
            ("evaluation", need(files.evaluation, "evaluate"), "application/json"),
            ("predictions", need(files.predictions, "evaluate"), "application/octet-stream"),
        )
    }
    lineage_url = f"s3://{bucket}/{folder}/{LINEAGE}"
    content = json.dumps(lineage(card, files, kept), indent=1, sort_keys=True) + "\n"
    registry.put(lineage_url, content.encode(), "application/json")
    return registry.register(
        Registration(
            group=group,
            image=image,
            model_url=kept["archive"],
            evaluation_url=kept["evaluation"],
            environment={environment.MODEL_SHA256: card["sha256"]},
            properties=properties_of(card) | {metadata.LINEAGE: lineage_url},
            commit=card["git_sha"],
            model_card=model_card.read_text(encoding="utf-8") if model_card.exists() else None,
            description=f"recipe {card['recipe']['name']}, trained on {card['training']['source']}",
        )
    )


def lineage(card: dict[str, Any], files: ModelFiles, kept: dict[str, str]) -> dict[str, Any]:
    """Which data, code and recipe made which files; the same model gives the same bytes.

    Args:
        card: Of the model.
        files: As they were uploaded.
        kept: Their s3:// addresses by name.
    """
    paths = {"archive": files.artifact, "evaluation": files.evaluation, "predictions": files.predictions}
    return {
        "data": {**card["training"], "sha256": _of(card, "data_sha256"), "validation": card["data_validation"]},
        "code": {"git_sha": card["git_sha"], "created_at": card["created_at"]},
        "recipe": card["recipe"],
        "made": {
            name: {"url": url, "sha256": hashlib.sha256(paths[name].read_bytes()).hexdigest()}
            for name, url in kept.items()
        },
    }


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
        metadata.DATA_SHA256: _of(card, "data_sha256"),
        metadata.DATA_SOURCE: training["source"],
        metadata.TRAINING_WINDOW: f"{training['first_week']}-{training['last_week']}",
        metadata.RECIPE: card["recipe"]["name"],
        metadata.GIT_SHA: card["git_sha"],
    }


def _of(card: dict[str, Any], key: str) -> str:
    if key not in card:
        raise PipelineError(f"model.json has no {key}: an older psm-train made it; run `psm-train package` again")
    return str(card[key])
