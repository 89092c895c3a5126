"""Third step: a verified archive becomes a model that has answered its own golden rows.

Called by `loading`. Everything that runs here was proven by `verify` to be what was registered. Blocking.
"""

import ctypes
import gc
import json
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from psm_contract.features import feature_schema
from psm_contract.manifest import GOLDEN_TOLERANCE, TABLES, Feature, Manifest
from psm_contract.tables import Tables
from psm_predictor.answer import Answerer, Dialect, Head
from psm_predictor.artifact.verify import VerifiedArtifact
from psm_predictor.counters import CounterBlock
from psm_predictor.dialects.predict import PredictDialect
from psm_predictor.engines import choose
from psm_predictor.errors import ArtifactError, Reason, RequestError
from psm_predictor.golden import golden_instance, golden_lines
from psm_predictor.model import Model
from psm_predictor.request import RequestSchemas
from psm_predictor.settings import EngineChoice, RequestLimits
from psm_predictor.telemetry import Recorder


def load(verified: VerifiedArtifact, choice: EngineChoice = "auto") -> Model:
    """The model, after it answered every golden row and basket as it did in training.

    Raises:
        ArtifactError: It does not load, does not fit its manifest, or answers otherwise; the row is in the message.
    """
    manifest = verified.manifest
    tables = _tables(verified.tables, manifest)
    try:
        trees = choose.read_trees(verified.trees, manifest)
        engine = choose.engine(choice, verified, trees)
    except ValueError as err:
        raise ArtifactError(Reason.MODEL_INVALID, str(err)) from err
    model = Model(manifest=manifest, tables=tables, engine=engine, trees=trees)
    self_test(model)
    _settle_memory()
    return model


def self_test(model: Model) -> None:
    """Sends the golden rows and baskets through decoder, model and encoder, and compares."""
    manifest = model.manifest
    lines = max((len(basket.lines) for basket in manifest.golden_baskets), default=1)
    limits = RequestLimits(instances=len(manifest.golden), lines=lines)
    schemas = RequestSchemas(manifest.features, limits)
    predict = PredictDialect(version=0)
    answerer = Answerer(model, [predict], schemas, Recorder(CounterBlock(1).row(0)))
    ask = partial(_ask, answerer, predict)
    instances = [golden_instance(manifest, row) for row in manifest.golden]
    for number, (row, instance) in enumerate(zip(manifest.golden, instances, strict=True)):
        _compare(f"golden[{number}]", instance, row.probabilities, ask(instance))
    batch = ask({"instances": instances})["predictions"]
    for number, (row, instance) in enumerate(zip(manifest.golden, instances, strict=True)):
        _compare(f"golden[{number}] in a batch", instance, row.probabilities, batch[number])
    for number, basket in enumerate(manifest.golden_baskets):
        body = golden_lines(basket)
        _compare(f"golden_baskets[{number}]", body, basket.probabilities, ask(body))


def _ask(answerer: Answerer, dialect: Dialect, document: dict[str, Any]) -> Any:
    try:
        return json.loads(answerer.answer(dialect, json.dumps(document).encode(), Head("self-test")).body)
    except RequestError as err:
        raise ArtifactError(
            Reason.GOLDEN_MISMATCH, f"this release refuses a golden row or basket: {err.detail}; train the model again"
        ) from err


def _compare(what: str, asked: dict[str, Any], expected: Sequence[float], answer: dict[str, Any]) -> None:
    answered = list(answer["probabilities"].values())
    difference = max(abs(one - other) for one, other in zip(expected, answered, strict=True))
    if not difference <= GOLDEN_TOLERANCE:  # not <=, so that NaN fails as well
        raise ArtifactError(
            Reason.GOLDEN_MISMATCH,
            f"{what} is answered with {answered}, training said {list(expected)} "
            f"(difference {difference:.2g}, allowed {GOLDEN_TOLERANCE:g}); train the model again; input {json.dumps(asked)}",
        )


def _tables(raw: bytes, manifest: Manifest) -> Tables:
    try:
        tables = Tables.from_npz(raw)
        features = feature_schema(tables)
    except (ValueError, IndexError, TypeError) as err:
        raise ArtifactError(Reason.MODEL_INVALID, f"{TABLES} does not load: {err}; train the model again") from err
    ours, theirs = [_shape(feature) for feature in features], [_shape(feature) for feature in manifest.features]
    if ours != theirs:
        differing = [mine for mine, other in zip_longest(ours, theirs) if mine != other]
        raise ArtifactError(
            Reason.MODEL_INVALID,
            f"this release computes {len(ours)} features, the manifest lists {len(theirs)}; they differ in {differing}; "
            "use a predictor of the release that trained the model, or train it again",
        )
    return tables


def _shape(feature: Feature) -> tuple[str, str, tuple[str, ...]]:
    """What both sides must agree on; descriptions and bounds may be edited."""
    return feature.name, feature.kind, feature.vocabulary


def _settle_memory() -> None:
    """Tells both memory managers that the start is over.

    Python need not look at the 60,000 objects of the start whenever it looks for cycles: that is 30 ms in which nobody is
    answered. And glibc gives back what was freed after the model was read: a third of what the process would keep.
    """
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not on musl or macOS
    if trim is not None:
        trim(0)
