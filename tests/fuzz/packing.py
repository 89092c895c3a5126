"""Wraps fuzzed bytes into formats that random bytes would never hit: gzip, npz, a tree."""

import io
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.trees import LEAF, TreeEnsemble

_GZIP: Final = 31
_TYPES: Final = ("<f4", "<f8", "<i2", "<i4", "<i8", "|b1")


def gzipped(data: bytes) -> bytes:
    """A gzip file of the data, stored."""
    packer = zlib.compressobj(0, wbits=_GZIP)
    return packer.compress(data) + packer.flush()


def npz_of(arrays: Mapping[str, Any], data: bytes) -> bytes:
    """The arrays as numpy writes them, some of them changed as the data say.

    Four bytes are an edit: array, how, two bytes of a value.
    """
    changed = {name: np.array(array) for name, array in arrays.items()}
    names = list(changed)
    for at in range(0, len(data) - 3, 4):
        name = names[data[at] % len(names)]
        with np.errstate(invalid="ignore", over="ignore"):
            changed[name] = _edited(changed[name], data[at + 1], int.from_bytes(data[at + 2 : at + 4], "little"))
    buffer = io.BytesIO()
    np.savez(buffer, **changed)  # type: ignore[arg-type]  # none is called allow_pickle
    return buffer.getvalue()


def _edited(array: NDArray[Any], how: int, value: int) -> NDArray[Any]:
    """Another form, another type, or another number in one place."""
    flat = array.reshape(-1)
    forms = (
        lambda: flat,
        lambda: flat[: value % (len(flat) + 1)],
        lambda: np.concatenate([flat, flat[: value % 64]]),
        lambda: array.astype(_TYPES[value % len(_TYPES)]) if array.dtype.kind in "iufb" else array,
    )
    if how % 8 < len(forms):
        return forms[how % 8]()
    if len(flat):
        flat = flat.copy()
        flat[value % len(flat)] = _odd(array.dtype, how // 8, value - 0x8000)
    return flat.reshape(array.shape)


def _odd(dtype: np.dtype[Any], choice: int, number: int) -> Any:
    if dtype.kind == "f":
        return (np.nan, np.inf, -np.inf, 3e38, -0.0, 5e-324, number)[choice % 7]
    if dtype.kind == "U":
        return chr(number % 0xD800)
    if dtype.kind == "b":
        return bool(number % 2)
    limits = np.iinfo(dtype)
    return (limits.max, limits.min, 0, -1, max(limits.min, min(number, limits.max)))[choice % 5]


def sound_ensemble(data: bytes) -> TreeEnsemble:
    """A small ensemble whose form the data choose; raises ValueError where the checks refuse it."""
    head = data[:4].ljust(4, b"\1")
    columns, classes = 1 + head[0] % 40, 1 + head[1] % 16
    link = "softmax" if head[2] % 2 else "identity"
    body = np.frombuffer(data[4:].ljust(1, b"\0"), np.uint8)
    sizes: list[int] = []
    feature: list[int] = []
    at = 0
    while at < len(body) and len(sizes) < 40:
        waiting, nodes = 1, list[int]()
        while waiting and len(nodes) < 400:
            byte = int(body[at % len(body)])
            at += 1
            is_leaf = byte % 3 == 0 or at >= len(body)
            nodes.append(LEAF if is_leaf else byte % (columns + head[3] % 2))
            waiting += -1 if is_leaf else 1
        sizes.append(len(nodes))
        feature += nodes
    leaves = feature.count(LEAF)
    numbers = np.resize(body, len(feature)).astype(np.float32)
    spread = np.exp2((numbers % 250) - 125) * np.where(numbers % 2, 1, -1)
    is_leaf = np.array(feature) == LEAF
    return TreeEnsemble(
        columns=columns,
        link=link,  # type: ignore[arg-type]  # one of the two
        sizes=np.array(sizes, np.int32),
        feature=np.array(feature, np.int16),
        threshold=np.where(is_leaf, 0, spread).astype(np.float32),
        cover=np.ones(len(feature), np.float32),
        value=np.resize(numbers / 255, (leaves, classes)).astype(np.float32),
        base=np.zeros(classes),
    )
