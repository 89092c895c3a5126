"""Reads the arrays of an npz file that nobody trusts: no pickle, nothing packed, no more memory than the file has bytes.

numpy's own reader would evaluate a header of any shape and reserve the memory that it claims; this one knows only what
`numpy.savez` writes, which is all that our archives hold. Texts are valid Unicode, so that whoever takes them out can
rely on them.
"""

import io
import math
import re
import struct
import zipfile
from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = b"\x93NUMPY\x01\x00"
_PREFIX: Final = len(_MAGIC) + 2  # two bytes say how long the header is
_HEADER: Final = re.compile(
    rb"\{'descr': '(\|b1|\|[iu]1|<[iuf][248]|<U[1-9]\d{0,5})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}(?:,|, )?){0,4})\), \} *\n"
)
_NUMBER: Final = re.compile(rb"\d+")

_END: Final = struct.Struct("<4s4H2LH")
"""Last record of a zip without a comment: signature, two disks, two counts, size and place of the directory, 0."""

_ZIP64_END: Final = b"PK\x06\x07"
_ZIP64_END_BYTES: Final = 20
_DIRECTORY_BYTES: Final = 256
"""Most bytes of the directory for each array; zipfile makes half a kilobyte of every 46."""

_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = (0xD800, 0xDFFF)


def read_npz(raw: bytes, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """The arrays by name; they are read-only.

    Args:
        raw: The file.
        names: Of the arrays it must hold; there may be no other.

    Raises:
        ValueError: It is not a file that `numpy.savez` writes, or holds other arrays.
    """
    _check_end(raw, len(names))
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            held = sorted(entry.filename.removesuffix(".npy") for entry in archive.infolist())
            if held != sorted(names):
                raise ValueError(f"it holds {held}, expected {sorted(names)}")
            claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > len(raw):  # entries that share their bytes
                raise ValueError(f"its arrays claim {claimed} bytes, it has {len(raw)}")
            return {name: _array(name, archive) for name in names}
    except (OSError, EOFError, RuntimeError, ArithmeticError, LookupError, struct.error, zipfile.BadZipFile) as err:
        raise ValueError(f"it is no npz file: {err}") from err


def _check_end(raw: bytes, arrays: int) -> None:
    """Bounds the directory before zipfile reads it."""
    at = len(raw) - _END.size
    if at < 0:
        raise ValueError(f"it is no npz file, it has {len(raw)} bytes")
    signature, *_, size, _, comment = _END.unpack_from(raw, at)
    if signature != b"PK\x05\x06" or comment or raw[max(at - _ZIP64_END_BYTES, 0) :].startswith(_ZIP64_END):
        raise ValueError(f"it is no npz file, it ends with {raw[at:]!r}")
    if size > arrays * _DIRECTORY_BYTES:
        raise ValueError(f"its directory has {size} bytes for {arrays} arrays")


def _array(name: str, archive: zipfile.ZipFile) -> NDArray[Any]:
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is packed; the archive around it is packed already")
    content = archive.read(entry)
    end = _PREFIX + int.from_bytes(content[len(_MAGIC) : _PREFIX], "little")
    header = _HEADER.fullmatch(content[_PREFIX:end])
    if not content.startswith(_MAGIC) or header is None:
        raise ValueError(f"{name} has no header of a plain array: {content[:end][:200]!r}")
    kind, by_columns, sizes = header.groups()
    shape = tuple(int(size) for size in _NUMBER.findall(sizes))
    dtype = np.dtype(kind.decode())
    if math.prod(shape) * dtype.itemsize != len(content) - end:
        raise ValueError(f"{name} has {len(content) - end} bytes, its shape {shape} of {dtype} does not fit them")
    if dtype.kind == "U":
        _check_text(name, np.frombuffer(content, "<u4", offset=end))
    return np.ndarray(shape, dtype, buffer=content, offset=end, order="F" if by_columns == b"True" else "C")


def _check_text(name: str, points: NDArray[np.uint32]) -> None:
    low, high = _SURROGATES
    if np.any((points > _LAST_CODE_POINT) | ((points >= low) & (points <= high))):
        raise ValueError(f"{name} holds what is no text")
