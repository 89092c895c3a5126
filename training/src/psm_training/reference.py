"""The training window as histograms: what the predictor compares live baskets with, to see drift."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.manifest import Feature, Histogram, Reference

BINS: Final = 10
"""Deciles: the usual choice for a population stability index, whose bounds of 0.1 and 0.25 are meant for them."""


def reference(
    features: Sequence[Feature], matrix: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> Reference:
    """Histograms of every feature and of the model's answers.

    Args:
        features: In the order of the columns.
        matrix: [baskets, features] of the training window, cross-fitted: no household's features know its own labels.
        probabilities: [held-out baskets, classes]: a model is too sure of baskets that it was fitted on.
    """
    answered = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    return Reference(
        baskets=len(matrix),
        features=tuple(_histogram(feature, column) for feature, column in zip(features, matrix.T, strict=True)),
        predictions=Histogram(shares=_shares(answered)),
    )


def _histogram(feature: Feature, values: NDArray[np.float32]) -> Histogram:
    """Bins of about a tenth of the baskets each; fewer where many baskets share a value."""
    if feature.kind == "category":
        return Histogram(shares=_shares(np.bincount(values.astype(np.int64), minlength=len(feature.vocabulary))))
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    edges = edges[edges > values.min()]  # nothing would fall below the smallest value
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Histogram(edges=tuple(edges.tolist()), shares=_shares(counts))


def _shares(counts: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple((counts / counts.sum()).tolist())
