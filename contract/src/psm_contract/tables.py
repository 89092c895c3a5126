"""Learned tables that turn till lines into features: the product hierarchy, its prices and encodings, vocabularies.

Training fits them, the archive carries them as tables.npz, `psm_contract.features` reads them. They hold no price
of a single product: tiers and effects are learned from labels, prices are those of types and above.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import repeat
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from psm_contract.npz import read_npz
from psm_contract.tiers import TIERS, Thresholds

LEVELS: Final = ("PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30")
"""Finest first; a product unknown to the tables is represented by the first of these codes that is known."""

UNKNOWN: Final = -1

_KINDS: Final = {"codes": "U", "vocabulary": "U", "level_ends": "i", "vocabulary_ends": "i", "parent": "i"}
"""numpy's kind of each array that does not hold real numbers."""

ZONE_LEVELS: Final = (1, 2)
"""Levels at which price zones are learned: product type and category."""

ZONE_EDGES: Final = (-1.5, -1.0, -0.5, -0.15, 0.15, 0.5, 1.0, 1.5)
"""Limits of the price zones, in standard deviations of the node's log unit price."""

ZONES: Final = len(ZONE_EDGES) + 1

CHANCES_TOLERANCE: Final = 1e-9

CodeColumn = Sequence[str | None] | NDArray[np.object_]
"""Codes or words of many rows: a list, or a numpy array of objects; None where not given."""


