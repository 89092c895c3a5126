"""What the steps of a run hand to each other."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psm_predictor.findings import Finding
from psm_predictor.model import Matrix

RowNumbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row, or a basket, that gets no answer.

    Attributes:
        row: Number of the row in the file, from 0; of a basket, that of its first line.
        reasons: As the `detail` of a 422 of POST /predict.
        basket: BASKET_ID, where the file has till lines.
    """

    row: int
    reasons: list[Finding]
    basket: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of the file.

    Attributes:
        batch: The rows that could be read.
        rows: Their numbers in the file, ascending; a number that is left out is a row that could not be read.
        malformed: Those that could not be read.
    """

    batch: pa.RecordBatch
    rows: RowNumbers
    malformed: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some baskets, judged.

    Attributes:
        rows_read: Rows of the file that this chunk ends; for progress.
        keys: Columns of the output that say which basket it is, [baskets].
        matrix: The model's input, [baskets, features].
        refused: What gets no answer.
        unknown: How often training did not know a product or a category's word, by feature.
    """

    rows_read: int
    keys: pa.RecordBatch
    matrix: Matrix
    refused: list[Refused]
    unknown: Counter[str] = field(default_factory=Counter)


class Form(Protocol):
    """One of the two forms of input: ready features, or till lines."""

    columns: tuple[str, ...]
    """Columns of the file that are read."""
    keys: pa.Schema
    """Schema of the chunks' keys."""
    notes: tuple[str, ...]
    """What the user should know about the columns before it starts."""

    def chunks(self, pieces: Iterator[Piece]) -> Iterator[Chunk]:
        """Judges the pieces; InputError when the file as a whole is not what it should be."""
