"""POST /predict: our own JSON, one basket or several. The route that most requests take; every microsecond shows."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from psm_predictor.answer import Head, Question, Reply
from psm_predictor.errors import RequestError
from psm_predictor.model import Matrix, Model
from psm_predictor.request import Form, JsonDecoder, RequestSchemas
from psm_predictor.rows import CountUnknown, RowWriter
from psm_predictor.telemetry import PREDICT

JSON_HEADERS: Final = ((b"content-type", b"application/json"),)


class FormQuestion(Question, gc=False):
    """A JSON body and the form that its answer takes over."""

    form: Form


class PredictDialect:
    """The dialect of /predict."""

    route: Final = PREDICT
    hint: Final = "POST a basket to /predict; GET /docs shows how"
    in_thread: Final = False

    def __init__(self, version: int) -> None:
        self._version = version

    def codec(self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown) -> "PredictCodec":
        """Its bodies for the model."""
        return PredictCodec(model, schemas, count_unknown, self._version)

    def refusal(self, err: RequestError) -> bytes:
        """As FastAPI writes it."""
        return detail(err)


class PredictCodec:
    """Bodies of /predict for one model."""

    def __init__(self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown, version: int) -> None:
        rows = RowWriter(model.manifest.features, count_unknown)
        self._decode = JsonDecoder(model, schemas.predict, rows, count_unknown).decode
        self._write = PredictionWriter(model.manifest.classes, version)

    def decode(self, body: bytes, head: Head) -> FormQuestion:
        """The baskets; raises RequestError 422."""
        matrix, form = self._decode(body)
        return FormQuestion(matrix, head.request_id, form)

    def encode(self, question: FormQuestion, probabilities: Matrix, labels: Sequence[int]) -> Reply:
        """One prediction, or a list for `instances`."""
        if question.form is Form.INSTANCES:
            body = self._write.several(probabilities, labels, question.request_id)
        else:
            body = self._write.one(probabilities, labels, question.request_id)
        return Reply(body, JSON_HEADERS)


class _Prediction(msgspec.Struct, gc=False):
    label: str
    probabilities: Any
    model_version: int
    request_id: str


class _Listed(msgspec.Struct, gc=False):
    label: str
    probabilities: Any


class _Predictions(msgspec.Struct, gc=False):
    predictions: list[_Listed]
    model_version: int
    request_id: str


class PredictionWriter:
    """Writes probabilities [n, classes] and labels as our JSON."""

    def __init__(self, classes: Sequence[str], version: int) -> None:
        self._classes = tuple(classes)
        self._version = version
        self._probabilities: type[Any] = msgspec.defstruct("Probabilities", [(name, float) for name in classes])
        self.encode: Final = msgspec.json.Encoder().encode

    def one(self, probabilities: Matrix, labels: Sequence[int], request_id: str) -> bytes:
        """The answer to one basket."""
        named = self._probabilities(*probabilities[0].tolist())
        return self.encode(_Prediction(self._classes[labels[0]], named, self._version, request_id))

    def several(self, probabilities: Matrix, labels: Sequence[int], request_id: str) -> bytes:
        """The answer to `instances`."""
        return self.encode(_Predictions(self.listed(probabilities, labels), self._version, request_id))

    def listed(self, probabilities: Matrix, labels: Sequence[int]) -> list[_Listed]:
        """One object per basket, to be encoded."""
        classes, named = self._classes, self._probabilities
        return [_Listed(classes[label], named(*row)) for label, row in zip(labels, probabilities.tolist(), strict=True)]


def detail(err: RequestError) -> bytes:
    """The reason under "detail"."""
    return msgspec.json.encode({"detail": err.detail})
