"""Decoded baskets -> rows of float32 numbers: categories by look-up, what is missing by its default.

Used by the decoders of every dialect that names or lists features in JSON or CSV.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import astuple

from psm_contract.cells import BLANKS, MISSING
from psm_contract.manifest import Feature
from psm_predictor.errors import RequestError
from psm_predictor.findings import finding
from psm_predictor.model import Matrix

CountUnknown = Callable[[int], None]
"""Counts a value that training did not know, by the number of its source."""

Basket = msgspec.Struct | tuple[Any, ...]
"""A basket as its schema's type holds it: features by name, or values in the model's order."""

_FLOAT_BYTES: Final = 4


class RowWriter:
    """Writes baskets for one model into a matrix."""

    def __init__(self, features: tuple[Feature, ...], count_unknown: CountUnknown) -> None:
        self._count_unknown = count_unknown
        self._features = features
        self._columns = len(features)
        self._pack = struct.Struct(f"={len(features)}f").pack_into
        self._defaults = [encoded_default(feature) for feature in features]
        self._categories = [
            (column, word_codes(feature), source)
            for source, (column, feature) in enumerate(
                ((column, feature) for column, feature in enumerate(features) if feature.kind == "category"), start=1
            )
        ]

    def matrix(self, baskets: Sequence[Basket]) -> Matrix:
        """The rows of several baskets, [baskets, features]."""
        matrix: Matrix = np.empty((len(baskets), self._columns), dtype=np.float32)
        buffer, width = matrix.data.cast("B"), self._columns * _FLOAT_BYTES
        for number, basket in enumerate(baskets):
            self.write(buffer, number * width, basket)
        return matrix

    def write(self, buffer: memoryview, offset: int, basket: Basket) -> None:
        """Writes one basket's row at the byte offset."""
        row = list(basket if isinstance(basket, tuple) else astuple(basket))
        for column, codes, source in self._categories:
            code = codes.get(row[column])
            if code is None:
                code = self._looked_up(column, row[column], codes, source)
            row[column] = code
        try:
            self._pack(buffer, offset, *row)
        except struct.error:  # a feature was left out: None is no number
            filled = (default if value is None else value for value, default in zip(row, self._defaults, strict=True))
            self._pack(buffer, offset, *filled)

    def _looked_up(self, column: int, value: Any, codes: Mapping[Any, int], source: int) -> int:
        """The code of a word that is none as it stands: with blanks around it, missing, or unknown to training."""
        word = meaning(value)
        code = codes.get(word)
        if code is not None:
            return code
        if word is None:
            fault = finding("missing", (self._features[column].name,), "is required and was left out", value)
            raise RequestError(422, [fault], "validation")
        self._count_unknown(source)
        return len(self._features[column].vocabulary) - 1


def meaning(value: Any) -> Any:
    """Return what a value of a category means: a text without blanks around it, None where it says that there is none."""
    if not isinstance(value, str):
        return value
    word = value.strip(BLANKS)
    return None if word in MISSING else word


def word_codes(feature: Feature) -> dict[str | float | None, int]:
    """The code of each word of a category; codes stand for themselves, and None is the default, if there is one."""
    codes: dict[str | float | None, int] = {}
    for number, word in enumerate(feature.vocabulary):
        codes[word] = codes[number] = number
    if feature.default is not None:
        codes[None] = codes[feature.default]
    return codes


def encoded_default(feature: Feature) -> float:
    """What a missing value becomes."""
    match feature.default:
        case str() as word:
            return float(feature.vocabulary.index(word))
        case None:
            return 0.0  # never used: the field is required
        case number:
            return number
