"""One column of a file judged by the JSON Schema property that POST /predict enforces, all rows at once.

Used by `instances` and `lines`. What is bad here is what `findings` explains; a test holds the two together.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psm_contract import cells
from psm_predictor.batch.errors import InputError
from psm_predictor.rows import meaning
from psm_predictor.schema import Schema

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

_TEXT: Final = pa.large_string()
_PLAIN: Final = {"integer": "^[0-9]{1,15}$", "number": r"^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$"}
"""What Arrow reads as `psm_contract.cells` does, by the kind of number: nearly all; the others are read one by one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one column must hold.

    Attributes:
        name: Of the column.
        kind: JSON Schema's type of a value that is there.
        required: Whether a value must be there.
        low: Least number allowed.
        high: Greatest number allowed.
        above: Numbers must be greater than this.
        words: The texts allowed; None for any.
        shortest: Least characters of a text.
        longest: Most characters of a text.
        pattern: What a text must match; None for any.
    """

    name: str
    kind: str
    required: bool
    low: float
    high: float
    above: float
    words: tuple[str, ...] | None
    shortest: int
    longest: float
    pattern: str | None

    @classmethod
    def of(cls, name: str, schema: Schema, *, required: bool) -> Self:
        """The rule of a property."""
        kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
        options = schema.get("anyOf") or [{**schema, "type": kind} for kind in kinds]
        value = next(option for option in options if option["type"] != "null")
        words = value.get("enum")
        return cls(
            name=name,
            kind=value["type"],
            required=required,
            low=value.get("minimum", -math.inf),
            high=value.get("maximum", math.inf),
            above=value.get("exclusiveMinimum", -math.inf),
            words=None if words is None else tuple(words),
            shortest=value.get("minLength", 0),
            longest=value.get("maxLength", math.inf),
            pattern=value.get("pattern"),
        )

    @property
    def is_text(self) -> bool:
        """Whether values are texts."""
        return self.kind == "string"

    def check_type(self, kind: pa.DataType, *, is_text_file: bool) -> None:
        """Refuses a file whose column can never hold this.

        Args:
            kind: The column's type.
            is_text_file: Whether every value of the file is text, as in CSV.

        Raises:
            InputError: It cannot; the message names both types.
        """
        if pa.types.is_null(kind) or (is_text_file and not self.is_text):
            return
        wanted = _is_text(kind) if self.is_text else _is_number(kind)
        if not wanted:
            raise InputError(f"column {self.name} is {kind}, expected {'text' if self.is_text else 'a number'}")

    def numbers(self, column: pa.Array) -> tuple[Numbers, Mask]:
        """The values, NaN where there is none, and which rows are bad. NaN in the file means that there is none."""
        values, unreadable = _as_numbers(column, self.kind)
        missing = np.isnan(values) & ~unreadable
        bad = unreadable | ~((values >= self.low) & (values <= self.high) & (values > self.above) | missing)
        if self.kind == "integer":
            bad |= ~(np.isfinite(values) & (values == np.trunc(values)) | missing)
        if self.required:
            bad |= missing
        return values, bad

    def texts(self, column: pa.Array) -> tuple[pa.Array, Mask]:
        """The values, null where there is none, and which rows are bad."""
        texts = column if column.type == _TEXT else column.cast(_TEXT)
        bad = np.zeros(len(texts), dtype=np.bool_)
        if self.words is not None:
            bad |= _mask(pc.invert(pc.is_in(texts, pa.array([*self.words, None], _TEXT))))
        if self.shortest > 0 or self.longest < math.inf:
            length = pc.utf8_length(texts)
            fits = pc.and_(pc.greater_equal(length, self.shortest), pc.less_equal(length, self.longest))
            bad |= ~_mask(pc.fill_null(fits, fill_value=True))
        if self.pattern is not None:
            bad |= ~_mask(pc.fill_null(pc.match_substring_regex(texts, self.pattern), fill_value=True))
        plain = pc.utf8_trim(texts, cells.BLANKS)
        plain = pc.if_else(pc.is_in(plain, pa.array(cells.MISSING, _TEXT)), pa.scalar(None, _TEXT), plain)
        if self.required:
            bad |= _mask(plain.is_null())
        return plain, bad


def plain_value(rule: Rule, value: Any) -> Any:
    """A value of the file as JSON would have carried it; for `findings`."""
    if rule.is_text:
        return None if meaning(value) is None else value
    if isinstance(value, str):
        return _read(value, rule.kind)
    return None if value is None or math.isnan(value) else float(value)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _as_numbers(column: pa.Array, kind: str) -> tuple[Numbers, Mask]:
    """The values as float64, NaN for null, and which are no numbers."""
    unreadable = np.zeros(len(column), dtype=np.bool_)
    if not _is_text(column.type):
        return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), unreadable
    texts = column.cast(_TEXT)
    if bool(pc.all(pc.match_substring_regex(texts, _PLAIN[kind]), min_count=0).as_py()):
        return texts.cast(pa.float64()).to_numpy(zero_copy_only=False), unreadable
    parsed = [None if text is None else _read(text, kind) for text in texts.to_pylist()]
    unreadable = np.fromiter((isinstance(number, str) for number in parsed), dtype=np.bool_, count=len(parsed))
    numbers = [math.nan if number is None or isinstance(number, str) else float(number) for number in parsed]
    return np.array(numbers, dtype=np.float64), unreadable


def _read(text: str, kind: str) -> float | str | None:
    """The number that a cell spells, None where it is missing; the cell itself if it spells none."""
    try:
        return cells.integer(text) if kind == "integer" else cells.number(text)
    except cells.CellError:
        return text


def _mask(flags: pa.Array) -> Mask:
    mask: Mask = flags.to_numpy(zero_copy_only=False)
    return mask
