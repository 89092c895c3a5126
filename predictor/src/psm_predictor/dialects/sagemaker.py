"""POST /invocations: SageMaker hosting and Batch Transform, in JSON, JSON Lines or CSV.

JSON in the forms of /predict, and a bare list as SageMaker's own scikit-learn container takes it; a basket in a list is
an object, or the values of its features in the model's order. JSON Lines and CSV have one basket per line and are
answered line by line, so that Batch Transform can join answers to questions.
"""

import codecs
import csv
import io
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from psm_contract import cells
from psm_contract.manifest import Feature
from psm_contract.physical import BLANK, checked
from psm_predictor import findings
from psm_predictor.answer import Head, Question, Reply
from psm_predictor.dialects.predict import PredictionWriter, detail
from psm_predictor.errors import RequestError
from psm_predictor.model import Matrix, Model
from psm_predictor.request import DECODE_ERRORS, Form, JsonDecoder, RequestSchemas, may_break_texts
from psm_predictor.rows import CountUnknown, RowWriter, meaning
from psm_predictor.schema import Schema, type_of
from psm_predictor.settings import RequestLimits
from psm_predictor.telemetry import route_number


class Format(Enum):
    """How a body is written."""

    JSON = "application/json"
    JSON_LINES = "application/jsonlines"
    CSV = "text/csv"


FORMATS: Final = {
    b"application/json": Format.JSON,
    b"application/jsonlines": Format.JSON_LINES,
    b"application/x-jsonlines": Format.JSON_LINES,
    b"application/x-ndjson": Format.JSON_LINES,
    b"text/csv": Format.CSV,
}
_NAMES: Final = ", ".join(one.value for one in Format)
LABEL_COLUMN: Final = "label"
_BLANK: Final = b" \t\r\n"
_BYTE_ORDER_MARK: Final = codecs.BOM_UTF8
_MOST_SHOWN: Final = 100
_CONTENT_TYPE: Final = {one: (b"content-type", one.value.encode()) for one in Format}


class InvocationQuestion(Question, gc=False):
    """Baskets and how their answer is written.

    Attributes:
        form: What a JSON answer follows.
        answer_as: Format of the answer.
        with_header: Whether a CSV answer begins with the names of its columns, as its question did.
    """

    form: Form
    answer_as: Format
    with_header: bool


class SageMakerDialect:
    """The dialect of /invocations."""

    route: Final = route_number("/invocations")
    hint: Final = "POST baskets to /invocations; GET /docs shows how"
    in_thread: Final = False

    def __init__(self, version: int, limits: RequestLimits) -> None:
        self._version = version
        self._most = limits.instances

    def codec(self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown) -> "InvocationCodec":
        """Its bodies for the model."""
        return InvocationCodec(model, schemas, count_unknown, version=self._version, most=self._most)

    def refusal(self, err: RequestError) -> bytes:
        """As /predict writes it; SageMaker passes the text on."""
        return detail(err)


