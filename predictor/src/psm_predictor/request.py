"""JSON bodies -> the model's input matrix.

Forms: one basket as ready features, `{"instances": [...]}`, `{"lines": [...]}` with the till lines of one basket, and,
where a dialect has it, a bare list of baskets. Bytes go through msgspec straight into a float32 buffer; only a body that
is refused is looked at twice, to say why.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Final, cast

import msgspec
import numpy as np

from psm_contract.features import CONTEXT, Lines, basket_features
from psm_contract.manifest import Feature
from psm_contract.schema import ALIASES, Line, calendar_fault
from psm_contract.tables import LEVELS, UNKNOWN, Tables
from psm_predictor import findings
from psm_predictor.errors import RequestError
from psm_predictor.model import Matrix, Model
from psm_predictor.rows import CountUnknown, RowWriter, meaning
from psm_predictor.schema import Schema, array_schema, instance_schema, line_schema, object_schema, row_schema, type_of
from psm_predictor.settings import RequestLimits

_LIST_FORM: Final = re.compile(rb'\s*(?:\{\s*"(instances|lines)"\s*:\s*)?\[')
_PRODUCT: Final = LEVELS[0]
_TEXTS: Final = (*LEVELS, *(spec.source for spec in CONTEXT if spec.kind == "category" and spec.source is not None))
"""Columns of text that a prediction is made of."""

_meaning: Final = lru_cache(16_384)(meaning)
DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what its type says."""


def may_break_texts(body: bytes) -> bool:
    """Whether a JSON body can hold a control character in a text: JSON writes them with a backslash, but for DEL."""
    return b"\\" in body or b"\x7f" in body


class Form(Enum):
    """How a body puts its baskets."""

    BASKET = "one basket as ready features"
    INSTANCES = "several, as a member of an object"
    LINES = "the till lines of one"
    LIST = "several, as a bare list"


_FORMS: Final = {b"instances": Form.INSTANCES, b"lines": Form.LINES, None: Form.LIST}
"""By what `_LIST_FORM` captures."""


class RequestSchemas:
    """The JSON Schemas of all forms for one model: what decoders enforce and OpenAPI shows.

    Attributes:
        instance: A basket as an object of features.
        row: A basket as a list of values.
        predict: What a body of /predict may be.
        invocations: What a JSON body of /invocations may be.
        listed: Baskets as /invocations takes them: objects, or lists of values.
    """

    def __init__(self, features: Iterable[Feature], limits: RequestLimits) -> None:
        features = tuple(features)
        most = limits.instances
        self.instance = instance_schema(features)
        self.row = row_schema(features)
        self.listed = array_schema({"anyOf": [self.instance, self.row]}, most)
        several = "Several baskets as ready features."
        lines = object_schema("lines", array_schema(line_schema(), limits.lines), "The till lines of one basket.")
        self.predict: dict[Form, Schema] = {
            Form.BASKET: self.instance,
            Form.INSTANCES: object_schema("instances", array_schema(self.instance, most), several),
            Form.LINES: lines,
        }
        self.invocations: dict[Form, Schema] = {
            Form.BASKET: self.instance,
            Form.INSTANCES: object_schema("instances", self.listed, several),
            Form.LINES: lines,
            Form.LIST: self.listed,
        }


def unknown_sources(features: Iterable[Feature]) -> tuple[str, ...]:
    """What can be unknown to training, in the order of the counters: products, then the category features."""
    return (_PRODUCT, *(feature.name for feature in features if feature.kind == "category"))


