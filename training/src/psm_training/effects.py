"""Learns how much each product and each price zone moves a basket towards LA or UM, all weighed against one another.

A product's plain class share (`tables.encoding`) also counts what else lies in the basket. A ridge regression of the
label on the basket's mean of product, type, category, department and price-zone indicators tells them apart. It
knows labels of training baskets only, no price of a single product and nothing of how the label was made.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from psm_contract.features import price_zone
from psm_contract.schema import CLASSES
from psm_contract.tables import LEVELS, ZONE_LEVELS, ZONES, Tables
from psm_training.gold import Gold, class_shares

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE: Final = 1e-3
"""Relative residual at which the solver stops: below it the features no longer change in the third digit."""

MAX_ITERATIONS: Final = 300


def fit_effects(gold: Gold, tables: Tables, nodes: Ints, penalty: float) -> tuple[Floats, Floats]:
    """Solves the ridge regression for LA and for UM.

    Args:
        gold: Labelled training baskets.
        tables: With hierarchy and prices fitted.
        nodes: Of every line at every level, [4, lines].
        penalty: Of the squared effects.

    Returns:
        `effect` and `zone_effect` of Tables.
    """
    matrix = _design(gold, tables, nodes)
    prior = class_shares(gold.label)
    targets = [(gold.label == number) - prior[number] for number in (0, len(CLASSES) - 1)]
    solved = np.stack([_ridge(matrix, target, penalty) for target in targets], axis=1)
    own, zones = solved[: len(tables.parent)], solved[len(tables.parent) :]
    return _summed(own, tables), zones.reshape(-1, ZONES, 2)


def _design(gold: Gold, tables: Tables, nodes: Ints) -> sparse.csr_matrix:
    """Share of each basket's lines at each node and in each price zone, [baskets, nodes + zones]."""
    lines = gold.lines
    lengths = np.diff(lines.starts, append=len(lines.spend))
    basket = np.repeat(np.arange(len(lengths)), lengths)
    log_price = np.log(np.maximum(lines.spend / lines.quantity, 0.01))
    rows, columns = [], []
    for level in range(len(LEVELS)):
        own = tables.own(level, nodes[level])
        at = nodes[level][own]
        rows.append(basket[own])
        columns.append(at)
        if level in ZONE_LEVELS:
            zone = price_zone((log_price[own] - tables.price_mean[at]) / tables.price_spread[at])
            rows.append(basket[own])
            columns.append(len(tables.parent) + (at - tables.level_ends[0]) * ZONES + zone)
    row, column = np.concatenate(rows), np.concatenate(columns)
    width = len(tables.parent) + tables.zone_effect.shape[0] * ZONES
    return sparse.csr_matrix((1.0 / lengths[row], (row, column)), shape=(len(lengths), width))


def _ridge(matrix: sparse.csr_matrix, target: Floats, penalty: float) -> Floats:
    """Conjugate gradients on the normal equations, scaled by their diagonal."""
    transposed = matrix.T.tocsr()
    diagonal = np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel() + penalty
    size = matrix.shape[1]
    normal = LinearOperator((size, size), matvec=lambda v: transposed @ (matrix @ v) + penalty * v, dtype=np.float64)
    scaled = LinearOperator((size, size), matvec=lambda v: v / diagonal, dtype=np.float64)
    solution, _ = cg(normal, transposed @ target, rtol=TOLERANCE, maxiter=MAX_ITERATIONS, M=scaled)
    return np.asarray(solution, dtype=np.float64)


def _summed(own: Floats, tables: Tables) -> Floats:
    """Effect of a node and everything above it, so that one look-up serves a line at any depth."""
    total = own.copy()
    for level in reversed(range(len(LEVELS))):
        start = int(tables.level_ends[level - 1]) if level else 0
        nodes = slice(start, int(tables.level_ends[level]))
        total[nodes] += total[tables.parent[nodes]]
    return total