class InvocationCodec:
    """Bodies of /invocations for one model."""

    def __init__(
        self, model: Model, schemas: RequestSchemas, count_unknown: CountUnknown, *, version: int, most: int
    ) -> None:
        rows = RowWriter(model.manifest.features, count_unknown)
        self._json = JsonDecoder(model, schemas.invocations, rows, count_unknown).decode
        self._decoders: dict[Format, Callable[[bytes], tuple[Matrix, bool]]] = {
            Format.JSON_LINES: _JsonLines(schemas.listed, rows, most).decode,
            Format.CSV: _Csv(model.manifest.features, schemas.row, rows, most).decode,
        }
        self._write = PredictionWriter(model.manifest.classes, version)
        self._classes = model.manifest.classes
        columns = (LABEL_COLUMN, *(f"probability_{name}" for name in self._classes))
        self._header = ",".join(columns) + "\n"
        self._encode_lines = msgspec.json.Encoder().encode_lines

    def decode(self, body: bytes, head: Head) -> InvocationQuestion:
        """The baskets; raises RequestError 415, 406 or 422."""
        asked = _content_type(head.headers.get(b"content-type"))
        answer_as = _accepted(head.headers.get(b"accept"), asked)
        with_header = False
        if asked is Format.JSON:
            matrix, form = self._json(body)
        else:
            (matrix, with_header), form = self._decoders[asked](body), Form.INSTANCES
        return InvocationQuestion(matrix, head.request_id, form, answer_as, with_header)

    def encode(self, question: InvocationQuestion, probabilities: Matrix, labels: Sequence[int]) -> Reply:
        """In the accepted format; JSON in the form of the question."""
        match question.answer_as:
            case Format.JSON:
                body = self._json_answer(question, probabilities, labels)
            case Format.JSON_LINES:
                body = self._encode_lines(self._write.listed(probabilities, labels))
            case Format.CSV:
                body = self._csv_answer(probabilities, labels, with_header=question.with_header)
        return Reply(body, (_CONTENT_TYPE[question.answer_as], (b"x-request-id", question.request_id.encode())))

    def _json_answer(self, question: InvocationQuestion, probabilities: Matrix, labels: Sequence[int]) -> bytes:
        match question.form:
            case Form.INSTANCES:
                return self._write.several(probabilities, labels, question.request_id)
            case Form.LIST:
                return self._write.encode(self._write.listed(probabilities, labels))
            case Form.BASKET | Form.LINES:
                return self._write.one(probabilities, labels, question.request_id)

    def _csv_answer(self, probabilities: Matrix, labels: Sequence[int], *, with_header: bool) -> bytes:
        lines = [self._header] if with_header else []
        for label, row in zip(labels, probabilities.tolist(), strict=True):
            lines.append(f"{self._classes[label]},{','.join(map(repr, row))}\n")
        return "".join(lines).encode()


def _content_type(value: bytes | None) -> Format:
    """The format of the question; JSON unless said."""
    if value is None:
        return Format.JSON
    known = FORMATS.get(_media_type(value))
    if known is None:
        raise RequestError(415, f"content type {_shown(value)} is not supported; send one of {_NAMES}", "validation")
    return known


def _accepted(value: bytes | None, asked: Format) -> Format:
    """The format of the answer: the first one accepted, that of the question where all are."""
    if value is None:
        return asked
    for part in value.split(b","):
        media_type = _media_type(part)
        if media_type in (b"*/*", b""):
            return asked
        if media_type in FORMATS:
            return FORMATS[media_type]
    raise RequestError(406, f"cannot answer with {_shown(value)}; accept one of {_NAMES}", "validation")


def _media_type(value: bytes) -> bytes:
    return value.partition(b";")[0].strip().lower()


def _shown(value: bytes) -> str:
    return value[:_MOST_SHOWN].decode("ascii", errors="replace")


class _JsonLines:
    """One basket per line: an object of features, or a list of values."""

    def __init__(self, schema: Schema, rows: RowWriter, most: int) -> None:
        self._schema = schema
        self._decode = msgspec.json.Decoder(type_of("Line", schema["items"])).decode_lines
        self._rows = rows
        self._most = most

    def decode(self, body: bytes) -> tuple[Matrix, bool]:
        """The matrix; raises RequestError 422."""
        try:
            baskets = self._decode(body)
        except DECODE_ERRORS as err:
            raise self._refusal(body, err) from err
        if may_break_texts(body):
            documents = [findings.parse(line) for line in io.BytesIO(body) if line.strip(_BLANK)]
            if found := findings.findings(documents, self._schema):
                raise RequestError(422, found, "validation")
        if not 1 <= len(baskets) <= self._most:
            raise _wrong_count(len(baskets), self._most)
        return self._rows.matrix(baskets), False

    def _refusal(self, body: bytes, err: Exception) -> RequestError:
        """The first line that is not JSON, else every field at fault."""
        documents = []
        for number, line in enumerate(line for line in io.BytesIO(body) if line.strip(_BLANK)):
            if number == self._most:
                return _wrong_count(f"more than {self._most}", self._most)
            try:
                documents.append(findings.parse(line))
            except ValueError as fault:
                found = [findings.finding("json_invalid", (number,), f"is not JSON: {fault}", f"{len(line)} bytes")]
                return RequestError(422, found, "validation")
        found = findings.findings(documents, self._schema)
        if not found:
            found = [findings.finding("json_invalid", (), f"cannot be decoded: {err}", f"{len(body)} bytes")]
        return RequestError(422, found, "validation")


