"""POST /predict?explain=true: the answer of /predict, and what each feature contributed to it.

Takes milliseconds per basket where /predict takes microseconds, so it is always answered in the batch thread. What it
needs is loaded at the first request: the memory is spent only where somebody asks.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from numpy.typing import NDArray

from psm_contract.manifest import Feature
from psm_predictor.answer import Head, Reply
from psm_predictor.dialects.predict import JSON_HEADERS, FormQuestion, PredictCodec, PredictDialect, detail
from psm_predictor.errors import RequestError
from psm_predictor.findings import finding
from psm_predictor.model import Matrix, Model
from psm_predictor.request import Form, RequestSchemas
from psm_predictor.rows import CountUnknown
from psm_predictor.telemetry import PREDICT

if TYPE_CHECKING:
    from psm_predictor.explain.explainer import ContributionExplainer


EXPLAINED: Final = "?explain=true"
"""Follows the path in the table of dialects."""

_NO: Final = frozenset({"false", "0", "no", "off"})


def asks_explanation(query: bytes) -> bool:
    """Whether the query string says `explain`, and not that it is false."""
    said = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("explain")
    return said is not None and said.lower() not in _NO


class ExplainDialect:
    """The dialect of /predict?explain=true."""

    route: Final = PREDICT
    hint: Final = "POST a basket to /predict?explain=true; GET /docs shows how"
    in_thread: Final = True

    def __init__(self, version: int, most: int) -> None:
        self._version = version
        self._most = most

    def codec(self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown) -> "ExplainCodec":
        """Its bodies for the model."""
        predict = PredictDialect(self._version)
        return ExplainCodec(model, lambda: predict.codec(model, schemas, count_unknown), self._version, self._most)

    def refusal(self, err: RequestError) -> bytes:
        """As /predict writes it."""
        return detail(err)


class ExplainCodec:
    """Bodies of /predict?explain=true for one model."""

    def __init__(self, model: Model, predict: Callable[[], PredictCodec], version: int, most: int) -> None:
        self._model = model
        self._predict = predict
        self._decode: Callable[[bytes, Head], FormQuestion] | None = None
        self._version = version
        self._most = most
        self._explainer: ContributionExplainer | None = None

    def decode(self, body: bytes, head: Head) -> FormQuestion:
        """The baskets; raises RequestError 422, also where no explanation can be had."""
        if self._decode is None:
            self._decode = self._predict().decode
        question = self._decode(body, head)
        if len(question.matrix) > self._most:
            raise _refused(f"explains at most {self._most} baskets in one request, here are {len(question.matrix)}")
        if self._explainer is None:
            self._explainer = _explainer(self._model)
        return question

    def encode(self, question: FormQuestion, probabilities: Matrix, labels: Sequence[int]) -> Reply:
        """The answer of /predict, with an explanation beside each label."""
        classes = self._model.manifest.classes
        explained = self._explained(question.matrix, labels)
        predictions: list[dict[str, Any]] = [
            {
                "label": classes[label],
                "probabilities": dict(zip(classes, row, strict=True)),
                "explanation": explanation,
            }
            for label, row, explanation in zip(labels, probabilities.tolist(), explained, strict=True)
        ]
        answer = {"predictions": predictions} if question.form is Form.INSTANCES else predictions[0]
        signed = {**answer, "model_version": self._version, "request_id": question.request_id}
        return Reply(msgspec.json.encode(signed), JSON_HEADERS)

    def _explained(self, matrix: Matrix, labels: Sequence[int]) -> list[dict[str, Any]]:
        if self._explainer is None:
            raise RuntimeError("a question is decoded before its answer is encoded")
        contributions = self._explainer.contributions(matrix)
        return [
            explanation(self._model, self._explainer.scale, values, shares, label)
            for values, shares, label in zip(matrix, contributions, labels, strict=True)
        ]


def explanation(
    model: Model, scale: str, values: NDArray[np.float32], shares: NDArray[np.float64], label: int
) -> dict[str, Any]:
    """One basket's explanation, the features that moved its label most first.

    Args:
        model: What answered.
        scale: What base and contributions sum to.
        values: [features]
        shares: [classes, features + 1], the base last.
        label: Number of the class that was answered.
    """
    classes, features = model.manifest.classes, model.manifest.features
    order = np.argsort(-np.abs(shares[label, :-1]), kind="stable").tolist()
    return {
        "scale": scale,
        "base": dict(zip(classes, shares[:, -1].tolist(), strict=True)),
        "features": [
            {
                "name": features[number].name,
                "value": _value(features[number], values[number]),
                "contributions": dict(zip(classes, shares[:, number].tolist(), strict=True)),
            }
            for number in order
        ],
    }


def _value(feature: Feature, value: np.float32) -> float | str:
    """The value as a client would send it: a word, or the shortest number that means the same float32."""
    return feature.vocabulary[int(value)] if feature.kind == "category" else float(str(value))


def _explainer(model: Model) -> "ContributionExplainer":
    from psm_predictor.explain.explainer import ContributionExplainer  # noqa: PLC0415  # only where somebody asks
    from psm_predictor.explain.lightgbm import LightgbmError  # noqa: PLC0415  # as above

    if model.trees is None:
        raise _refused("is not available: this model is no ensemble of trees")
    try:
        return ContributionExplainer(model.trees)
    except LightgbmError as err:
        raise _refused(f"is not available: {err}") from err


def _refused(message: str) -> RequestError:
    """422 and not 501: that a client asks for what is not there is no fault of the model, which 5xx would tell."""
    at_fault = {**finding("explain", (), message, "true"), "loc": ["query", "explain"]}
    return RequestError(422, [at_fault], "validation")
