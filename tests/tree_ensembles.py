"""Random tree ensembles of any shape, and rows that sit exactly on their thresholds and right beside them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from psm_contract.trees import LEAF, Link, TreeEnsemble

Array = NDArray[Any]


def random_ensemble(
    seed: int, *, trees: int = 5, inner: int = 20, columns: int = 4, classes: int = 3, link: Link = "identity"
) -> TreeEnsemble:
    """Trees of up to `inner` inner nodes, some bushy, some chains, some a single leaf."""
    rng = np.random.default_rng(seed)
    leaves = [_leaves(rng, int(rng.integers(0, inner + 1))) for _ in range(trees)]
    is_leaf = np.concatenate(leaves)
    nodes = len(is_leaf)
    return TreeEnsemble(
        columns=columns,
        link=link,
        sizes=np.array([len(tree) for tree in leaves], dtype=np.int32),
        feature=np.where(is_leaf, LEAF, rng.integers(0, columns, nodes)).astype(np.int16),
        threshold=np.where(is_leaf, 0, rng.integers(-3, 4, nodes) / 2).astype(np.float32),
        cover=rng.integers(1, 100, nodes).astype(np.float32),
        value=rng.normal(size=(int(is_leaf.sum()), classes)).astype(np.float32),
        base=rng.normal(size=classes),
    )


def _leaves(rng: np.random.Generator, inner: int) -> NDArray[np.bool_]:
    """Which nodes of one tree are leaves, level by level."""
    stay = rng.random()  # the chance that a node is a leaf: near 1 the tree is a chain
    is_leaf, waiting = [], 1
    while waiting:
        must_grow, may_grow = waiting == 1 and inner > 0, inner > 0
        leaf = not may_grow or (not must_grow and rng.random() < stay)
        is_leaf.append(leaf)
        inner -= not leaf
        waiting += -1 if leaf else 1
    return np.array(is_leaf)


def ensembles() -> st.SearchStrategy[TreeEnsemble]:
    """Ensembles of every kind that the contract allows, up to a size that a test can afford."""
    return st.builds(
        random_ensemble,
        st.integers(0, 2**32 - 1),
        trees=st.integers(1, 19),
        inner=st.sampled_from([0, 1, 3, 30, 100]),
        columns=st.sampled_from([1, 2, 44, 1024]),
        classes=st.integers(2, 16),
        link=st.sampled_from(["identity", "softmax"]),
    )


def rows_on_thresholds(ensemble: TreeEnsemble, rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Rows whose every value is a threshold of its column or a float32 neighbour of one."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((rows, ensemble.columns), dtype=np.float32)
    for column in np.unique(ensemble.feature[~ensemble.is_leaf]):
        thresholds = ensemble.threshold[ensemble.feature == column]
        thresholds = thresholds[np.isfinite(thresholds)]
        if len(thresholds):
            chosen = rng.choice(thresholds, rows)
            towards = rng.choice(np.array([-np.inf, np.inf], dtype=np.float32), rows)
            matrix[:, column] = np.where(rng.random(rows) < 1 / 3, chosen, np.nextafter(chosen, towards))
    return matrix
