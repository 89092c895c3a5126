"""`psm-cloud cost`: what the environments cost a month, from their plans; exit code 1 when prod is not below its limit."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from psm_cloud.cost.bill import Bill
from psm_cloud.cost.chart import chart
from psm_cloud.cost.measures import Effect, effects
from psm_cloud.cost.prices import Prices, load_prices
from psm_cloud.cost.report import details, document, from_memory, over, tables, usd
from psm_cloud.cost.resources import planned
from psm_cloud.cost.rules import price
from psm_cloud.cost.usage import load_usage
from psm_cloud.errors import CloudError
from psm_cloud.offline import offline, offline_plan
from psm_cloud.settings import read_settings
from psm_cloud.terraform import Terraform

ENVIRONMENTS: Final = ("dev", "prod")
Priced = tuple[Bill, tuple[Effect, ...]]


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser("cost", help="what an environment costs a month, from its plan", description=__doc__)
    command.add_argument("--env", choices=(*ENVIRONMENTS, "all"), default="all", help="which environment")
    command.add_argument(
        "--plan", type=Path, help="`terraform show -json` of a saved plan of --env, instead of planning"
    )
    command.add_argument("--tree", type=Path, default=Path("terraform"), help="where envs/ and modules/ lie")
    command.add_argument("--out", type=Path, default=Path("build/cost.json"), help="where the positions are written")
    command.add_argument("--docs", type=Path, help="a page whose tables between marks are rewritten")
    command.add_argument("--chart", type=Path, help="where the picture is written")
    command.add_argument("--details", action="store_true", help="print every position")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Price, print, write; the exit code says whether every limit is kept."""
    prices = load_prices()
    priced = {name: priced_plan(name, plan, prices) for name, plan in _plans(given).items()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    content = {name: document(bill, saved, prices) for name, (bill, saved) in priced.items()}
    given.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for bill, saved in priced.values():
        _tell(bill, saved, prices, everything=given.details)
    if given.docs:
        given.docs.write_text(with_tables(given.docs.read_text(encoding="utf-8"), priced), encoding="utf-8")
    if given.chart:
        given.chart.write_text(chart([bill for bill, _ in priced.values()]), encoding="utf-8")
    broken = [told for bill, _ in priced.values() if (told := over(bill))]
    for told in broken:
        sys.stderr.write(f"psm-cloud: {told}\n")
    return 1 if broken else 0


def priced_plan(environment: str, plan: Mapping[str, Any], prices: Prices) -> Priced:
    """Return an environment's bill and what each measure saves."""
    read, usage = planned(plan), load_usage(environment)
    return price(read, prices, usage), effects(read, prices, usage)


def with_tables(page: str, priced: Mapping[str, Priced]) -> str:
    """Return the page with the tables of each environment between its marks.

    Raises:
        CloudError: The page lacks a mark.
    """
    for name, (bill, saved) in priced.items():
        found = re.search(rf"<!-- cost {name} -->\n(.*?)<!-- end -->", page, flags=re.DOTALL)
        if found is None:
            message = f"the page has no `<!-- cost {name} -->` with an `<!-- end -->`: add both where its tables belong"
            raise CloudError(message)
        page = f"{page[: found.start(1)]}\n{tables(bill, saved)}\n{page[found.end(1) :]}"
    return page


def _plans(given: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    if given.plan:
        if given.env == "all":
            message = "say with --env whose plan this is"
            raise CloudError(message)
        return {given.env: json.loads(given.plan.read_text(encoding="utf-8"))}
    names: Iterable[str] = ENVIRONMENTS if given.env == "all" else (given.env,)
    with offline(Terraform.found(read_settings())) as terraform:
        return {name: offline_plan(terraform, given.tree, name) for name in names}


def _tell(bill: Bill, saved: Iterable[Effect], prices: Prices, *, everything: bool) -> None:
    sys.stdout.write(f"{bill.environment}: {usd(bill.total)} USD a month\n\n{tables(bill, tuple(saved))}\n")
    sys.stdout.write(f"of this {usd(from_memory(bill, prices))} USD at prices written down from memory\n\n")
    if everything:
        sys.stdout.write(f"{details(bill)}\n\n")
