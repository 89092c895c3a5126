"""Contributions are the Shapley values of the trees, and add up to the answer."""

import itertools
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from psm_contract.trees import LEAF, Link, TreeEnsemble
from psm_predictor.explain.explainer import ContributionExplainer
from psm_predictor.explain.model_text import node_counts
from psm_training.flatten import flatten

Floats = NDArray[np.float64]


def random_ensemble(
    seed: int, *, trees: int = 6, columns: int = 4, classes: int = 3, depth: int = 4, link: Link = "identity"
) -> TreeEnsemble:
    """Trees of random shape; a forest's leaves hold shares that sum to 1, a boosted tree speaks of one class."""
    rng = np.random.default_rng(seed)
    features: list[list[int]] = []
    covers: list[list[float]] = []
    for _ in range(trees):
        feature, cover = [int(rng.integers(columns))] if rng.random() < 0.9 else [LEAF], [float(rng.integers(50, 500))]
        level, level_cover = list(feature), list(cover)
        for step in range(depth):
            below: list[int] = []
            below_cover: list[float] = []
            for number, count in zip(level, level_cover, strict=True):
                if number == LEAF:
                    continue
                goes_left = float(rng.integers(1, int(count)))
                for share in (goes_left, count - goes_left):
                    is_leaf = step == depth - 1 or share < 4 or rng.random() < 0.2
                    below.append(LEAF if is_leaf else int(rng.integers(columns)))
                    below_cover.append(share)
            feature, cover, level, level_cover = [*feature, *below], [*cover, *below_cover], below, below_cover
        features.append(feature)
        covers.append(cover)
    flat = np.array(list(itertools.chain.from_iterable(features)), dtype=np.int16)
    leaves = int(np.count_nonzero(flat == LEAF))
    if link == "identity":
        value = rng.dirichlet(np.ones(classes), leaves) / trees
    else:
        tree = np.repeat(np.arange(trees), [feature.count(LEAF) for feature in features])
        value = np.where(np.arange(classes) == (tree % classes)[:, None], rng.normal(size=(leaves, 1)), 0.0)
    return TreeEnsemble(
        columns=columns,
        link=link,
        sizes=np.array([len(feature) for feature in features], dtype=np.int32),
        feature=flat,
        threshold=np.where(flat == LEAF, 0, rng.normal(size=len(flat))).astype(np.float32),
        cover=np.array(list(itertools.chain.from_iterable(covers)), dtype=np.float32),
        value=value.astype(np.float32),
        base=np.zeros(classes) if link == "identity" else rng.normal(size=classes),
    )


def rows(seed: int, columns: int, count: int = 12) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


def margin(ensemble: TreeEnsemble, row: NDArray[np.float32]) -> Callable[[frozenset[int]], Floats]:
    """What the trees sum to when only some columns are known: paths not known are weighed by their training rows."""
    roots = ensemble.roots.tolist()

    def below(node: int, known: frozenset[int]) -> Floats:
        if ensemble.is_leaf[node]:
            return np.asarray(ensemble.value[ensemble.leaf[node]], dtype=np.float64)
        left = int(ensemble.left[node])
        column = int(ensemble.feature[node])
        if column in known:
            return below(left + int(row[column] > ensemble.threshold[node]), known)
        weights = ensemble.cover[left : left + 2].astype(np.float64)
        share = weights / weights.sum()
        return np.asarray(share[0] * below(left, known) + share[1] * below(left + 1, known), dtype=np.float64)

    return lambda known: ensemble.base + sum(below(root, known) for root in roots)


def shapley(ensemble: TreeEnsemble, row: NDArray[np.float32]) -> Floats:
    """Shapley values by their definition, over every subset of columns, [classes, columns + 1]."""
    game = margin(ensemble, row)
    columns = frozenset(range(ensemble.columns))
    answer = np.zeros((ensemble.classes, ensemble.columns + 1))
    answer[:, -1] = game(frozenset())
    for column in columns:
        for size in range(len(columns)):
            weight = 1 / (len(columns) * math.comb(len(columns) - 1, size))
            for others in itertools.combinations(sorted(columns - {column}), size):
                known = frozenset(others)
                answer[:, column] += weight * (game(known | {column}) - game(known))
    return answer


