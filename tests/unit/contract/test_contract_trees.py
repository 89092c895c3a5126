"""trees.npz: reads what was written, answers by the rule of its documentation, refuses what is no ensemble of trees."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_ensembles import ensembles, random_ensemble, rows_on_thresholds

from psm_contract.trees import LEAF, MOST_DEPTH, TreeEnsemble

ARRAYS = ("sizes", "feature", "threshold", "cover", "value", "base")


def stump(**changes: Any) -> TreeEnsemble:
    """One tree: column 0 at most 0.5 -> (1, 0), else (0, 1)."""
    arrays: dict[str, Any] = {
        "columns": 2,
        "link": "identity",
        "sizes": np.array([3], dtype=np.int32),
        "feature": np.array([0, LEAF, LEAF], dtype=np.int16),
        "threshold": np.array([0.5, 0, 0], dtype=np.float32),
        "cover": np.array([3, 2, 1], dtype=np.float32),
        "value": np.array([[1, 0], [0, 1]], dtype=np.float32),
        "base": np.zeros(2),
    }
    return TreeEnsemble(**{**arrays, **changes})


def walked(ensemble: TreeEnsemble, row: Any) -> Any:
    """The sum for one row, node by node, as the documentation says it."""
    total = ensemble.base.copy()
    for root, size in zip(ensemble.roots.tolist(), ensemble.sizes.tolist(), strict=True):
        inner = [node for node in range(root, root + size) if ensemble.feature[node] != LEAF]
        node = root
        while ensemble.feature[node] != LEAF:
            right = int(row[ensemble.feature[node]] > ensemble.threshold[node])
            node = root + 1 + 2 * inner.index(node) + right
        total += ensemble.value[int((ensemble.feature[:node] == LEAF).sum())]
    return total


@given(ensembles())
def test_an_ensemble_survives_its_file(ensemble: TreeEnsemble) -> None:
    """Equal numbers and equal bytes."""
    raw = ensemble.to_npz()
    again = TreeEnsemble.from_npz(raw)

    assert (again.columns, again.link) == (ensemble.columns, ensemble.link)
    assert all(np.array_equal(getattr(again, name), getattr(ensemble, name)) for name in ARRAYS)
    assert again.to_npz() == raw


@given(ensembles(), st.integers(0, 2**32 - 1))
def test_the_answer_is_what_walking_the_trees_gives(ensemble: TreeEnsemble, seed: int) -> None:
    """On a threshold a row goes left, above it right; then identity or softmax."""
    matrix = rows_on_thresholds(ensemble, 3, seed)
    sums = np.array([walked(ensemble, row) for row in matrix])
    if ensemble.link == "softmax":
        sums = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True)

    np.testing.assert_allclose(ensemble.probabilities(matrix), sums, atol=1e-12)


@given(ensembles())
def test_every_node_is_reached_once_and_after_its_parent(ensemble: TreeEnsemble) -> None:
    """What lets a kernel walk without looking at bounds."""
    inner = np.flatnonzero(~ensemble.is_leaf)
    children = np.concatenate([ensemble.left[inner], ensemble.left[inner] + 1])

    assert sorted([*ensemble.roots.tolist(), *children.tolist()]) == list(range(len(ensemble.feature)))
    assert np.all(ensemble.left[inner] > inner)
    assert np.array_equal(ensemble.left[ensemble.is_leaf], np.flatnonzero(ensemble.is_leaf))


def test_a_stump_answers_by_its_threshold() -> None:
    """At most is left."""
    matrix = np.array([[0.5, 9], [np.nextafter(np.float32(0.5), np.float32(1)), 9]], dtype=np.float32)
    assert stump().probabilities(matrix).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature": np.array([2, LEAF, LEAF], dtype=np.int16)}, "looks at column 2 of 2"),
        ({"feature": np.array([-2, LEAF, LEAF], dtype=np.int16)}, "looks at column -2"),
        ({"feature": np.array([0, LEAF, LEAF], dtype=np.int32)}, "feature is 1-dimensional int32"),
        ({"feature": np.array([[0, LEAF, LEAF]], dtype=np.int16)}, "feature is 2-dimensional"),
        ({"feature": np.array(["0", "1", "2"])}, "feature is 1-dimensional <U1"),
        ({"threshold": np.array([np.nan, 0, 0], dtype=np.float32)}, "threshold of node 0 is not a number"),
        ({"threshold": np.zeros(2, dtype=np.float32)}, "threshold has 2 rows, expected 3"),
        ({"cover": np.array([np.inf, 0, 0], dtype=np.float32)}, "cover must be finite"),
        ({"value": np.ones((3, 2), dtype=np.float32)}, "value has 3 rows, expected 2"),
        ({"value": np.ones((2, 3), dtype=np.float32)}, "value has 3 classes, base has 2"),
        ({"value": np.full((2, 2), np.nan, dtype=np.float32)}, "value must be finite"),
        ({"value": np.ones((2, 1), dtype=np.float32), "base": np.zeros(1)}, "1 classes, allowed are 2 to 16"),
        ({"base": np.array([0, np.inf])}, "base must be finite"),
        ({"columns": 0}, "0 columns"),
        ({"columns": 1025}, "1025 columns, allowed are 1 to 1024"),
        ({"link": "logistic"}, "link is 'logistic'"),
        ({"sizes": np.array([], dtype=np.int32)}, "sizes must be odd and sum to 3"),
        ({"sizes": np.array([2, 1], dtype=np.int32)}, "sizes must be odd"),
        ({"sizes": np.array([5, -2], dtype=np.int32)}, "sizes must be odd"),
        ({"sizes": np.array([1, 1, 1], dtype=np.int32)}, "tree 0 has 1 inner nodes among 1"),
        ({"feature": np.array([LEAF, 0, LEAF], dtype=np.int16)}, "node 1 comes after its own children"),
        ({"sizes": np.array([2**31 - 1, 2**31 - 1, 5], dtype=np.int32)}, "sizes must be odd and sum to 3"),
    ],
)
def test_what_is_no_ensemble_is_refused(changes: dict[str, Any], message: str) -> None:
    """In memory and from a file, with what is wrong."""
    with pytest.raises(ValueError, match=message):
        stump(**changes)


def test_a_tree_deeper_than_a_row_may_walk_is_refused() -> None:
    """A chain of 129 splits; one of 128 is accepted."""

    def chain(depth: int) -> TreeEnsemble:
        feature = np.full(2 * depth + 1, LEAF, dtype=np.int16)
        feature[[0, *range(1, 2 * depth - 1, 2)]] = 0
        nodes = len(feature)
        return stump(
            sizes=np.array([nodes], dtype=np.int32),
            feature=feature,
            threshold=np.zeros(nodes, dtype=np.float32),
            cover=np.ones(nodes, dtype=np.float32),
            value=np.zeros((depth + 1, 2), dtype=np.float32),
        )

    assert chain(MOST_DEPTH).depths.tolist() == [MOST_DEPTH]
    with pytest.raises(ValueError, match="tree 0 is deeper than 128"):
        chain(MOST_DEPTH + 1)


@given(st.data())
def test_a_damaged_file_is_refused_or_is_another_good_ensemble(data: st.DataObject) -> None:
    """Nothing else escapes, whatever byte is wrong."""
    raw = bytearray(random_ensemble(1, trees=2, inner=3).to_npz())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    try:
        ensemble = TreeEnsemble.from_npz(bytes(raw))
    except ValueError:
        return
    ensemble.probabilities(np.zeros((1, ensemble.columns), dtype=np.float32))


def test_single_values_must_be_single(tmp_path: Any) -> None:
    """Columns and softmax are numbers, not arrays."""
    good = stump()
    arrays = {name: getattr(good, name) for name in ARRAYS}
    np.savez(tmp_path / "trees.npz", columns=np.array([2, 2], dtype=np.int32), softmax=np.array(False), **arrays)

    with pytest.raises(ValueError, match="columns is 1-dimensional int32"):
        TreeEnsemble.from_npz((tmp_path / "trees.npz").read_bytes())


def test_a_copy_with_a_change_is_checked_again() -> None:
    """There is no way around the checks."""
    with pytest.raises(ValueError, match="looks at column"):
        replace(stump(), columns=1, feature=np.array([1, LEAF, LEAF], dtype=np.int16))
