"""Bytes of a request -> bytes of its answer, for one loaded model. No I/O, no HTTP; called by `hotpath` and by the self-test."""

from typing import Any, Final

import msgspec
import numpy as np

from psm_predictor.model import Matrix, Model
from psm_predictor.request import RequestDecoder, RequestSchemas
from psm_predictor.telemetry import Recorder


class Answerer:
    """Answers predictions; holds a buffer, so one thread at a time may use it."""

    def __init__(self, model: Model, schemas: RequestSchemas, recorder: Recorder, *, version: int) -> None:
        classes: Final = model.manifest.classes
        self._model = model
        self._recorder = recorder
        self._version = version
        self._classes = classes
        self._decode = RequestDecoder(model, schemas, recorder.unknown).decode
        self._encode = msgspec.json.Encoder().encode
        self._probabilities: type[Any] = msgspec.defstruct("Probabilities", [(name, float) for name in classes])

    def answer(self, body: bytes, request_id: str) -> bytes:
        """The JSON answer.

        Raises:
            RequestError: The body is refused.
        """
        matrix, is_list = self._decode(body)
        probabilities = self._model.probabilities(matrix)
        if is_list:
            return self._list_answer(probabilities, request_id)
        row = probabilities[0].tolist()
        label = row.index(max(row))
        self._recorder.predicted(label)
        return self._encode(
            {
                "label": self._classes[label],
                "probabilities": self._probabilities(*row),
                "model_version": self._version,
                "request_id": request_id,
            }
        )

    def _list_answer(self, probabilities: Matrix, request_id: str) -> bytes:
        labels = probabilities.argmax(axis=1)
        for label, count in enumerate(np.bincount(labels).tolist()):
            self._recorder.predicted(label, count)
        predictions = [
            {"label": self._classes[label], "probabilities": self._probabilities(*row)}
            for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True)
        ]
        return self._encode({"predictions": predictions, "model_version": self._version, "request_id": request_id})
