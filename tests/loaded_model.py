"""A model as the predictor loads it, and answers from it without a process: for tests of what happens to bytes."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from artifacts import make_artifact

from psm_predictor.answer import Answerer, Head, Reply
from psm_predictor.artifact.fetch import fetch
from psm_predictor.artifact.load import load
from psm_predictor.artifact.verify import verify
from psm_predictor.counters import CounterBlock
from psm_predictor.dialects import dialects
from psm_predictor.golden import golden_instance
from psm_predictor.model import Model
from psm_predictor.request import RequestSchemas, unknown_sources
from psm_predictor.settings import ArchiveLimits, PackageRef, RequestLimits
from psm_predictor.telemetry import Recorder, Telemetry

PACKAGE = PackageRef(
    data_url="file:///model.tar.gz",
    sha256="0" * 64,
    arn="arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/7",
    version=7,
)
INFER = "/v2/models/price-sensitivity/infer"


@cache
def model() -> Model:
    """A loaded model, the same for all tests."""
    with TemporaryDirectory() as directory:
        artifact = make_artifact(Path(directory))
        package = PackageRef(data_url=artifact.url, sha256=artifact.sha256, arn="arn", version=1)
        fetched = fetch(package, cache_dir=Path(directory), limit_bytes=ArchiveLimits().packed_bytes)
        return load(verify(fetched, ArchiveLimits()))


def instance(number: int = 0) -> dict[str, Any]:
    """A golden row as ready features."""
    return dict(golden_instance(model().manifest, model().manifest.golden[number]))


class Desk:
    """Answers bodies in every dialect, within limits."""

    def __init__(self, limits: RequestLimits) -> None:
        block = CounterBlock(1)
        recorder = Recorder(block.row(0))
        self._telemetry = Telemetry(block, PACKAGE, workers=1)
        features = model().manifest.features
        self._telemetry.describe_model(model().manifest.classes, unknown_sources(features))
        spoken = dialects(PACKAGE, limits, "")
        self._paths = spoken.paths
        self._answer: Callable[..., Reply] = Answerer(
            model(), spoken.spoken, RequestSchemas(features, limits), recorder
        ).answer

    def ask(self, path: str, body: bytes, headers: dict[str, str] | None = None, request_id: str = "id-1") -> Reply:
        """The answer; raises RequestError."""
        named = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
        return self._answer(self._paths[path], body, Head(request_id, named))

    def unknown(self, feature: str) -> float:
        """How many values of a feature were counted as unknown."""
        name = "psm_predictor_unknown_categories_total"
        return self._telemetry.registry.get_sample_value(name, {"feature": feature}) or 0.0
