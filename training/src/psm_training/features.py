"""Step 4: gold -> tables and matrices, by the very function that the predictor calls."""

from typing import Any

import numpy as np

from psm_contract.features import FEATURES, basket_features
from psm_training.gold import UNLABELLED, Gold
from psm_training.load import load_gold
from psm_training.recipes import Recipe
from psm_training.split import TEST, TRAIN, VALID
from psm_training.tables import cross_fitted_features, fit_tables
from psm_training.workspace import Workspace

PARTS = (TRAIN, VALID, TEST)


def features(space: Workspace, recipe: Recipe) -> str:
    """Writes tables.npz and features.npz.

    features.npz holds, for every part, `<part>` [baskets, features], and `<part>_label`, `<part>_household`,
    `<part>_basket` and `<part>_week` [baskets].

    Returns:
        One line for the user.
    """
    gold, part = load_gold(space)
    labelled = gold.label != UNLABELLED
    parts = {name: gold.take(labelled & (part == name)) for name in PARTS}
    train = gold.take(part == TRAIN)
    tables = fit_tables(train, recipe.tables)
    matrices = {
        TRAIN: cross_fitted_features(train, tables, recipe.tables)[train.label != UNLABELLED],
        VALID: basket_features(parts[VALID].lines, tables),
        TEST: basket_features(parts[TEST].lines, tables),
    }
    files = space.of(recipe.name)
    files.tables.write_bytes(tables.to_npz())
    arrays: dict[str, Any] = {**matrices}
    for name, gold in parts.items():
        arrays |= {
            f"{name}_label": gold.label,
            f"{name}_household": gold.household,
            f"{name}_basket": gold.basket,
            f"{name}_week": gold.week,
        }
    np.savez(files.features, **arrays)
    return f"{len(FEATURES)} features of {len(parts[TRAIN]):,} training baskets, {int(tables.level_ends[0]):,} products known"


def labelled_parts(space: Workspace) -> dict[str, Gold]:
    """The classified baskets of each part."""
    gold, part = load_gold(space)
    labelled = gold.label != UNLABELLED
    return {name: gold.take(labelled & (part == name)) for name in PARTS}
