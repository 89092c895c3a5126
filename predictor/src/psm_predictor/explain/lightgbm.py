"""LightGBM through its C interface: a model text in, contributions out.

Its Python package imports SciPy, and scikit-learn and pandas where they are installed: 0.5 s and 60 MB that two calls
do not need. The C interface is as documented and as stable. Called by `explainer`.
"""

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_predictor.model import Matrix

_FLOAT32: Final = 0
_CONTRIBUTIONS: Final = 3
_ROW_MAJOR: Final = 1
_ALL_TREES: Final = -1
_PARAMETERS: Final = b"num_threads=1 verbosity=-1"
"""A worker is one core."""


class LightgbmError(Exception):
    """LightGBM is not there, or refuses what it is given; the message is its own."""


@cache
def library() -> Any:
    """The loaded library.

    Raises:
        LightgbmError: It is not installed, or misses a library of the system.
    """
    found = find_spec("lightgbm")  # of the package beside us, not of this module
    files = sorted((Path(found.origin).parent / "lib").glob("lib_lightgbm.*")) if found and found.origin else []
    if not files:
        raise LightgbmError("LightGBM is not installed; install psm-predictor[explain]")
    try:
        loaded = ctypes.CDLL(str(files[0]))
    except OSError as err:
        raise LightgbmError(f"LightGBM does not load: {err}") from err
    loaded.LGBM_GetLastError.restype = ctypes.c_char_p
    return loaded


class Booster:
    """One loaded model text; one thread at a time may ask."""

    def __init__(self, text: str, columns: int) -> None:
        self._library = library()
        self._columns = columns
        self._handle = ctypes.c_void_p()
        trees = ctypes.c_int()
        self._check(
            self._library.LGBM_BoosterLoadModelFromString(
                text.encode(), ctypes.byref(trees), ctypes.byref(self._handle)
            )
        )

    def __del__(self) -> None:
        if self._handle:
            self._library.LGBM_BoosterFree(self._handle)

    def contributions(self, matrix: Matrix) -> NDArray[np.float64]:
        """What each column added to each row's sum, and in the last column what all rows start from.

        Args:
            matrix: [n, columns]

        Returns:
            [n, columns + 1]
        """
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        answer = np.empty((len(rows), self._columns + 1))
        length = ctypes.c_int64()
        self._check(
            self._library.LGBM_BoosterPredictForMat(
                self._handle,
                rows.ctypes.data_as(ctypes.c_void_p),
                _FLOAT32,
                ctypes.c_int32(len(rows)),
                ctypes.c_int32(self._columns),
                _ROW_MAJOR,
                _CONTRIBUTIONS,
                0,
                _ALL_TREES,
                _PARAMETERS,
                ctypes.byref(length),
                answer.ctypes.data_as(ctypes.c_void_p),
            )
        )
        if length.value != answer.size:
            raise LightgbmError(f"LightGBM answers {length.value} numbers, expected {answer.size}")
        return answer

    def _check(self, code: int) -> None:
        if code != 0:
            raise LightgbmError(f"LightGBM says: {self._library.LGBM_GetLastError().decode(errors='replace')}")
