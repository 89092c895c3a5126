"""Learns the tables behind the features: product hierarchy, prices, class shares, vocabularies, defaults.

Only training households and training weeks may come in here; `split` proves it. A training basket's own features
must not know its own label, so they come from tables fitted on other households: `cross_fitted_features`.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.features import CATEGORIES, CONTEXT, FEATURES, Lines, basket_features
from psm_contract.manifest import OTHER
from psm_contract.schema import CLASSES
from psm_contract.tables import LEVELS, ZONE_LEVELS, ZONES, Tables
from psm_contract.tiers import TIERS
from psm_training.effects import fit_effects
from psm_training.gold import UNLABELLED, Gold, class_shares
from psm_training.recipes import TableRecipe
from psm_training.tiers import FIRST_THRESHOLDS, fit_tiers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SMALLEST_SPREAD: Final = 0.1
"""Log price units: a node sold at one price must not turn cents into deviations."""


def fit_tables(gold: Gold, recipe: TableRecipe) -> Tables:
    """Learns the tables from training baskets.

    Args:
        gold: The training baskets; those marked XX say of which products lines do not count, and teach nothing else.
        recipe: How.
    """
    lines = gold.take(gold.label != UNLABELLED).lines
    vocabularies = [_words(lines, spec.source or "") for spec in CATEGORIES]
    learned = replace(
        _learn(gold, recipe),
        vocabulary=np.array([word for words in vocabularies for word in words], dtype=np.str_),
        vocabulary_ends=np.cumsum([len(words) for words in vocabularies]),
    )
    return replace(learned, defaults=_defaults(lines, learned))


def cross_fitted_features(gold: Gold, tables: Tables, recipe: TableRecipe) -> NDArray[np.float32]:
    """Features of the training baskets, each from tables that never saw its household.

    Args:
        gold: The training baskets.
        tables: Learned from all of them; only its vocabularies and defaults are used, which know no label.
        recipe: As `tables` was learned.

    Returns:
        [baskets, features], in the order of `gold`.
    """
    fold = household_folds(gold.household, recipe.folds)
    matrix = np.empty((len(gold), len(FEATURES)), dtype=np.float32)
    for number in range(recipe.folds):
        others = replace(
            _learn(gold.take(fold != number), recipe),
            vocabulary=tables.vocabulary,
            vocabulary_ends=tables.vocabulary_ends,
            defaults=tables.defaults,
        )
        matrix[fold == number] = basket_features(gold.take(fold == number).lines, others)
    return matrix


def household_folds(household: Ints, folds: int) -> Ints:
    """Fold of every basket; a household is in one fold only and the folds' baskets are nearly even in number."""
    households, number, counts = np.unique(household, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    fold = np.empty(len(households), dtype=np.int64)
    fold[order] = np.arange(len(households)) % folds
    return np.asarray(fold[number], dtype=np.int64)


def _learn(gold: Gold, recipe: TableRecipe) -> Tables:
    """Everything but vocabularies and defaults."""
    everything, gold = gold, gold.take(gold.label != UNLABELLED)
    blank = _blank(_hierarchy(gold.lines, recipe.min_lines), len(FEATURES))
    blank = replace(blank, parent=_parents(gold.lines, blank))
    nodes = blank.nodes(gold.lines.codes)
    price_mean, price_spread = _prices(gold.lines, blank, nodes, recipe.price_weight)
    priced = replace(blank, price_mean=price_mean, price_spread=price_spread)
    effect, zone_effect = fit_effects(gold, priced, nodes, recipe.effect_penalty)
    label = np.repeat(gold.label, np.diff(gold.lines.starts, append=len(gold.lines.spend)))
    encoding = _encoding(label, class_shares(gold.label), priced, nodes, recipe.encoding_weight)
    learned = replace(priced, effect=effect, zone_effect=zone_effect, encoding=encoding)
    return _with_tiers(everything, learned) if recipe.tiers else learned


def _with_tiers(gold: Gold, kept: Tables) -> Tables:
    """The tables with tiers and thresholds, learned of all products that were sold, since each of them counts."""
    every = _blank(_hierarchy(gold.lines, 1), 0)
    every = replace(every, parent=_parents(gold.lines, every))
    learned = fit_tiers(gold, every, every.nodes(gold.lines.codes)[0])
    tier = np.empty((len(kept.parent), len(TIERS)))
    tier[-1] = learned.tier[-1]
    for level in range(len(LEVELS)):
        own = _level(kept, level)
        tier[own] = learned.tier[every.known(level, kept.codes[own].tolist())]
    return replace(kept, tier=tier, tier_thresholds=np.array([learned.thresholds.la_until, learned.thresholds.um_from]))


def _hierarchy(lines: Lines, min_lines: int) -> list[list[str]]:
    """Sorted codes of every level; rare products are left out."""
    levels = [sorted(set(codes) - {None}) for codes in lines.codes[1:]]
    products, counts = np.unique(np.asarray(lines.codes[0], dtype=np.str_), return_counts=True)
    frequent: list[str] = products[counts >= min_lines].tolist()
    return [frequent, *levels]


def _blank(levels: list[list[str]], features: int) -> Tables:
    """Tables that know the codes and nothing else."""
    ends = np.cumsum([len(codes) for codes in levels])
    nodes = int(ends[-1]) + 1
    return Tables(
        codes=np.array([code for codes in levels for code in codes], dtype=np.str_),
        level_ends=ends,
        parent=np.full(nodes, nodes - 1, dtype=np.int32),
        price_mean=np.zeros(nodes),
        price_spread=np.ones(nodes),
        encoding=np.zeros((nodes, 2)),
        effect=np.zeros((nodes, 2)),
        zone_effect=np.zeros((int(ends[ZONE_LEVELS[-1]] - ends[0]), ZONES, 2)),
        tier=np.zeros((0, len(TIERS))),
        tier_thresholds=np.array([FIRST_THRESHOLDS.la_until, FIRST_THRESHOLDS.um_from]),
        vocabulary=np.array([], dtype=np.str_),
        vocabulary_ends=np.zeros(len(CATEGORIES), dtype=np.int64),
        defaults=np.zeros(features),
    )


def _parents(lines: Lines, tables: Tables) -> NDArray[np.int32]:
    """Node above each node: the one it appears with; should a code move, the last appearance wins."""
    parent = tables.parent.copy()
    known = [tables.known(level, codes) for level, codes in enumerate(lines.codes)]
    for finer, coarser in pairwise(known):
        both = (finer >= 0) & (coarser >= 0)
        parent[finer[both]] = coarser[both]
    return parent


def _prices(lines: Lines, tables: Tables, nodes: Ints, weight: float) -> tuple[Floats, Floats]:
    """Mean and spread of the log unit price at each node, shrunk to its parent; a product carries its parent's."""
    log_price = np.log(np.maximum(lines.spend / lines.quantity, 0.01))
    size = len(tables.parent)
    mean, spread = np.zeros(size), np.ones(size)
    mean[-1], spread[-1] = log_price.mean(), max(SMALLEST_SPREAD, float(log_price.std()))
    for level in reversed(range(1, len(LEVELS))):
        own = _level(tables, level)
        count = np.bincount(nodes[level], minlength=size)[own]
        total = np.bincount(nodes[level], log_price, size)[own]
        square = np.bincount(nodes[level], log_price**2, size)[own]
        centre = total / np.maximum(1, count)
        deviation = np.sqrt(np.maximum(0.0, square / np.maximum(1, count) - centre**2))
        above = tables.parent[own]
        mean[own] = (total + weight * mean[above]) / (count + weight)
        spread[own] = np.maximum(SMALLEST_SPREAD, (count * deviation + weight * spread[above]) / (count + weight))
    products = _level(tables, 0)
    mean[products], spread[products] = mean[tables.parent[products]], spread[tables.parent[products]]
    return mean, spread


def _encoding(label: NDArray[np.int8], prior: Floats, tables: Tables, nodes: Ints, weight: float) -> Floats:
    """LA and UM share of each node's lines minus the prior, shrunk to the parent's, [nodes, 2]."""
    size = len(tables.parent)
    encoding = np.zeros((size, 2))
    for column, number in enumerate((0, len(CLASSES) - 1)):
        for level in reversed(range(len(LEVELS))):
            own = _level(tables, level)
            count = np.bincount(nodes[level], minlength=size)[own]
            hits = np.bincount(nodes[level], label == number, size)[own]
            above = encoding[tables.parent[own], column]
            encoding[own, column] = (hits - count * prior[number] + weight * above) / (count + weight)
    return encoding


def _level(tables: Tables, level: int) -> slice:
    """The nodes of one level."""
    return slice(int(tables.level_ends[level - 1]) if level else 0, int(tables.level_ends[level]))


def _words(lines: Lines, column: str) -> list[str]:
    """Vocabulary of a category column, sorted, "other" last."""
    return [*sorted({value for value in lines.context.get(column, ()) if value is not None} - {OTHER}), OTHER]


def _defaults(lines: Lines, tables: Tables) -> Floats:
    """Median of each number, most frequent word of each category; "other" where the column is never given."""
    matrix = basket_features(lines, tables)
    defaults = np.median(matrix, axis=0).astype(np.float64)
    categories = dict(zip(CATEGORIES, tables.vocabularies, strict=True))
    for place, spec in enumerate(CONTEXT, start=len(FEATURES) - len(CONTEXT)):
        given = [value for value in lines.context.get(spec.source or "", ()) if value is not None]
        if spec.kind == "category":
            words = categories[spec]
            counts = np.bincount([words.index(value) for value in given], minlength=len(words))
            defaults[place] = float(np.argmax(counts)) if given else float(len(words) - 1)
        else:
            defaults[place] = float(np.median(np.asarray(given, dtype=np.float64))) if given else 0.0
    return defaults