@dataclass(frozen=True)
class Tables:
    """Nodes of the product hierarchy, finest level first, one root (the prior) at the end.

    Attributes:
        codes: Code of every node but the root, text [n - 1].
        level_ends: End of each level of LEVELS within `codes`, [4].
        parent: Node one level up, [n]; the root is its own parent.
        price_mean: Mean log unit price at the node, [n]; a product carries its parent's.
        price_spread: Standard deviation of the log unit price, [n], positive.
        encoding: Learned class shares at the node minus the prior, LA and UM, shrunk to the parent, [n, 2].
        effect: How much one line of the node moves its basket towards LA and UM, summed over the node and the nodes
            above it, [n, 2].
        zone_effect: The same for the line's price zone within its product type and its category,
            [nodes of levels 1 and 2, zones, 2].
        tier: Chance of each of `psm_contract.tiers.TIERS` for a product, and for one of the node that is not known, [n, 4];
            [0, 4] where tiers were not learned.
        tier_thresholds: Mean tier up to which a basket is LA, and from which it is UM, [2].
        vocabulary: Words of the category features, one after the other, each block ending with "other".
        vocabulary_ends: End of each category feature's block within `vocabulary`.
        defaults: Encoded value of every feature when the input does not say, [features].
    """

    codes: NDArray[np.str_]
    level_ends: NDArray[np.int64]
    parent: NDArray[np.int32]
    price_mean: NDArray[np.float64]
    price_spread: NDArray[np.float64]
    encoding: NDArray[np.float64]
    effect: NDArray[np.float64]
    zone_effect: NDArray[np.float64]
    tier: NDArray[np.float64]
    tier_thresholds: NDArray[np.float64]
    vocabulary: NDArray[np.str_]
    vocabulary_ends: NDArray[np.int64]
    defaults: NDArray[np.float64]

    @property
    def root(self) -> int:
        """Number of the root node."""
        return len(self.parent) - 1

    @property
    def has_tiers(self) -> bool:
        """Whether tiers were learned; without, their features are 0."""
        return len(self.tier) > 0

    @cached_property
    def thresholds(self) -> Thresholds:
        """From the mean tier to the class."""
        return Thresholds(*self.tier_thresholds.tolist())

    @cached_property
    def _node_of(self) -> tuple[dict[str | None, int], ...]:
        """One dictionary code -> node per level."""
        starts = [0, *self.level_ends[:-1].tolist()]
        codes = self.codes.tolist()
        return tuple(
            dict(zip(codes[start:end], range(start, end), strict=True))
            for start, end in zip(starts, self.level_ends.tolist(), strict=True)
        )

    @cached_property
    def vocabularies(self) -> tuple[tuple[str, ...], ...]:
        """The words of each category feature."""
        starts = [0, *self.vocabulary_ends[:-1].tolist()]
        return tuple(
            tuple(self.vocabulary[start:end].tolist())
            for start, end in zip(starts, self.vocabulary_ends.tolist(), strict=True)
        )

    @cached_property
    def _word_number(self) -> tuple[dict[str, int], ...]:
        return tuple({word: number for number, word in enumerate(words)} for words in self.vocabularies)

    def known(self, level: int, codes: CodeColumn) -> NDArray[np.int64]:
        """Node of each code at one level of LEVELS; UNKNOWN where the tables do not have it."""
        node_of: dict[str | None, int] = self._node_of[level]
        found = map(node_of.get, codes, repeat(UNKNOWN))
        return np.fromiter(found, dtype=np.int64, count=len(codes))

    def words(self, category: int, values: CodeColumn, default: float) -> NDArray[np.float64]:
        """Encodes values of the category-th category feature: missing -> default, unknown -> "other"."""
        numbers = self._word_number[category]
        other = len(numbers) - 1
        encoded = (default if value is None else numbers.get(value, other) for value in values)
        return np.fromiter(encoded, dtype=np.float64, count=len(values))

    def nodes(self, columns: Sequence[CodeColumn]) -> NDArray[np.int64]:
        """Node of each line at each level, falling back PROD_CODE -> 10 -> 20 -> 30 -> root.

        A line that leaves out the codes above a known product gets them from the tables.

        Args:
            columns: The codes at each of LEVELS, one sequence per level, equally long.

        Returns:
            [4, lines]
        """
        nodes = np.stack([self.known(level, codes) for level, codes in enumerate(columns)])
        for level in range(1, len(LEVELS)):
            inherit = (nodes[level] == UNKNOWN) & (nodes[level - 1] != UNKNOWN)
            nodes[level, inherit] = self.parent[nodes[level - 1, inherit]]
        coarser = np.full(nodes.shape[1], self.root)
        for level in reversed(range(len(LEVELS))):
            nodes[level] = np.where(nodes[level] == UNKNOWN, coarser, nodes[level])
            coarser = nodes[level]
        return nodes

    def own(self, level: int, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the level's `nodes` are really of that level, and not a coarser one standing in."""
        return np.asarray(nodes < self.level_ends[level], dtype=np.bool_)

    def to_npz(self) -> bytes:
        """The tables as the bytes of tables.npz; equal tables give equal bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, **{field.name: getattr(self, field.name) for field in fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, raw: bytes) -> Self:
        """Reads tables.npz without unpickling anything.

        Raises:
            ValueError: Not an npz file, an array is missing, or the arrays do not fit each other.
        """
        arrays = read_npz(raw, [field.name for field in fields(cls)])
        for name, array in arrays.items():
            if array.dtype.kind != _KINDS.get(name, "f") or array.ndim == 0:
                raise ValueError(f"table {name} has type {array.dtype} and {array.ndim} dimensions")
        tables = cls(**arrays)
        tables._check()
        return tables

    def _check(self) -> None:
        if self.level_ends.shape != (len(LEVELS),) or self.level_ends[0] < 0 or self.parent.ndim != 1:
            raise ValueError(
                f"table level_ends {self.level_ends.tolist()} or parent {self.parent.shape} has another shape"
            )
        nodes = len(self.parent)
        shapes = {
            "codes": (nodes - 1,),
            "price_mean": (nodes,),
            "price_spread": (nodes,),
            "encoding": (nodes, 2),
            "effect": (nodes, 2),
            "zone_effect": (int(self.level_ends[ZONE_LEVELS[-1]]) - int(self.level_ends[0]), ZONES, 2),
            "tier": (nodes if self.has_tiers else 0, len(TIERS)),
            "tier_thresholds": (2,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"table {name} has shape {getattr(self, name).shape}, expected {shape}")
        if self.level_ends[-1] != nodes - 1 or np.any(np.diff(self.level_ends) < 0):
            raise ValueError(f"table level_ends {self.level_ends.tolist()} does not cover {nodes - 1} codes")
        if np.any(self.parent < np.minimum(np.arange(nodes) + 1, nodes - 1)) or np.any(self.parent >= nodes):
            raise ValueError("table parent must point from finer to coarser nodes")
        words = self.vocabulary_ends
        if (
            words.ndim != 1
            or not len(words)
            or np.any(np.diff(words, prepend=0) < 1)
            or words[-1] != len(self.vocabulary)
        ):
            raise ValueError(f"table vocabulary_ends {words.tolist()} does not cover {len(self.vocabulary)} words")
        for name in (
            "price_mean",
            "price_spread",
            "encoding",
            "effect",
            "zone_effect",
            "tier",
            "tier_thresholds",
            "defaults",
        ):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"table {name} must be finite")
        self._check_tiers()
        if not np.all(self.price_spread > 0):
            raise ValueError("table price_spread must be positive")

    def _check_tiers(self) -> None:
        if np.any(self.tier < 0) or np.any(np.abs(self.tier.sum(axis=1) - 1.0) > CHANCES_TOLERANCE):
            raise ValueError("table tier must hold chances that sum to 1")
        if not self.tier_thresholds[0] < self.tier_thresholds[1]:
            raise ValueError(f"table tier_thresholds must ascend, they are {self.tier_thresholds.tolist()}")
