"""The body of POST /predict -> the model's input matrix.

Three forms: one basket as ready features, `{"instances": [...]}`, and `{"lines": [...]}`, the till lines of one basket.
Used by `answer` for every request and by nobody else. Bytes go through msgspec straight into a float32 buffer; only a
body that is refused is looked at twice, to say why.
"""

import re
import struct
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final, cast

import msgspec
import numpy as np

from psm_contract.features import CONTEXT, Lines, basket_features
from psm_contract.manifest import Feature
from psm_contract.schema import Line
from psm_contract.tables import LEVELS, UNKNOWN, Tables
from psm_predictor import findings
from psm_predictor.errors import RequestError
from psm_predictor.model import Matrix, Model
from psm_predictor.schema import Schema, instance_schema, line_schema, list_schema, struct_of
from psm_predictor.settings import RequestLimits

_LIST_FORM: Final = re.compile(rb'\s*\{\s*"(instances|lines)"\s*:\s*\[')
_PRODUCT: Final = LEVELS[0]
_FLOAT_BYTES: Final = 4

CountUnknown = Callable[[int], None]


class RequestSchemas:
    """The JSON Schemas of the three forms for one model; `document` is what OpenAPI shows."""

    def __init__(self, features: Iterable[Feature], limits: RequestLimits) -> None:
        self.instance: Schema = instance_schema(tuple(features))
        self.instances = list_schema("instances", self.instance, limits.instances, "Several baskets as ready features.")
        self.lines = list_schema("lines", line_schema(), limits.lines, "The till lines of one basket.")

    def for_document(self, document: Any) -> Schema:
        """The form that a document means to be."""
        match document:
            case {"instances": _}:
                return self.instances
            case {"lines": _}:
                return self.lines
            case _:
                return self.instance


def unknown_sources(features: Iterable[Feature]) -> tuple[str, ...]:
    """What can be unknown to training, in the order of the counters: products, then the category features."""
    return (_PRODUCT, *(feature.name for feature in features if feature.kind == "category"))


class RequestDecoder:
    """Decodes bodies for one model into a reused buffer; not safe for use by two threads at once."""

    def __init__(self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown) -> None:
        features = model.manifest.features
        self._schemas = schemas
        self._tables: Tables = model.tables
        self._count_unknown = count_unknown
        instances = struct_of("Instances", schemas.instances)
        lines = struct_of("Lines", schemas.lines)
        self._one = msgspec.json.Decoder(struct_of("Instance", schemas.instance))
        self._many = {
            b"instances": (msgspec.json.Decoder(instances), self._matrix),
            b"lines": (msgspec.json.Decoder(lines), self._from_lines),
        }
        self._rows = _RowWriter(features, count_unknown)
        self._single = np.zeros((1, len(features)), dtype=np.float32)
        self._single_bytes = self._single.data.cast("B")

    def decode(self, body: bytes) -> tuple[Matrix, bool]:
        """The matrix and whether the answer is a list.

        The matrix of a single basket is reused by the next call.

        Raises:
            RequestError: 422 with every field at fault.
        """
        form = _LIST_FORM.match(body)
        try:
            if form is None:
                self._rows.write(self._single_bytes, 0, self._one.decode(body))
                return self._single, False
            decoder, convert = self._many[form[1]]
            return convert(decoder.decode(body)), form[1] == b"instances"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
            return self._reconsider(body, err)

    def _reconsider(self, body: bytes, err: Exception) -> tuple[Matrix, bool]:
        """A body that did not decode: says why."""
        try:
            document = findings.parse(body)
        except ValueError as fault:
            at_fault = [findings.finding("json_invalid", (), f"is not JSON: {fault}", f"{len(body)} bytes")]
            raise RequestError(422, at_fault, "validation") from err
        found = findings.findings(document, self._schemas.for_document(document))
        if not found:  # what JSON allows and UTF-8 does not, such as half a surrogate pair
            found = [findings.finding("json_invalid", (), f"cannot be decoded: {err}", f"{len(body)} bytes")]
        raise RequestError(422, found, "validation") from err

    def _matrix(self, decoded: Any) -> Matrix:
        instances: list[msgspec.Struct] = decoded.instances
        matrix: Matrix = np.empty((len(instances), self._single.shape[1]), dtype=np.float32)
        view = matrix.data.cast("B")
        width = self._single.shape[1] * _FLOAT_BYTES
        for number, instance in enumerate(instances):
            self._rows.write(view, number * width, instance)
        return matrix

    def _from_lines(self, decoded: Any) -> Matrix:
        lines: list[Any] = decoded.lines
        _check_one_basket(lines)
        self._count_unknown_lines(lines)
        basket = [cast(Line, msgspec.structs.asdict(line)) for line in lines]
        return basket_features(Lines.from_baskets([basket]), self._tables)

    def _count_unknown_lines(self, lines: list[Any]) -> None:
        known = self._tables.known(0, [line.PROD_CODE for line in lines])
        for _ in range(int(np.count_nonzero(known == UNKNOWN))):
            self._count_unknown(0)
        categories = (spec for spec in CONTEXT if spec.kind == "category")
        for number, (spec, words) in enumerate(zip(categories, self._tables.vocabularies, strict=True), start=1):
            value = getattr(lines[0], spec.source or "", None)
            if value is not None and value not in words:
                self._count_unknown(number)


class _RowWriter:
    """Writes one instance as float32 numbers: categories by look-up, what is missing by its default."""

    def __init__(self, features: tuple[Feature, ...], count_unknown: CountUnknown) -> None:
        self._count_unknown = count_unknown
        self._row = attrgetter(*(feature.name for feature in features)) if len(features) > 1 else _astuple
        self._pack = struct.Struct(f"={len(features)}f").pack_into
        self._defaults = [_encoded_default(feature) for feature in features]
        self._categories = [
            (column, _codes(feature), len(feature.vocabulary) - 1, source)
            for source, (column, feature) in enumerate(
                ((column, feature) for column, feature in enumerate(features) if feature.kind == "category"), start=1
            )
        ]

    def write(self, buffer: memoryview, offset: int, instance: msgspec.Struct) -> None:
        """Writes the instance's row at the byte offset."""
        row = list(self._row(instance))
        for column, codes, other, source in self._categories:
            code = codes.get(row[column])
            if code is None:
                self._count_unknown(source)
                code = other
            row[column] = code
        try:
            self._pack(buffer, offset, *row)
        except struct.error:  # a feature was left out: None is no number
            self._pack(
                buffer,
                offset,
                *(default if value is None else value for value, default in zip(row, self._defaults, strict=True)),
            )


def _astuple(instance: msgspec.Struct) -> tuple[Any, ...]:
    return msgspec.structs.astuple(instance)


def _codes(feature: Feature) -> dict[str | None, int]:
    codes: dict[str | None, int] = {word: number for number, word in enumerate(feature.vocabulary)}
    if feature.default is not None:
        codes[None] = codes[cast(str, feature.default)]
    return codes


def _encoded_default(feature: Feature) -> float:
    match feature.default:
        case str() as word:
            return float(feature.vocabulary.index(word))
        case None:
            return 0.0  # never used: the field is required
        case number:
            return number


def _check_one_basket(lines: list[Any]) -> None:
    first = lines[0].BASKET_ID
    for number, line in enumerate(lines):
        if first != line.BASKET_ID:
            message = f"must be the basket of the first line, {first}; send one request per basket"
            at = ("lines", number, "BASKET_ID")
            raise RequestError(422, [findings.finding("other_basket", at, message, line.BASKET_ID)], "validation")
