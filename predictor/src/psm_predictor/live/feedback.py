"""Labels that come after the answer: the shape of feedback, and how it finds its prediction.

First in the memory of the pod, whichever of its workers answered. Other pods' predictions cannot be found there, so a
client may send along what it was answered: label and model version. What is in memory counts more than what is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from psm_predictor.live.layout import Outcome
from psm_predictor.live.memory import MemoryRing, PredictionMemory, Remembered

Label = Literal["LA", "MM", "UM"]
MOST_CHARACTERS: Final = 256
MOST_INDEX: Final = 1_000_000


class Feedback(BaseModel):
    """What a basket turned out to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request_id: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)] = Field(
        description="request_id of the answer."
    )
    label: Label = Field(description="What the basket turned out to be.")
    index: Annotated[int, Field(ge=0, le=MOST_INDEX)] | None = Field(
        default=None, description="Which basket of the request, from 0; may be left out where it was one."
    )
    predicted: Label | None = Field(
        default=None,
        description="The label that was answered. Counts, with model_version, where this pod does not know the request.",
    )
    model_version: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="model_version of the answer; feedback for another version does not count."
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item.

    Attributes:
        predicted: The label that was answered; None unless the item counts.
        baskets: How many baskets the request had, where that is known.
    """

    item: Feedback
    outcome: Outcome
    predicted: str | None = None
    baskets: int | None = None


class Matcher:
    """Finds the predictions of one model version; `ring` keeps those that were sent along."""

    def __init__(self, memory: PredictionMemory, ring: MemoryRing, classes: Sequence[str], version: int) -> None:
        self._memory = memory
        self._ring = ring
        self._classes = tuple(classes)
        self._version = version

    def match(self, items: Sequence[Feedback]) -> list[Result]:
        """What becomes of each item, in order."""
        names = {name for item in items for name in (item.request_id, _sent_name(item))}
        known = self._memory.find(sorted(names))
        return [self._match(item, known) for item in items]

    def _match(self, item: Feedback, known: dict[str, Remembered]) -> Result:
        if item.model_version not in (None, self._version):
            return Result(item, Outcome.OTHER_VERSION)
        request = known.get(item.request_id)
        if request is not None:
            return self._remembered(item, request)
        if _sent_name(item) in known:
            return Result(item, Outcome.DUPLICATE)
        if item.predicted is None or item.model_version is None:
            return Result(item, Outcome.UNKNOWN)
        self._ring.remember_answered(_sent_name(item), self._classes.index(item.predicted))
        known[_sent_name(item)] = Remembered(0, 0, 1)  # a second one in the same list is a duplicate
        return Result(item, Outcome.COUNTED, item.predicted)

    def _remembered(self, item: Feedback, request: Remembered) -> Result:
        index = item.index if item.index is not None else 0 if request.count == 1 else request.count
        if index >= request.count:
            return Result(item, Outcome.AMBIGUOUS, baskets=request.count)
        label = self._memory.take(request, index)
        if label is None:
            return Result(item, Outcome.DUPLICATE)
        return Result(item, Outcome.COUNTED, self._classes[label])


def _sent_name(item: Feedback) -> str:
    """By which a prediction that was sent along is remembered; no request id has a line break."""
    return f"{item.request_id}\n{item.index or 0}"


ONE: Final[TypeAdapter[Feedback]] = TypeAdapter(Feedback)


def several(most: int) -> TypeAdapter[Any]:
    """Lists of feedback."""
    return TypeAdapter(Annotated[list[Feedback], Field(min_length=1, max_length=most)])
