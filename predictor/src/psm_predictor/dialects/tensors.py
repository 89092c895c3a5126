"""Tensors of the Open Inference Protocol: JSON lists or little-endian bytes -> numpy, and back. Used by `v2`.

Numbers become float32, the model's input; what float32 cannot hold becomes infinity, which no feature's bounds allow.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from psm_predictor.errors import RequestError

BYTES: Final = "BYTES"
DTYPES: Final = {"FP32": "<f4", "FP64": "<f8", "INT32": "<i4", "INT64": "<i8"}
"""Numbers, by their name in the protocol."""

_NESTED: Final = re.compile(rb"\s*\[\s*\[")
_LENGTH: Final = struct.Struct("<I")
_MOST_DIMENSIONS: Final = 2
_LARGEST: Final = 2**63 - 1
"""Of numbers in a request: Python's have no end, and so has the time to write them down in a message."""

_NOTHING: Final = msgspec.Raw(b"null")
"""Data that was left out, or null as some clients write it."""


class InputParameters(msgspec.Struct, gc=False):
    """Of one input; others are ignored."""

    binary_data_size: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)] | None = None


class Input(msgspec.Struct, gc=False):
    """One tensor of a request; `data` is JSON that its datatype decodes."""

    name: str
    datatype: str
    shape: list[Annotated[int, msgspec.Meta(ge=1, le=_LARGEST)]]
    parameters: InputParameters | None = None
    data: msgspec.Raw = _NOTHING


def _decoders(item: Any) -> tuple[Any, Any]:
    """For flat and for nested lists."""
    return msgspec.json.Decoder(list[item]).decode, msgspec.json.Decoder(list[list[item]]).decode


def _integer(bits: int) -> Any:
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


_JSON: Final = {
    "FP32": _decoders(float),
    "FP64": _decoders(float),
    "INT32": _decoders(_integer(32)),
    "INT64": _decoders(_integer(64)),
    BYTES: _decoders(str),
}


class Tensor:
    """One input with its data at hand; raises RequestError 400 for whatever does not fit together."""

    def __init__(self, given: Input, binary: memoryview | None) -> None:
        self.name = given.name
        self.shape = given.shape
        self.datatype = given.datatype
        self._data = given.data
        self._binary = binary
        if given.datatype not in _JSON:
            raise self.wrong(f"has datatype {given.datatype!r}, expected one of {', '.join(_JSON)}")
        if not 1 <= len(given.shape) <= _MOST_DIMENSIONS:
            raise self.wrong(f"has {len(given.shape)} dimensions, expected 1 or {_MOST_DIMENSIONS}")
        if (binary is None) == (given.data == _NOTHING):
            raise self.wrong("must have either data or the parameter binary_data_size")

    def wrong(self, what: str) -> RequestError:
        """The refusal that names this tensor."""
        return RequestError(400, f"input {self.name[:100]!r} {what}", "validation")

    def numbers(self) -> NDArray[np.float64]:
        """All elements in row-major order, [product of the shape], as exactly as they were sent."""
        if self.datatype == BYTES:
            raise self.wrong(f"holds numbers, its datatype must be one of {', '.join(DTYPES)}, it is {BYTES}")
        dtype = np.dtype(DTYPES[self.datatype])
        if self._binary is None:
            values: Any = np.array(self._listed(), dtype=np.float64)
        elif len(self._binary) % dtype.itemsize:
            raise self.wrong(f"has {len(self._binary)} bytes, {self.datatype} has {dtype.itemsize} bytes an element")
        else:
            values = np.frombuffer(self._binary, dtype=dtype)
        self._check_size(len(values))
        return np.array(values, dtype=np.float64)  # a copy: bytes after a JSON document are seldom aligned

    def words(self) -> list[str]:
        """All elements in row-major order."""
        if self.datatype != BYTES:
            raise self.wrong(f"holds words, its datatype must be {BYTES}, it is {self.datatype}")
        try:
            words = self._listed() if self._binary is None else list(_texts(self._binary))
        except (struct.error, UnicodeDecodeError) as err:
            raise self.wrong("must be elements of a 4-byte length and as many bytes of UTF-8 each") from err
        self._check_size(len(words))
        return words

    def _listed(self) -> list[Any]:
        """The data of the JSON document, flat."""
        flat, nested = _JSON[self.datatype]
        raw = self._data
        try:
            if not _NESTED.match(raw):
                return flat(raw)  # type: ignore[no-any-return]
            rows: list[list[Any]] = nested(raw)
        except msgspec.ValidationError as err:
            raise self.wrong(f"has data that is not {self.datatype}: {err}") from err
        if any([len(row)] != self.shape[1:] for row in rows):
            raise self.wrong(f"has data nested otherwise than its shape {self.shape}")
        return list(chain.from_iterable(rows))

    def _check_size(self, size: int) -> None:
        if size != prod(self.shape):
            raise self.wrong(f"has {size} elements, its shape {self.shape} makes {prod(self.shape)}")


def _texts(raw: memoryview) -> Iterator[str]:
    at = 0
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size + length
        if at > len(raw):
            raise struct.error
        yield str(raw[at - length : at], "utf-8")


def packed_texts(words: Sequence[str]) -> list[bytes]:
    """Each word as an element of a binary BYTES tensor."""
    return [_LENGTH.pack(len(raw)) + raw for raw in (word.encode() for word in words)]
