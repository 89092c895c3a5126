"""What people and other programs read of a bill: a table, JSON. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from psm_cloud.cost.bill import Bill
from psm_cloud.cost.measures import Effect
from psm_cloud.cost.prices import Prices

LIMIT_USD: Final = {"prod": Decimal(500)}
"""What an environment must stay below a month."""

CENT: Final = Decimal("0.01")


def usd(amount: Decimal) -> str:
    """Return dollars and cents."""
    return f"{amount.quantize(CENT):,}"


def over(bill: Bill) -> str | None:
    """Return what to say when the bill is not below its limit."""
    limit = LIMIT_USD.get(bill.environment)
    if limit is None or bill.total < limit:
        return None
    dearest = ", ".join(f"{group} {usd(amount)}" for group, amount in list(bill.by_group().items())[:3])
    return f"{bill.environment} costs {usd(bill.total)} USD a month, which is not below {usd(limit)}; most: {dearest}"


def tables(bill: Bill, effects: Sequence[Effect]) -> str:
    """Return the bill by group and the measures as Markdown."""
    rows = ["| Group | USD a month |", "|---|---|"]
    rows += [f"| {group} | {usd(amount)} |" for group, amount in bill.by_group().items()]
    rows += [f"| **{bill.environment}** | **{usd(bill.total)}** |", ""]
    rows += ["| Measure | Without | With | Saved a month | Remark |", "|---|---|---|---|---|"]
    for effect in effects:
        name = effect.name if effect.taken else f"{effect.name} (not taken)"
        amounts = f"{usd(effect.without)} | {usd(effect.with_it)} | {usd(effect.saved)}"
        rows.append(f"| {name} | {amounts} | {effect.remark} |")
    return "\n".join(rows) + "\n"


def details(bill: Bill) -> str:
    """Return every position, summed over resources of one kind."""
    sums: dict[tuple[str, str], Decimal] = {}
    for line in bill.lines:
        key = (line.group, line.what)
        sums[key] = sums.get(key, Decimal(0)) + line.usd
    width = max(len(what) for _, what in sums)
    return "\n".join(f"{group:24}{what:{width}} {usd(amount):>10}" for (group, what), amount in sorted(sums.items()))


def document(bill: Bill, effects: Sequence[Effect], prices: Prices) -> dict[str, Any]:
    """Return what build/cost.json has of an environment."""
    return {
        "usd": float(bill.total.quantize(CENT)),
        "limit_usd": float(LIMIT_USD[bill.environment]) if bill.environment in LIMIT_USD else None,
        "by_group": {group: float(amount.quantize(CENT)) for group, amount in bill.by_group().items()},
        "lines": [
            {
                "group": line.group,
                "what": line.what,
                "address": line.address or None,
                "quantity": float(line.quantity),
                "price": line.price,
                "usd": float(line.usd.quantize(Decimal("0.0001"))),
            }
            for line in bill.lines
        ],
        "measures": [
            {
                "name": effect.name,
                "taken": effect.taken,
                "without_usd": float(effect.without.quantize(CENT)),
                "with_usd": float(effect.with_it.quantize(CENT)),
                "saved_usd": float(effect.saved.quantize(CENT)),
            }
            for effect in effects
        ],
        "from_memory_usd": float(from_memory(bill, prices).quantize(CENT)),
    }


def from_memory(bill: Bill, prices: Prices) -> Decimal:
    """Return the part of the bill whose prices nobody looked up."""
    sure = {key: row.sure for key, row in prices.rows.items()}
    return sum((line.usd for line in bill.lines if sure.get(line.price) == "memory"), Decimal(0))
