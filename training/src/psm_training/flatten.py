"""Fitted estimator -> TreeEnsemble, for the kinds of tree ensembles that we know; any other is served as ONNX.

Called by `artifact`, which proves that the arrays answer as the estimator does before it writes them: part of what is
read of the libraries here is not their public face.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from psm_contract.trees import LEAF, Link, TreeEnsemble

Array = NDArray[Any]
_XGBOOST_OBJECTIVES: Final = ("multi:softprob", "binary:logistic")


@dataclass(frozen=True)
class _Tree:
    """One tree as its library numbers it, root first; what a leaf has as children, feature and threshold means nothing.

    Attributes:
        is_leaf: Which nodes are leaves, [nodes].
        left: Left child, [nodes].
        right: Right child, [nodes].
        feature: Column of the split, [nodes].
        threshold: Largest value that goes left, in the library's precision, [nodes].
        cover: Training rows of the node, [nodes].
        value: What the node adds to each class, [nodes, classes].
    """

    is_leaf: NDArray[np.bool_]
    left: Array
    right: Array
    feature: Array
    threshold: Array
    cover: Array
    value: Array


@dataclass(frozen=True)
class _Read:
    """An ensemble as read from its library.

    Attributes:
        link: From sums to probabilities.
        base: What the sums start from, [classes].
        trees: The trees.
    """

    link: Link
    base: Array
    trees: Sequence[_Tree]


def flatten(estimator: Any) -> TreeEnsemble | None:
    """The ensemble as flat arrays; None where it is no ensemble of trees that we know.

    Raises:
        ValueError: It is larger than the predictor's kernel can address.
    """
    read = _read(estimator)
    if read is None:
        return None
    trees = [_breadth_first(tree) for tree in read.trees]
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([_rounded_down(tree.threshold) for tree in trees])
    return TreeEnsemble(
        columns=int(estimator.n_features_in_),
        link=read.link,
        sizes=np.array([len(tree.is_leaf) for tree in trees], dtype=np.int32),
        feature=np.where(is_leaf, LEAF, feature).astype(np.int16),
        threshold=np.where(is_leaf, np.float32(0), threshold),
        cover=np.concatenate([tree.cover for tree in trees]).astype(np.float32),
        value=np.concatenate([tree.value[tree.is_leaf] for tree in trees]).astype(np.float32),
        base=read.base.astype(np.float64),
    )


def _read(estimator: Any) -> _Read | None:
    match estimator:
        case RandomForestClassifier() | ExtraTreesClassifier() if estimator.n_outputs_ == 1:
            return _mean(estimator.estimators_)
        case DecisionTreeClassifier() if estimator.n_outputs_ == 1:
            return _mean([estimator])
        case GradientBoostingClassifier() if estimator.loss == "log_loss" and estimator.init in (None, "zero"):
            return _boosted(estimator)
        case HistGradientBoostingClassifier() if estimator.is_categorical_ is None:
            return _histogram_boosted(estimator)
        case _ if type(estimator).__module__ == "xgboost.sklearn" and hasattr(estimator, "n_classes_"):
            return _xgboost(estimator)
    return None


def _breadth_first(tree: _Tree) -> _Tree:
    """The tree numbered level by level, children side by side."""
    level = np.zeros(1, dtype=np.intp)
    levels = [level]
    while len(level):
        inner = level[~tree.is_leaf[level]]
        level = np.stack([tree.left[inner], tree.right[inner]], axis=1).ravel().astype(np.intp)
        levels.append(level)
    order = np.concatenate(levels)
    return _Tree(**{name: column[order] for name, column in vars(tree).items()})


def _rounded_down(threshold: Array) -> NDArray[np.float32]:
    """The largest float32 that is not above: a float32 is at most the one exactly where it is at most the other."""
    with np.errstate(over="ignore"):  # beyond float32 is infinity, which is right
        near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _mean(grown: Sequence[Any]) -> _Read:
    """Trees whose leaves hold shares of the classes, averaged."""
    trees = [_scikit_tree(tree.tree_, tree.tree_.value[:, 0, :] / len(grown)) for tree in grown]
    return _Read("identity", np.zeros(trees[0].value.shape[1]), trees)


def _scikit_tree(tree: Any, value: Array) -> _Tree:
    return _Tree(
        is_leaf=tree.children_left < 0,
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=tree.threshold,
        cover=tree.weighted_n_node_samples,
        value=value,
    )


def _scores(scores: Array) -> Array:
    """Raw scores per class: a library keeps one for two classes, the second's, and its logistic is softmax over (0, score)."""
    return np.append(0.0, scores) if len(scores) == 1 else scores


