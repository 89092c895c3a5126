"""A tree ensemble as flat arrays: trees.npz of the archive.

`psm_training.flatten` makes it from a fitted estimator, the predictor's engine and its explanations read it. It holds
numbers only, never code, and whatever passes the checks here is safe to walk without looking at a bound again.

The nodes of a tree are numbered level by level from its root, children of one node side by side, so the children of
the k-th inner node are the nodes 1 + 2k and 2 + 2k: which nodes are leaves says everything about the tree's shape.
A row goes left where its value is at most the threshold. Thresholds are float32, as the rows are, rounded down, which
decides each split exactly as the float64 threshold did. Rows must be finite: there is no direction for a missing value.
"""

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from psm_contract.npz import read_npz

LEAF: Final = -1
"""What `feature` says of a leaf."""

Link = Literal["identity", "softmax"]

# bounds of what the predictor's kernel can address
MOST_COLUMNS: Final = 1024
MOST_CLASSES: Final = 16
MOST_LEAVES: Final = 1 << 22
MOST_DEPTH: Final = 128
"""A row takes as many steps in a tree as the tree is deep."""

_SINGLES: Final = {"columns": np.dtype(np.int32), "softmax": np.dtype(np.bool_)}
_ARRAYS: Final = {
    "sizes": (np.dtype(np.int32), 1),
    "feature": (np.dtype(np.int16), 1),
    "threshold": (np.dtype(np.float32), 1),
    "cover": (np.dtype(np.float32), 1),
    "value": (np.dtype(np.float32), 2),
    "base": (np.dtype(np.float64), 1),
}
"""Type and dimensions of each."""


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """The trees, one after the other; checked whenever one is made.

    Attributes:
        columns: Of the matrix that the ensemble answers.
        link: What makes probabilities of the sum: nothing, or softmax.
        sizes: Nodes of each tree, int32 [trees].
        feature: Column that an inner node looks at, or LEAF, int16 [nodes].
        threshold: Largest value that goes left; 0 at a leaf, float32 [nodes].
        cover: Training rows that came to the node, or the sum of their weights, float32 [nodes].
        value: What each leaf adds to each class, leaves in the order of the nodes, float32 [leaves, classes].
        base: What the sums start from, float64 [classes].
    """

    columns: int
    link: Link
    sizes: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    cover: NDArray[np.float32]
    value: NDArray[np.float32]
    base: NDArray[np.float64]

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_numbers()
        self._check_shape_of_trees()

    @property
    def classes(self) -> int:
        """How many classes it answers."""
        return len(self.base)

    @cached_property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Which nodes are leaves, [nodes]."""
        return np.asarray(self.feature == LEAF, dtype=np.bool_)

    @cached_property
    def roots(self) -> NDArray[np.int32]:
        """First node of each tree, [trees]."""
        return (np.cumsum(self.sizes) - self.sizes).astype(np.int32)

    @cached_property
    def left(self) -> NDArray[np.int32]:
        """Left child of each node, the right one being the next node; of a leaf itself, [nodes]."""
        inner = np.flatnonzero(~self.is_leaf)
        root = np.repeat(self.roots, self.sizes)[inner]
        before_tree = np.repeat(np.cumsum(self.sizes // 2) - self.sizes // 2, self.sizes // 2)
        left = np.arange(len(self.feature), dtype=np.int32)
        left[inner] = root + 1 + 2 * (np.arange(len(inner)) - before_tree)
        return left

    @cached_property
    def leaf(self) -> NDArray[np.int32]:
        """Row of `value` of each leaf; of an inner node the row of the next leaf, which means nothing, [nodes]."""
        return (np.cumsum(self.is_leaf) - self.is_leaf).astype(np.int32)

    @cached_property
    def depths(self) -> NDArray[np.int32]:
        """Steps from the root to the deepest leaf of each tree, [trees].

        Raises:
            ValueError: One is deeper than MOST_DEPTH.
        """
        depths = np.zeros(len(self.sizes), dtype=np.int32)
        tree = np.repeat(np.arange(len(self.sizes)), self.sizes)
        level, depth = self.roots[~self.is_leaf[self.roots]], 0
        while len(level):
            depth += 1
            if depth > MOST_DEPTH:
                raise ValueError(f"tree {tree[level[0]]} is deeper than {MOST_DEPTH}; limit the depth in training")
            depths[tree[level]] = depth
            children = np.concatenate([self.left[level], self.left[level] + 1])
            level = children[~self.is_leaf[children]]
        return depths

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """The answer by plain numpy: what proves the arrays in training, and a kernel in tests. Slow.

        Args:
            matrix: Finite float32 [rows, columns].

        Returns:
            [rows, classes]
        """
        rows = np.arange(len(matrix))
        column = np.where(self.is_leaf, 0, self.feature)
        total = np.tile(self.base, (len(matrix), 1))
        for root, depth in zip(self.roots.tolist(), self.depths.tolist(), strict=True):
            node = np.full(len(matrix), root)
            for _ in range(depth):
                goes_right = (matrix[rows, column[node]] > self.threshold[node]) & ~self.is_leaf[node]
                node = self.left[node] + goes_right
            total += self.value[self.leaf[node]]
        if self.link == "identity":
            return total
        grown = np.exp(total - total.max(axis=1, keepdims=True))
        answer: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
        return answer

    def to_npz(self) -> bytes:
        """The ensemble as the bytes of trees.npz; equal ensembles give equal bytes."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            columns=np.array(self.columns, dtype=_SINGLES["columns"]),
            softmax=np.array(self.link == "softmax", dtype=_SINGLES["softmax"]),
            **{name: getattr(self, name) for name in _ARRAYS},
        )
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, raw: bytes) -> Self:
        """Reads trees.npz without trusting it.

        Raises:
            ValueError: Not such a file, or not trees; says what is wrong.
        """
        arrays = read_npz(raw, (*_SINGLES, *_ARRAYS))
        for name, dtype in _SINGLES.items():
            array = arrays[name]
            if array.dtype != dtype or array.ndim != 0:
                raise ValueError(f"{name} is {array.ndim}-dimensional {array.dtype}, expected one {dtype}")
        return cls(
            columns=int(arrays.pop("columns")),
            link="softmax" if arrays.pop("softmax") else "identity",
            **arrays,
        )

    def _check_arrays(self) -> None:
        if self.link not in get_args(Link):
            raise ValueError(f"link is {self.link!r}, expected one of {get_args(Link)}")
        for name, (dtype, dimensions) in _ARRAYS.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != dimensions:
                raise ValueError(
                    f"{name} is {array.ndim}-dimensional {array.dtype}, expected {dimensions}-dimensional {dtype}"
                )
        nodes, leaves = len(self.feature), int(np.count_nonzero(self.is_leaf))
        for name, rows in (("threshold", nodes), ("cover", nodes), ("value", leaves)):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, expected {rows}")
        if self.value.shape[1] != self.classes:
            raise ValueError(f"value has {self.value.shape[1]} classes, base has {self.classes}")
        for name, count, least, most in (
            ("columns", self.columns, 1, MOST_COLUMNS),
            ("classes", self.classes, 2, MOST_CLASSES),
            ("leaves", leaves, 1, MOST_LEAVES),
        ):
            if not least <= count <= most:
                raise ValueError(f"{count} {name}, allowed are {least} to {most}")

    def _check_numbers(self) -> None:
        if np.any((self.feature < LEAF) | (self.feature >= self.columns)):
            worst = int(np.argmax((self.feature < LEAF) | (self.feature >= self.columns)))
            raise ValueError(f"node {worst} looks at column {self.feature[worst]} of {self.columns}")
        if np.any(np.isnan(self.threshold)):
            raise ValueError(f"the threshold of node {int(np.argmax(np.isnan(self.threshold)))} is not a number")
        for name in ("cover", "value", "base"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite")

    def _check_shape_of_trees(self) -> None:
        """Each node but the roots is the child of exactly one node of its tree, and comes after it."""
        sizes = self.sizes.astype(np.int64)
        if np.any((sizes < 1) | (sizes % 2 == 0)) or int(sizes.sum()) != self.feature.size:
            raise ValueError(f"sizes must be odd and sum to {self.feature.size} nodes, they sum to {int(sizes.sum())}")
        inner = np.add.reduceat(~self.is_leaf, self.roots, dtype=np.int64)
        if np.any(inner != sizes // 2):
            tree = int(np.argmax(inner != sizes // 2))
            raise ValueError(f"tree {tree} has {inner[tree]} inner nodes among {sizes[tree]}, expected half as many")
        backwards = ~self.is_leaf & (self.left <= np.arange(self.feature.size))
        if np.any(backwards):
            raise ValueError(f"node {int(np.argmax(backwards))} comes after its own children")
        _ = self.depths  # raises where a tree is too deep
