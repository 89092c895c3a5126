"""Bytes of a request -> bytes of its answer, for one loaded model. No I/O, no HTTP; called by `hotpath` and by the self-test.

What differs between protocols is a `Codec`, made by the protocol's `Dialect` for each model and thread:

    decode -> the model -> count and observe -> encode
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
import numpy as np

from psm_predictor.asgi import Header
from psm_predictor.errors import RequestError
from psm_predictor.model import Matrix, Model
from psm_predictor.request import RequestSchemas
from psm_predictor.rows import CountUnknown
from psm_predictor.telemetry import Recorder


class Head(msgspec.Struct, gc=False):
    """What a codec may know of a request beside its body.

    Attributes:
        request_id: The client's, or one made for it.
        headers: By lower-case name; of a repeated one the last.
    """

    request_id: str
    headers: Mapping[bytes, bytes] = {}


class Question(msgspec.Struct, gc=False):
    """A decoded request; codecs add what their answer depends on.

    Attributes:
        matrix: [n, features]; rows may be reused by the next request.
        request_id: By which the client knows the answer.
    """

    matrix: Matrix
    request_id: str


class Reply(msgspec.Struct, gc=False):
    """An answer of status 200; `headers` are all but its length."""

    body: bytes
    headers: tuple[Header, ...]


QuestionT = TypeVar("QuestionT", bound=Question)


class Codec(Protocol[QuestionT]):
    """One protocol's bodies for one model; holds buffers, so one thread at a time may use it."""

    def decode(self, body: bytes, head: Head) -> QuestionT:
        """The question; raises RequestError if the body is refused."""

    def encode(self, question: QuestionT, probabilities: Matrix, labels: Sequence[int]) -> Reply:
        """The answer.

        Args:
            question: What `decode` returned.
            probabilities: [n, classes].
            labels: Number of the most probable class of each row.
        """


class Dialect(Protocol):
    """One protocol, whatever model is loaded."""

    @property
    def route(self) -> int:
        """Its number in the telemetry."""

    @property
    def hint(self) -> str:
        """What to do instead, for a client that does not POST."""

    @property
    def in_thread(self) -> bool:
        """Whether every body, however small, takes too long for the event loop."""

    def codec(self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown) -> Codec[Any]:
        """Its bodies for the model."""

    def refusal(self, err: RequestError) -> bytes:
        """The JSON body that tells a client of this protocol why it was refused."""


class Observer(Protocol):
    """Watches answers."""

    def answered(self, matrix: Matrix, probabilities: Matrix, labels: Sequence[int], request_id: str) -> None:
        """One request was answered; its arrays are reused by the next one, so an observer copies what it keeps."""


class NoObserver:
    """Watches nothing: for the self-test."""

    def answered(self, matrix: Matrix, probabilities: Matrix, labels: Sequence[int], request_id: str) -> None:
        """Nothing."""


NULL_OBSERVER: Final = NoObserver()


class Answerer:
    """Answers requests in every dialect; its codecs hold buffers, so one thread at a time may use it."""

    def __init__(
        self,
        model: Model,
        dialects: Iterable[Dialect],
        schemas: RequestSchemas,
        recorder: Recorder,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        self._model = model
        self._recorder = recorder
        self._observed = observer.answered
        self._codecs = {dialect: dialect.codec(model, schemas, recorder.unknown) for dialect in dialects}

    def answer(self, dialect: Dialect, body: bytes, head: Head) -> Reply:
        """The answer in the dialect of the question.

        Raises:
            RequestError: The body is refused.
        """
        codec = self._codecs[dialect]
        question = codec.decode(body, head)
        probabilities = self._model.probabilities(question.matrix)
        labels = self._labels(probabilities)
        self._observed(question.matrix, probabilities, labels, question.request_id)
        return codec.encode(question, probabilities, labels)

    def _labels(self, probabilities: Matrix) -> list[int]:
        """The most probable class of each row, counted."""
        if len(probabilities) == 1:  # numpy's way costs a microsecond more
            row = probabilities[0].tolist()
            label = row.index(max(row))
            self._recorder.predicted(label)
            return [label]
        labels = probabilities.argmax(axis=1)
        for label, count in enumerate(np.bincount(labels).tolist()):
            self._recorder.predicted(label, count)
        listed: list[int] = labels.tolist()
        return listed