def _of_class(value: Array, number: int, classes: int) -> Array:
    """What a tree that speaks for one class adds to all of them."""
    values = np.zeros((len(value), classes))
    values[:, number if classes > 2 else 1] = value  # noqa: PLR2004  # as in _scores
    return values


def _boosted(estimator: GradientBoostingClassifier) -> _Read:
    row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)  # any: the first guess looks at no feature
    base = _scores(estimator._raw_predict_init(row)[0])  # noqa: SLF001  # see the module
    trees = [
        _scikit_tree(tree.tree_, _of_class(tree.tree_.value[:, 0, 0] * estimator.learning_rate, number, len(base)))
        for stage in estimator.estimators_
        for number, tree in enumerate(stage)
    ]
    return _Read("softmax", base, trees)


def _histogram_boosted(estimator: HistGradientBoostingClassifier) -> _Read:
    base = _scores(estimator._baseline_prediction[0])  # noqa: SLF001  # see the module
    trees = [
        _histogram_tree(tree.nodes, number, len(base))
        for stage in estimator._predictors  # noqa: SLF001  # see the module
        for number, tree in enumerate(stage)
    ]
    return _Read("softmax", base, trees)


def _histogram_tree(nodes: Array, number: int, classes: int) -> _Tree:
    return _Tree(
        is_leaf=nodes["is_leaf"].astype(np.bool_),
        left=nodes["left"],
        right=nodes["right"],
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        cover=nodes["count"],
        value=_of_class(nodes["value"], number, classes),
    )


def _xgboost(estimator: Any) -> _Read | None:
    booster = estimator.get_booster()
    if estimator.early_stopping_rounds is not None:
        booster = booster[: estimator.best_iteration + 1]  # what its own predict_proba does
    learner = json.loads(booster.save_raw("json"))["learner"]
    model, objective = learner["gradient_booster"], learner["objective"]["name"]
    if model["name"] != "gbtree" or objective not in _XGBOOST_OBJECTIVES:
        return None
    grown = model["model"]["trees"]
    if any(tree["categories_nodes"] or int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in grown):
        return None
    classes = int(estimator.n_classes_)
    start = np.atleast_1d(json.loads(learner["learner_model_param"]["base_score"]))
    base = _scores(np.log(start / (1 - start))) if objective == "binary:logistic" else np.resize(start, classes)
    trees = [
        _xgboost_tree(tree, number, classes) for tree, number in zip(grown, model["model"]["tree_info"], strict=True)
    ]
    return _Read("softmax", base, trees)


def _xgboost_tree(tree: dict[str, Any], number: int, classes: int) -> _Tree:
    """XGBoost goes left below its threshold, in float32; in a leaf the threshold's place holds the value."""
    left = np.array(tree["left_children"], dtype=np.int32)
    threshold = np.array(tree["split_conditions"], dtype=np.float32)
    return _Tree(
        is_leaf=left < 0,
        left=left,
        right=np.array(tree["right_children"], dtype=np.int32),
        feature=np.array(tree["split_indices"], dtype=np.int32),
        threshold=np.nextafter(threshold, np.float32(-np.inf)),
        cover=np.array(tree["sum_hessian"], dtype=np.float32),
        value=_of_class(threshold, number, classes),
    )
