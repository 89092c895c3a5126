"""How each type of resource is priced; a type is in one of the tables, or free for a reason, or pricing fails."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from psm_cloud.cost.bill import Bill, Facts, Line, bill_of
from psm_cloud.cost.prices import Prices
from psm_cloud.cost.resources import Planned, Resource
from psm_cloud.cost.rules import compute, network, outside, storage, watching
from psm_cloud.cost.rules.free import is_free
from psm_cloud.cost.usage import Usage
from psm_cloud.errors import CloudError

Rule = Callable[[Resource, Facts], Iterable[Line]]

PRICED: Final[Mapping[str, Rule]] = {**compute.RULES, **network.RULES, **storage.RULES, **watching.RULES}


def price(plan: Planned, prices: Prices, usage: Usage) -> Bill:
    """Return the month's bill.

    Raises:
        CloudError: A type of resource is neither priced nor known to be free, or a price or an amount is missing.
    """
    unknown = sorted({found.type for found in plan.resources if found.type not in PRICED and not is_free(found.type)})
    if unknown:
        message = (
            f"nobody said what {', '.join(unknown)} costs: add a rule to cost/rules, or the reason why it is free to"
            " cost/rules/free.py"
        )
        raise CloudError(message)
    facts = Facts(plan, prices, usage)
    return bill_of(usage.environment, (*_planned(facts), *outside.lines(facts)))


def _planned(facts: Facts) -> Iterator[Line]:
    for found in facts.plan.resources:
        if rule := PRICED.get(found.type):
            yield from rule(found, facts)