@pytest.mark.parametrize("link", ["identity", "softmax"])
@pytest.mark.parametrize("seed", range(8))
def test_contributions_are_shapley_values(link: Link, seed: int) -> None:
    """By the definition: every subset of columns, every path."""
    ensemble = random_ensemble(seed, link=link)
    matrix = rows(seed, ensemble.columns, 4)

    found = ContributionExplainer(ensemble).contributions(matrix)

    for answer, row in zip(found, matrix, strict=True):
        np.testing.assert_allclose(answer, shapley(ensemble, row), rtol=0, atol=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_base_and_contributions_of_a_forest_sum_to_the_probability(seed: int) -> None:
    """Class by class, for forests of all sizes."""
    ensemble = random_ensemble(seed, trees=1 + 10 * seed, columns=12, classes=2 + seed % 3, depth=9)
    matrix = rows(seed, ensemble.columns, 50)
    explainer = ContributionExplainer(ensemble)

    total = explainer.contributions(matrix).sum(axis=2)

    assert explainer.scale == "probability"
    np.testing.assert_allclose(total, ensemble.probabilities(matrix), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_base_and_contributions_of_boosted_trees_sum_to_the_margin(seed: int) -> None:
    """Softmax of the sums is the answer."""
    ensemble = random_ensemble(seed, trees=30, columns=6, depth=5, link="softmax")
    matrix = rows(seed, ensemble.columns, 50)
    explainer = ContributionExplainer(ensemble)

    total = explainer.contributions(matrix).sum(axis=2)

    assert explainer.scale == "margin"
    grown = np.exp(total)
    np.testing.assert_allclose(
        grown / grown.sum(axis=1, keepdims=True), ensemble.probabilities(matrix), rtol=0, atol=1e-6
    )


def test_a_row_upon_a_threshold_goes_left_as_the_engine_lets_it() -> None:
    """Every digit of a threshold is told to LightGBM: the neighbours of a float32 are told apart."""
    ensemble = random_ensemble(3, trees=20, columns=3, depth=5)
    inner = np.flatnonzero(~ensemble.is_leaf)
    matrix = rows(3, ensemble.columns, len(inner))
    matrix[np.arange(len(inner)), ensemble.feature[inner]] = ensemble.threshold[inner]
    above = matrix.copy()
    above[np.arange(len(inner)), ensemble.feature[inner]] = np.nextafter(ensemble.threshold[inner], np.float32(np.inf))
    explainer = ContributionExplainer(ensemble)

    for asked in (matrix, above):
        total = explainer.contributions(asked).sum(axis=2)
        np.testing.assert_allclose(total, ensemble.probabilities(asked), rtol=0, atol=1e-6)


def test_weights_and_empty_nodes_are_counted_too() -> None:
    """Covers that are sums of weights, or zero, become whole numbers that still add up."""
    ensemble = random_ensemble(5, trees=5)
    weighted = replace(ensemble, cover=(ensemble.cover * 0.37e-3).astype(np.float32))
    empty = replace(ensemble, cover=np.zeros_like(ensemble.cover))
    matrix = rows(5, ensemble.columns)

    for answer, row in zip(ContributionExplainer(weighted).contributions(matrix), matrix, strict=True):
        np.testing.assert_allclose(answer, shapley(weighted, row), rtol=0, atol=1e-6)
    total = ContributionExplainer(empty).contributions(matrix).sum(axis=2)
    np.testing.assert_allclose(total, ensemble.probabilities(matrix), rtol=0, atol=1e-6)
    for counted in (weighted, empty):
        counts = node_counts(counted)
        inner = np.flatnonzero(~counted.is_leaf)
        left = counted.left[inner]
        assert np.all(counts > 0)
        assert np.all(counts[inner] == counts[left] + counts[left + 1])
        assert counts.max() < 2**31


def test_thresholds_without_end_are_walked() -> None:
    """Infinite in the arrays, and no text for them."""
    ensemble = random_ensemble(6, trees=4)
    threshold = ensemble.threshold.copy()
    threshold[~ensemble.is_leaf] = np.where(np.arange(np.count_nonzero(~ensemble.is_leaf)) % 2, np.inf, -np.inf)
    endless = replace(ensemble, threshold=threshold)
    matrix = rows(6, ensemble.columns)

    total = ContributionExplainer(endless).contributions(matrix).sum(axis=2)

    np.testing.assert_allclose(total, endless.probabilities(matrix), rtol=0, atol=1e-6)


def learned(estimator: Any, columns: int = 8) -> tuple[TreeEnsemble, NDArray[np.float32]]:
    """The fitted estimator as flat arrays, and rows it was not fitted on."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(2000, columns)).astype(np.float32)
    score = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + rng.normal(scale=0.5, size=len(matrix))
    estimator.fit(matrix, np.digitize(score, [-0.5, 0.5]))
    ensemble = flatten(estimator)
    assert ensemble is not None
    return ensemble, rng.normal(size=(25, columns)).astype(np.float32)


@pytest.mark.skipif(sys.platform != "linux", reason="shap is installed on Linux alone: its compiler is large")
@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(20, max_depth=8, random_state=0),
        ExtraTreesClassifier(20, max_depth=8, random_state=0),
        DecisionTreeClassifier(max_depth=6, random_state=0),
        HistGradientBoostingClassifier(max_iter=15, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_contributions_are_those_of_the_shap_library(estimator: Any) -> None:
    """TreeExplainer, asked about scikit-learn's own estimator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its plots are not ours
        import shap  # noqa: PLC0415
    ensemble, matrix = learned(estimator)

    found = ContributionExplainer(ensemble).contributions(matrix)

    told = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    np.testing.assert_allclose(found[:, :, :-1], told.shap_values(matrix).transpose(0, 2, 1), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[0, :, -1], told.expected_value, rtol=0, atol=1e-6)


def test_contributions_are_those_of_xgboost() -> None:
    """It explains itself, by the weights of its nodes."""
    estimator = xgboost.XGBClassifier(n_estimators=15, max_depth=5, random_state=0)
    ensemble, matrix = learned(estimator)

    found = ContributionExplainer(ensemble).contributions(matrix)

    told = estimator.get_booster().predict(xgboost.DMatrix(matrix), pred_contribs=True)
    np.testing.assert_allclose(found, told, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "estimator",
    [GradientBoostingClassifier(n_estimators=15, random_state=0), xgboost.XGBClassifier(n_estimators=15)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_kind_of_boosted_trees_adds_up(estimator: Any) -> None:
    """To the answer of the library itself."""
    ensemble, matrix = learned(estimator)

    total = ContributionExplainer(ensemble).contributions(matrix).sum(axis=2)

    grown = np.exp(total)
    expected = estimator.predict_proba(matrix)
    np.testing.assert_allclose(grown / grown.sum(axis=1, keepdims=True), expected, rtol=0, atol=1e-5)
