"""The gold table in memory: classified baskets with their lines, label, household and week.

Every source ends here and every later step starts here.
"""

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from psm_contract.features import CONTEXT_COLUMNS, Lines
from psm_contract.schema import CLASSES, Line
from psm_contract.tables import LEVELS

UNLABELLED = -1
"""Label number of a basket marked XX."""


@dataclass(frozen=True)
class Gold:
    """Baskets as columns, all arrays [baskets].

    Attributes:
        lines: The till lines.
        label: Number of the class in CLASSES, UNLABELLED for XX.
        household: Number of the household; baskets without a card have one of their own.
        week: Week of the purchase, yyyyww.
        basket: BASKET_ID.
    """

    lines: Lines
    label: NDArray[np.int8]
    household: NDArray[np.int64]
    week: NDArray[np.int32]
    basket: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def households(self) -> int:
        """Number of distinct households."""
        return len(np.unique(self.household))

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """The chosen baskets, in their order.

        Args:
            chosen: Mask [baskets].
        """
        return type(self)(
            lines=take_lines(self.lines, chosen),
            label=self.label[chosen],
            household=self.household[chosen],
            week=self.week[chosen],
            basket=self.basket[chosen],
        )

    def records(self, number: int) -> tuple[Line, ...]:
        """The till lines of one basket as a client would send them, without the label."""
        lines = self.lines
        end = lines.starts[number + 1] if number + 1 < len(lines.starts) else len(lines.spend)
        context = {name: _plain(lines.context[name][number]) for name in CONTEXT_COLUMNS if name in lines.context}
        return tuple(
            cast(
                "Line",
                {
                    "QUANTITY": int(lines.quantity[row]),
                    "SPEND": float(lines.spend[row]),
                    **{level: codes[row] for level, codes in zip(LEVELS, lines.codes, strict=True)},
                    **context,
                },
            )
            for row in range(int(lines.starts[number]), int(end))
        )


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def take_lines(lines: Lines, chosen: NDArray[np.bool_]) -> Lines:
    """The lines of the chosen baskets, in their order."""
    lengths = np.diff(lines.starts, append=len(lines.spend))
    rows = np.repeat(chosen, lengths)
    kept = lengths[chosen]
    product, kind, category, department = (np.asarray(codes, dtype=object)[rows] for codes in lines.codes)
    return Lines(
        starts=np.cumsum(kept) - kept,
        quantity=lines.quantity[rows],
        spend=lines.spend[rows],
        codes=(product, kind, category, department),
        context={name: np.asarray(values, dtype=object)[chosen] for name, values in lines.context.items()},
    )


def class_shares(label: NDArray[np.int8]) -> NDArray[np.float64]:
    """Share of each class among the labelled baskets, [3]."""
    counts = np.bincount(label[label != UNLABELLED], minlength=len(CLASSES))
    return counts / max(1, int(counts.sum()))
