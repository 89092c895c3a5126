"""What the real plans of dev and prod cost, and that docs/cost.md says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from terraform_plans import ROOT

from psm_cloud.__main__ import main
from psm_cloud.commands.cost import Priced, priced_plan, with_tables
from psm_cloud.cost.chart import chart
from psm_cloud.cost.prices import load_prices
from psm_cloud.cost.report import over

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform")]

PAGE = ROOT / "docs/cost.md"
PICTURE = ROOT / "docs/img/cost.svg"


@pytest.fixture(scope="module")
def priced(plans: dict[str, Any]) -> dict[str, Priced]:
    """Bill and measures of each environment."""
    return {name: priced_plan(name, plan, load_prices()) for name, plan in plans.items()}


def test_prod_is_below_its_limit(priced: dict[str, Priced]) -> None:
    assert over(priced["prod"][0]) is None


def test_dev_costs_less_than_prod(priced: dict[str, Priced]) -> None:
    assert priced["dev"][0].total < priced["prod"][0].total


def test_the_documentation_shows_the_tables_and_the_picture_of_the_plans(priced: dict[str, Priced]) -> None:
    """`make cost` writes both."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page, priced)
    assert PICTURE.read_text(encoding="utf-8") == chart([bill for bill, _ in priced.values()])


def test_the_command_fails_for_a_prod_beyond_its_limit(
    plans: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = json.loads(json.dumps(plans["prod"]))
    for module in plan["planned_values"]["root_module"]["child_modules"][0]["child_modules"]:
        for found in module.get("resources", ()):
            if found["type"] == "aws_eks_node_group":
                found["values"]["scaling_config"] = [{"desired_size": 9}]
    given, out = tmp_path / "plan.json", tmp_path / "build" / "cost.json"
    given.write_text(json.dumps(plan), encoding="utf-8")
    assert main(["cost", "--env", "prod", "--plan", str(given), "--out", str(out)]) == 1
    assert "not below 500.00" in capsys.readouterr().err
    assert json.loads(out.read_text(encoding="utf-8"))["prod"]["usd"] > 500
