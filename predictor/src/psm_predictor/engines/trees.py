"""The engine for tree ensembles: trees.npz of the archive, laid out for the kernel in trees.c.

The kernel comes with this package, compiled when it was built (hatch_build.py); the archive brings numbers only.
"""

import ctypes
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.trees import TreeEnsemble
from psm_predictor.model import Matrix

KERNEL: Final = Path(__file__).with_name("libtrees.so")  # not trees.so, which Python would take for this module

_LANES: Final = 12  # this and the next two as in trees.c
_COLUMN_BITS: Final = 10
_NOT_A_NUMBER: Final = 0x7FC00000
_FEW_ROWS: Final = 8
"""Fewer rows are answered without letting go of the interpreter: that takes 20 us at most, and a thread that lets go may
wait 5 ms for another one to give it back."""

_BLANK_ROWS: Final = 256


class _Ensemble(ctypes.Structure):
    """struct ensemble of trees.c."""

    _fields_ = (
        ("nodes", ctypes.c_void_p),
        ("trees", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("tree_count", ctypes.c_int32),
        ("columns", ctypes.c_int32),
        ("classes", ctypes.c_int32),
        ("softmax", ctypes.c_int32),
    )


class TreesEngine:
    """Answers with the kernel; any number of threads may call it."""

    name: Final = "trees"

    def __init__(self, ensemble: TreeEnsemble) -> None:
        self._columns = ensemble.columns
        self._classes = ensemble.classes
        self._arrays = (_nodes(ensemble), _trees(ensemble), _values(ensemble), ensemble.base.copy())  # kept alive
        self._struct = _Ensemble(
            *(array.ctypes.data for array in self._arrays),
            tree_count=len(self._arrays[1]),
            columns=ensemble.columns,
            classes=ensemble.classes,
            softmax=ensemble.link == "softmax",
        )
        self._ensemble = ctypes.addressof(self._struct)
        self._answer_few, self._answer_many = _kernel()
        self._last: tuple[Matrix | None, int] = (None, 0)
        self._blank: list[tuple[Matrix, int]] = []

    def __call__(self, features: Matrix) -> Matrix:
        """Probabilities, [rows, classes].

        Args:
            features: Finite float32 [rows, columns].
        """
        rows = len(features)
        if rows == 1:
            matrix, address = self._last
            if features is not matrix:
                matrix, address = self._located(features)
            answer, place = self._blank_row()
        else:
            matrix, address = self._located(features)
            answer = np.empty((rows, self._classes), dtype=np.float32)
            place = answer.ctypes.data
        (self._answer_few if rows < _FEW_ROWS else self._answer_many)(self._ensemble, address, rows, place)
        return answer

    def _blank_row(self) -> tuple[Matrix, int]:
        """A fresh row for an answer, and its address.

        Asking numpy for an address takes as long as half of the trees, so it is asked once for many rows. None is ever
        used twice: the list gives each to one caller, whatever the number of threads.
        """
        try:
            return self._blank.pop()
        except IndexError:
            block = np.empty((_BLANK_ROWS, self._classes), dtype=np.float32)
            address, size = block.ctypes.data, block.strides[0]
            self._blank.extend((block[row : row + 1], address + row * size) for row in range(1, _BLANK_ROWS))
            return block[:1], address

    def _located(self, features: Matrix) -> tuple[Matrix, int]:
        """The matrix as the kernel reads it, and its address.

        A single row is remembered, because a decoder reuses its buffer. What is remembered is alive, so no other matrix
        can be mistaken for it.
        """
        if features.ndim != 2 or features.shape[1] != self._columns:  # noqa: PLR2004  # rows and columns
            raise ValueError(f"features are {features.shape}, the model takes [rows, {self._columns}]")
        matrix = np.ascontiguousarray(features, dtype=np.float32)
        address = matrix.ctypes.data
        if len(matrix) == 1 and matrix is features:
            self._last = (matrix, address)
        return matrix, address


def _kernel() -> tuple["ctypes._NamedFuncPointer", "ctypes._NamedFuncPointer"]:
    """The kernel, once called with the interpreter held and once without."""
    try:
        loaded = ctypes.PyDLL(str(KERNEL)), ctypes.CDLL(str(KERNEL))
    except OSError as err:
        raise ValueError(f"the kernel does not load: {err}; install psm-predictor anew (`uv sync`)") from err
    functions = tuple(library.psm_trees_answer for library in loaded)
    for function in functions:
        function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        function.restype = None
    return functions[0], functions[1]


def _nodes(ensemble: TreeEnsemble) -> NDArray[np.uint32]:
    """Each node as a struct node, and last a leaf that adds nothing, [nodes + 1, 2]."""
    count = len(ensemble.feature)
    nodes = np.empty((count + 1, 2), dtype=np.uint32)
    leaf = np.append(ensemble.is_leaf, True)
    leaf_number = np.append(ensemble.leaf, len(ensemble.value)).astype(np.uint32)
    threshold = np.append(ensemble.threshold, np.float32(0)).view(np.uint32)
    nodes[:, 0] = np.where(leaf, _NOT_A_NUMBER | leaf_number, threshold)
    to_left = np.append(ensemble.left - np.arange(count), 0).astype(np.uint32)
    nodes[:, 1] = to_left << _COLUMN_BITS | np.where(leaf, 0, np.append(ensemble.feature, 0)).astype(np.uint32)
    return nodes


def _trees(ensemble: TreeEnsemble) -> NDArray[np.uint32]:
    """Each tree as a struct tree, filled up with the leaf that adds nothing, [trees, 2]."""
    count = len(ensemble.sizes)
    trees = np.empty((-(-count // _LANES) * _LANES, 2), dtype=np.uint32)
    trees[:count, 0], trees[:count, 1] = ensemble.roots, ensemble.depths
    trees[count:] = len(ensemble.feature), 0
    return trees


def _values(ensemble: TreeEnsemble) -> NDArray[np.float32]:
    """What the leaves add, and last nothing, [leaves + 1, classes]."""
    return np.concatenate([ensemble.value, np.zeros((1, ensemble.classes), dtype=np.float32)])
