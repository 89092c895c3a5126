"""A TreeEnsemble as LightGBM's model text, one class at a time. Called by `explainer`.

LightGBM numbers the inner nodes of a tree from 0 and its leaves from -1 downwards, both in our order. A row goes left
where its value is at most the threshold, as ours do. Counts decide how a path that a row does not take is weighed.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.trees import TreeEnsemble

_MOST_COUNT: Final = 2**30
"""LightGBM counts in 32 bits."""

_BEYOND_FLOAT32: Final = 1e300
"""Stands for an infinite threshold, which the text cannot carry: no row is beyond it."""


class ModelTexts:
    """The texts of one ensemble."""

    def __init__(self, ensemble: TreeEnsemble) -> None:
        self._ensemble = ensemble
        self._counts = node_counts(ensemble)
        self._code = _codes(ensemble)

    def texts(self, number: int, most_leaves: int) -> Iterator[str]:
        """Models that add up to what the ensemble sums for one class, `base` left out.

        Trees that say nothing about the class are left out.

        Args:
            number: Of the class.
            most_leaves: Of one model, so that texts stay small; a tree is never divided.
        """
        ensemble = self._ensemble
        parts: list[str] = []
        leaves = 0
        for root, size in zip(ensemble.roots.tolist(), ensemble.sizes.tolist(), strict=True):
            first = int(ensemble.leaf[root])
            values = ensemble.value[first : first + size // 2 + 1, number]
            if not values.any():
                continue
            if parts and leaves + len(values) > most_leaves:
                yield self._model(parts)
                parts, leaves = [], 0
            parts.append(self._tree(len(parts), slice(root, root + size), values))
            leaves += len(values)
        if parts:
            yield self._model(parts)

    def _model(self, trees: list[str]) -> str:
        columns = self._ensemble.columns
        head = (
            "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
            f"max_feature_idx={columns - 1}\n"
            f"feature_names={' '.join(f'f{number}' for number in range(columns))}\n"
            f"feature_infos={' '.join(['none'] * columns)}\n"
        )
        return "\n".join([head, *trees, "end of trees\n"])

    def _tree(self, number: int, nodes: slice, values: NDArray[np.float32]) -> str:
        ensemble = self._ensemble
        inner = np.flatnonzero(~ensemble.is_leaf[nodes]) + nodes.start
        leaves = np.flatnonzero(ensemble.is_leaf[nodes]) + nodes.start
        threshold = np.clip(ensemble.threshold[inner].astype(np.float64), -_BEYOND_FLOAT32, _BEYOND_FLOAT32)
        left = ensemble.left[inner]
        lines = {
            "split_feature": _joined(ensemble.feature[inner]),
            "threshold": " ".join(map(repr, threshold.tolist())),  # every digit: it decides rows that lie upon it
            "decision_type": " ".join(["0"] * len(inner)),
            "left_child": _joined(self._code[left]),
            "right_child": _joined(self._code[left + 1]),
            "leaf_value": " ".join(f"{value:.9g}" for value in values.tolist()),
            "leaf_count": _joined(self._counts[leaves]),
            "internal_count": _joined(self._counts[inner]),
        }
        fields = "\n".join(f"{name}={text}" for name, text in lines.items() if text)
        return f"Tree={number}\nnum_leaves={len(leaves)}\nnum_cat=0\n{fields}\nis_linear=0\nshrinkage=1\n\n"


def node_counts(ensemble: TreeEnsemble) -> NDArray[np.int64]:
    """Training rows at each node as whole numbers above 0, every inner node's the sum of its children's, [nodes].

    Covers that are sums of weights are scaled first, tree by tree, to about a billion.
    """
    cover = np.maximum(ensemble.cover.astype(np.float64), 0.0)
    in_leaves = np.where(ensemble.is_leaf, cover, 0.0)
    total = np.add.reduceat(in_leaves, ensemble.roots)
    whole = np.logical_and.reduceat(in_leaves == np.rint(in_leaves), ensemble.roots) & (total <= _MOST_COUNT)
    scale = np.where(whole, 1.0, _MOST_COUNT / np.where(total > 0, total, 1.0))
    scaled = np.rint(in_leaves * np.repeat(scale, ensemble.sizes))
    counts: NDArray[np.int64] = np.maximum(scaled, 1.0).astype(np.int64)
    levels = []
    level = ensemble.roots[~ensemble.is_leaf[ensemble.roots]]
    while len(level):
        levels.append(level)
        children = np.concatenate([ensemble.left[level], ensemble.left[level] + 1])
        level = children[~ensemble.is_leaf[children]]
    for level in reversed(levels):
        left = ensemble.left[level]
        counts[level] = counts[left] + counts[left + 1]
    return counts


def _codes(ensemble: TreeEnsemble) -> NDArray[np.int64]:
    """What LightGBM calls each node within its tree."""
    is_inner = (~ensemble.is_leaf).astype(np.int64)
    inner = np.cumsum(is_inner) - is_inner
    within = inner - np.repeat(inner[ensemble.roots], ensemble.sizes)
    leaf = ensemble.leaf - np.repeat(ensemble.leaf[ensemble.roots], ensemble.sizes)
    codes: NDArray[np.int64] = np.where(ensemble.is_leaf, ~leaf.astype(np.int64), within)
    return codes


def _joined(numbers: NDArray[np.integer]) -> str:
    return " ".join(map(str, numbers.tolist()))