class JsonDecoder:
    """Decodes bodies for one model into a reused buffer; not safe for use by two threads at once."""

    def __init__(self, model: Model, forms: dict[Form, Schema], rows: RowWriter, count_unknown: CountUnknown) -> None:
        self._forms = forms
        self._rows = rows
        self._one = msgspec.json.Decoder(type_of("Instance", forms[Form.BASKET])).decode
        self._single = np.zeros((1, len(model.manifest.features)), dtype=np.float32)
        self._single_bytes = self._single.data.cast("B")
        lines = _LinesConverter(model.tables, count_unknown)
        converters: dict[Form, Callable[[Any], Matrix]] = {
            Form.INSTANCES: lambda decoded: rows.matrix(decoded.instances),
            Form.LINES: lambda decoded: lines.matrix(decoded.lines),
            Form.LIST: rows.matrix,
        }
        self._lists = {
            form: (msgspec.json.Decoder(type_of(form.name, schema)).decode, converters[form])
            for form, schema in forms.items()
            if form is not Form.BASKET
        }

    def decode(self, body: bytes) -> tuple[Matrix, Form]:
        """The matrix and how the body put it; the matrix of a single basket is reused by the next call.

        Raises:
            RequestError: 422 with every field at fault.
        """
        match = _LIST_FORM.match(body)
        try:
            if match is not None and (form := _FORMS[match[1]]) in self._lists:
                decode, convert = self._lists[form]
                decoded = decode(body)
                self._check_texts(body)
                return convert(decoded), form
            one = self._one(body)
            self._check_texts(body)
        except DECODE_ERRORS as err:
            raise self._refusal(body, err) from err
        self._rows.write(self._single_bytes, 0, one)
        return self._single, Form.BASKET

    def _check_texts(self, body: bytes) -> None:
        """Refuse texts with control characters."""
        if may_break_texts(body):
            document = findings.parse(body)
            if found := findings.findings(document, self._meant(document)):
                raise RequestError(422, found, "validation")

    def _refusal(self, body: bytes, err: Exception) -> RequestError:
        """Why a body did not decode."""
        try:
            document = findings.parse(body)
        except ValueError as fault:
            at_fault = [findings.finding("json_invalid", (), f"is not JSON: {fault}", f"{len(body)} bytes")]
            return RequestError(422, at_fault, "validation")
        found = findings.findings(document, self._meant(document))
        if not found:  # what JSON allows and UTF-8 does not, such as half a surrogate pair
            found = [findings.finding("json_invalid", (), f"cannot be decoded: {err}", f"{len(body)} bytes")]
        return RequestError(422, found, "validation")

    def _meant(self, document: Any) -> Schema:
        """The form that a document means to be."""
        match document:
            case {"instances": _}:
                return self._forms[Form.INSTANCES]
            case {"lines": _}:
                return self._forms[Form.LINES]
            case list() if Form.LIST in self._forms:
                return self._forms[Form.LIST]
            case _:
                return self._forms[Form.BASKET]


class _LinesConverter:
    """Till lines of one basket -> its features; counts what training did not know."""

    def __init__(self, tables: Tables, count_unknown: CountUnknown) -> None:
        self._tables = tables
        self._count_unknown = count_unknown

    def matrix(self, lines: list[Any]) -> Matrix:
        """[1, features]."""
        _check_one_basket(lines)
        basket = [_plain_line(msgspec.structs.asdict(line)) for line in lines]
        if found := line_findings(basket):
            raise RequestError(422, found, "validation")
        self._count(basket)
        return basket_features(Lines.from_baskets([cast(list[Line], basket)]), self._tables)

    def _count(self, lines: list[dict[str, Any]]) -> None:
        known = self._tables.known(0, [line[_PRODUCT] for line in lines])
        for _ in range(int(np.count_nonzero(known == UNKNOWN))):
            self._count_unknown(0)
        categories = (spec for spec in CONTEXT if spec.kind == "category")
        for number, (spec, words) in enumerate(zip(categories, self._tables.vocabularies, strict=True), start=1):
            value = lines[0].get(spec.source or "")
            if value is not None and value not in words:
                self._count_unknown(number)


def _plain_line(line: dict[str, Any]) -> dict[str, Any]:
    """The line with texts as they are meant, under the names of the schema."""
    for name in _TEXTS:
        if line[name] is not None:
            line[name] = _meaning(line[name])
    for name, meant in ALIASES.items():
        other = _meaning(line.pop(name))
        if line[meant] is None:
            line[meant] = other
    return line


def line_findings(lines: Sequence[Mapping[str, Any]]) -> list[findings.Finding]:
    """Return what is wrong with lines that JSON Schema cannot say: no product after all, or a day that cannot be.

    Args:
        lines: Values as `rows.meaning` has them.
    """
    found = []
    for number, line in enumerate(lines):
        if line.get(_PRODUCT) is None:
            message = "is required and was left out"
            found.append(findings.finding("missing", ("lines", number, _PRODUCT), message, None))
        week, date = line.get("SHOP_WEEK"), line.get("SHOP_DATE")
        fault = calendar_fault(None if week is None else int(week), None if date is None else int(date))
        if fault is not None:
            found.append(findings.finding("calendar", ("lines", number, fault[0]), fault[1], line[fault[0]]))
    return found[: findings.MOST_FINDINGS]


def _check_one_basket(lines: list[Any]) -> None:
    first = lines[0].BASKET_ID
    for number, line in enumerate(lines):
        if first != line.BASKET_ID:
            message = f"must be the basket of the first line, {first}; send one request per basket"
            at = ("lines", number, "BASKET_ID")
            raise RequestError(422, [findings.finding("other_basket", at, message, line.BASKET_ID)], "validation")
