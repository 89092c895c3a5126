"""What each measure saves: the same plan priced as it would be without it, or with it where it is not taken. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from psm_cloud.cost.prices import Price, Prices
from psm_cloud.cost.resources import Planned, Resource
from psm_cloud.cost.rules import price
from psm_cloud.cost.usage import Usage

ZONES: Final = 3
Inputs = tuple[Planned, Prices, Usage]


@dataclass(frozen=True)
class Effect:
    """A month without a measure and with it."""

    name: str
    taken: bool
    without: Decimal
    with_it: Decimal
    remark: str

    @property
    def saved(self) -> Decimal:
        """US dollars a month; below zero the measure costs, and is taken for another reason."""
        return self.without - self.with_it


def effects(plan: Planned, prices: Prices, usage: Usage) -> tuple[Effect, ...]:
    """Return every measure, in the order of the documentation."""
    now = price(plan, prices, usage).total
    found = []
    for name, taken, change, remark in MEASURES:
        other = price(*change((plan, prices, usage))).total
        without, with_it = (other, now) if taken else (now, other)
        found.append(Effect(name, taken, without, with_it, remark))
    return tuple(found)


def _on_demand(given: Inputs) -> Inputs:
    plan, prices, usage = given
    swapped = tuple(
        found.with_values(capacity_type="ON_DEMAND") if found.type == "aws_eks_node_group" else found
        for found in plan.resources
    )
    return replace(plan, resources=swapped), prices, usage.with_amounts(training_on_spot=Decimal(0))


def _always_on(given: Inputs) -> Inputs:
    plan, prices, usage = given
    kept = [
        found for found in plan.resources if found.type not in {"aws_autoscaling_schedule", "aws_scheduler_schedule"}
    ]
    return replace(plan, resources=tuple(kept)), prices, usage


def _nat(count: int) -> Callable[[Inputs], Inputs]:
    def change(given: Inputs) -> Inputs:
        plan, prices, usage = given
        kept = [found for found in plan.resources if not _is_interface(found)]
        gateways = [Resource(f"aws_nat_gateway.instead[{zone}]", "aws_nat_gateway", {}) for zone in range(count)]
        addresses = [Resource(f"aws_eip.instead[{zone}]", "aws_eip", {}) for zone in range(count)]
        return replace(plan, resources=(*kept, *gateways, *addresses)), prices, usage

    return change


def _endpoints_everywhere(given: Inputs) -> Inputs:
    plan, prices, usage = given
    swapped = tuple(
        found.with_values(tags={"Zones": "a b c"}) if _is_interface(found) else found for found in plan.resources
    )
    return replace(plan, resources=swapped), prices, usage


def _is_interface(found: Resource) -> bool:
    return found.type == "aws_vpc_endpoint" and found.values.get("vpc_endpoint_type") == "Interface"


def _no_lifecycle(given: Inputs) -> Inputs:
    plan, prices, usage = given
    return plan, prices, usage.with_amounts(raw_cold_share=Decimal(0), log_bucket_cold_share=Decimal(0))


def _logs_for_ever(given: Inputs) -> Inputs:
    plan, prices, usage = given
    swapped = tuple(
        found.with_values(retention_in_days=0) if found.type == "aws_cloudwatch_log_group" else found
        for found in plan.resources
    )
    return replace(plan, resources=swapped), prices, usage


def _large_nodes(given: Inputs) -> Inputs:
    plan, prices, usage = given
    swapped = tuple(
        found.with_values(instance_types=["m5.large"]) if found.type == "aws_eks_node_group" else found
        for found in plan.resources
    )
    return replace(plan, resources=swapped), prices, usage


def _savings_plan(given: Inputs) -> Inputs:
    plan, prices, usage = given
    share = prices["ec2.savings_plan_share"]
    rows = {key: _cheaper(row, share) if _is_on_demand(key) else row for key, row in prices.rows.items()}
    return plan, Prices(rows), usage


def _is_on_demand(key: str) -> bool:
    return key.startswith("ec2.") and key.endswith(".hour")


def _cheaper(row: Price, share: Decimal) -> Price:
    return replace(row, usd=row.usd * share)


MEASURES: Final[tuple[tuple[str, bool, Callable[[Inputs], Inputs], str], ...]] = (
    ("spot for batch nodes and training jobs", True, _on_demand, "jobs go on from checkpoints"),
    ("off-hours schedules of node groups", True, _always_on, "nothing where no group has a schedule"),
    ("burstable nodes of the needed size", True, _large_nodes, "against m5.large for every node"),
    ("endpoints in few zones", True, _endpoints_everywhere, "against every endpoint in three zones"),
    (
        "endpoints instead of a NAT gateway in each zone",
        True,
        _nat(ZONES),
        "a NAT gateway would also pass other traffic",
    ),
    (
        "endpoints instead of a single NAT gateway",
        True,
        _nat(1),
        "the single one costs less; nothing could keep data in",
    ),
    ("lifecycle of raw data and logs", True, _no_lifecycle, "Intelligent-Tiering and Glacier"),
    ("retention of logs", True, _logs_for_ever, "against keeping 117 weeks"),
    ("Savings Plan of a year, nothing upfront", False, _savings_plan, "when the size of the base is known for a year"),
)
