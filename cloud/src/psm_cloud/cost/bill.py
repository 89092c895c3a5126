"""The price of a plan: `price` is a pure function of plan, prices and usage, and fails for what it does not know."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from psm_cloud.cost.prices import Prices
from psm_cloud.cost.resources import Planned
from psm_cloud.cost.usage import Usage

HOURS: Final = Decimal(730)
"""Of a month, as AWS counts: 8,760 hours of a year over twelve."""


@dataclass(frozen=True)
class Line:
    """One position: quantity times price."""

    group: str
    what: str
    address: str
    """Of the plan's resource; empty for what the plan does not have, such as the load balancer of an Ingress."""
    quantity: Decimal
    price: str
    usd: Decimal


@dataclass(frozen=True)
class Facts:
    """All that a rule may read."""

    plan: Planned
    prices: Prices
    usage: Usage

    def line(self, group: str, what: str, address: str, quantity: Decimal, price: str) -> Line:
        """Return a position at the table's price."""
        return Line(group, what, address, quantity, price, quantity * self.prices[price])


@dataclass(frozen=True)
class Bill:
    """A month."""

    environment: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """US dollars."""
        return sum((line.usd for line in self.lines), Decimal(0))

    def by_group(self) -> dict[str, Decimal]:
        """US dollars of each group, the dearest first."""
        sums: dict[str, Decimal] = {}
        for line in self.lines:
            sums[line.group] = sums.get(line.group, Decimal(0)) + line.usd
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def bill_of(environment: str, lines: Iterable[Line]) -> Bill:
    """Return the bill without positions of nothing."""
    return Bill(environment, tuple(line for line in lines if line.quantity))
