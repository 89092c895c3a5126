"""Rows of ready features -> chunks. A row is judged as an instance of POST /predict is; other columns are carried along."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psm_contract.manifest import Feature
from psm_predictor.batch.chunk import Chunk, Piece, Refused
from psm_predictor.batch.columns import Mask, Numbers, Rule, plain_value
from psm_predictor.batch.errors import InputError
from psm_predictor.findings import Finding, finding, findings
from psm_predictor.model import Matrix, Model
from psm_predictor.request import RequestSchemas
from psm_predictor.rows import encoded_default

ROW: Final = "row"
"""First column of every output: which row of the input it answers."""


class InstanceForm:
    """One basket a row, features by name; a column that is left out, or empty, takes the manifest's default."""

    def __init__(
        self, model: Model, schemas: RequestSchemas, given: pa.Schema, keep: Sequence[str] | None, *, is_text_file: bool
    ) -> None:
        self._features = model.manifest.features
        self._schema = schemas.instance
        required = frozenset(self._schema["required"])
        properties = self._schema["properties"]
        self._rules = {name: Rule.of(name, properties[name], required=name in required) for name in properties}
        present = [name for name in given.names if name in self._rules]
        for name in present:
            self._rules[name].check_type(given.field(name).type, is_text_file=is_text_file)
        carried = [name for name in given.names if name not in self._rules] if keep is None else list(keep)
        self._present = frozenset(present)
        self._carried = carried
        self.columns = tuple(dict.fromkeys([*present, *carried]))
        self.keys = pa.schema([pa.field(ROW, pa.int64()), *(given.field(name) for name in carried)])
        absent = [feature.name for feature in self._features if feature.name not in self._present]
        self.notes = tuple(
            note
            for note in (
                f"not in the file, so defaults are used: {', '.join(absent)}" if absent else "",
                f"no features, carried along: {', '.join(carried)}" if carried and keep is None else "",
            )
            if note
        )

    def chunks(self, pieces: Iterator[Piece]) -> Iterator[Chunk]:
        """One chunk per piece."""
        return (self._chunk(piece) for piece in pieces)

    def _chunk(self, piece: Piece) -> Chunk:
        batch = piece.batch
        unknown: Counter[str] = Counter()
        matrix: Matrix = np.empty((len(batch), len(self._features)), dtype=np.float32)
        bad = np.zeros(len(batch), dtype=np.bool_)
        for number, feature in enumerate(self._features):
            if feature.name not in self._present:
                matrix[:, number] = encoded_default(feature)
                continue
            values, at_fault = self._encoded(feature, batch.column(feature.name), unknown)
            matrix[:, number] = np.where(at_fault, 0.0, values)
            bad |= at_fault
        refused = [self._refused(batch, piece.rows, int(index)) for index in np.flatnonzero(bad)]
        good = pa.array(~bad)
        keys = pa.RecordBatch.from_arrays(
            [pa.array(piece.rows), *(batch.column(name) for name in self._carried)], schema=self.keys
        )
        return Chunk(
            rows_read=len(batch) + len(piece.malformed),
            keys=keys.filter(good) if refused else keys,
            matrix=matrix[~bad] if refused else matrix,
            refused=[*piece.malformed, *refused],
            unknown=unknown,
        )

    def _encoded(self, feature: Feature, column: pa.Array, unknown: Counter[str]) -> tuple[Numbers, Mask]:
        rule = self._rules[feature.name]
        if feature.kind == "number":
            values, bad = rule.numbers(column)
            return np.where(np.isnan(values), encoded_default(feature), values), bad
        texts, bad = rule.texts(column)
        codes = pc.index_in(texts, pa.array(feature.vocabulary, texts.type))
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        is_unknown = codes.is_null().to_numpy(zero_copy_only=False) & ~missing
        unknown[feature.name] += int(np.count_nonzero(is_unknown & ~bad))
        encoded: Numbers = pc.fill_null(codes, 0).to_numpy(zero_copy_only=False).astype(np.float64)
        encoded[is_unknown] = len(feature.vocabulary) - 1
        encoded[missing] = encoded_default(feature)
        return encoded, bad

    def _refused(self, batch: pa.RecordBatch, rows: Any, index: int) -> Refused:
        document = {
            name: plain_value(self._rules[name], batch.column(name)[index].as_py())
            for name in batch.schema.names
            if name in self._present
        }
        return Refused(int(rows[index]), explained(findings(document, self._schema)))


def explained(found: list[Finding]) -> list[Finding]:
    """The findings; never none, so that whoever reads the file of refused rows is not left without a word."""
    return found or [finding("refused", (), "is refused, and no rule says why: please report this", None)]


def check_names(names: Sequence[str], given: pa.Schema) -> None:
    """Refuses columns to keep that the file does not have.

    Raises:
        InputError: One is not there.
    """
    if absent := [name for name in names if name not in given.names]:
        raise InputError(f"--keep names {', '.join(absent)}; the columns are {', '.join(given.names)}")