class _Csv:
    """One basket per line: values in the model's order, or in the order of a header; an empty cell is the default."""

    def __init__(self, features: Sequence[Feature], row: Schema, rows: RowWriter, most: int) -> None:
        self._names = tuple(feature.name for feature in features)
        self._read = [_number if feature.kind == "number" else _word for feature in features]
        self._required = tuple(feature.name for feature in features if feature.default is None)
        self._schema: Schema = {"type": "array", "items": row, "minItems": 1, "maxItems": most}
        self._type: Any = list[type_of("Row", row)]  # type: ignore[misc]  # a type made at run time
        self._rows = rows
        self._most = most

    def decode(self, body: bytes) -> tuple[Matrix, bool]:
        """The matrix and whether there was a header; raises RequestError 422."""
        table, with_header = self._table(body)
        if not table:
            raise _wrong_count(0, self._most)
        if len(table) > self._most:
            raise _wrong_count(f"more than {self._most}", self._most)
        rows = [
            row if len(row) != len(self._read) else [read(cell) for read, cell in zip(self._read, row, strict=False)]
            for row in table
        ]
        if found := findings.findings(rows, self._schema):
            raise RequestError(422, found, "validation")
        return self._rows.matrix(msgspec.convert(rows, self._type)), with_header

    def _table(self, body: bytes) -> tuple[list[list[str]], bool]:
        """Rows of cells in the model's order, without the header."""
        text = body.removeprefix(_BYTE_ORDER_MARK).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        piece = checked(text if text.endswith(b"\n") or not text else text + b"\n", 1)
        faults = {number: reason for number, reason in piece.faults.items() if reason != BLANK}
        if faults and len(piece.numbers) + len(faults) <= self._most + 1:
            number, reason = next(iter(faults.items()))
            message = f"is not CSV in UTF-8: line {number} {reason}"
            raise RequestError(422, [findings.finding("csv_invalid", (), message, f"{len(body)} bytes")], "validation")
        lines = piece.text.decode().split("\n")[:-1][: self._most + 2]  # with a header, and one too many
        rows = list(csv.reader(lines, strict=True))
        header = [cell.strip(cells.BLANKS) for cell in rows[0]] if rows else []
        if not set(self._names).intersection(header):
            return rows, False
        places = self._places(header)
        for number, row in enumerate(rows[1:]):
            if len(row) != len(header):
                message = f"must have {len(header)} values as the header has, it has {len(row)}"
                found = [findings.finding("wrong_length", (number,), message, f"{len(row)} values")]
                raise RequestError(422, found, "validation")
        return [["" if place is None else row[place] for place in places] for row in rows[1:]], True

    def _places(self, header: list[str]) -> list[int | None]:
        """Where each feature's value is in a row of the file."""
        places = {name: number for number, name in enumerate(header)}
        found = [
            findings.finding("extra_forbidden", (name[:_MOST_SHOWN],), "is not a feature; GET /model lists them", name)
            for name in header
            if name not in self._names
        ]
        found += [
            findings.finding("missing", (name,), "is required, and the header does not name it", None)
            for name in self._required
            if name not in places
        ]
        if len(places) < len(header):
            found.append(findings.finding("repeated", (), "the header names a column twice", f"{len(header)} columns"))
        if found:
            raise RequestError(422, found[: findings.MOST_FINDINGS], "validation")
        return [places.get(name) for name in self._names]


def _number(cell: str) -> float | str | None:
    """The number that a cell spells; the cell itself, for the findings, if it spells none."""
    try:
        return cells.number(cell)
    except cells.CellError:
        return cell


def _word(cell: str) -> str | None:
    """The cell as JSON would have it: judged by the same schema."""
    return None if meaning(cell) is None else cell


def _wrong_count(count: int | str, most: int) -> RequestError:
    found = [findings.finding("wrong_length", (), f"must have 1 to {most} baskets, it has {count}", f"{count} baskets")]
    return RequestError(422, found, "validation")
