"""The price of a plan: what each kind of resource costs, what fails, what a measure saves."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from cost_world import PRICES, PROD, RESOURCES, cents, group, plan_json, resource, world

from psm_cloud.cost.bill import Bill, Line
from psm_cloud.cost.chart import chart
from psm_cloud.cost.measures import effects
from psm_cloud.cost.prices import SURE, load_prices
from psm_cloud.cost.report import document, over, tables
from psm_cloud.cost.resources import planned
from psm_cloud.cost.rules import PRICED, price
from psm_cloud.cost.rules.free import REASONS
from psm_cloud.cost.schedules import Change, average, average_nodes, minutes_of_week
from psm_cloud.cost.usage import load_usage
from psm_cloud.errors import CloudError


def usd_of(bill: Bill, what: str) -> Decimal:
    """Sum the positions of a name."""
    return sum((line.usd for line in bill.lines if line.what.startswith(what)), Decimal(0))


def test_every_price_has_unit_source_date_and_how_sure_it_is() -> None:
    for row in load_prices().rows.values():
        assert row.unit, row.key
        assert row.source.startswith("https://aws.amazon.com/"), row.key
        assert row.date.startswith("2026-"), row.key
        assert row.sure in SURE, row.key
        assert row.usd > 0, row.key


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_amount_of_the_load_has_a_reason(environment: str) -> None:
    usage = load_usage(environment)
    assert all(amount.why and amount.unit for amount in usage.amounts.values())
    assert set(usage.amounts) == set(PROD.amounts)


def test_a_control_plane_two_nodes_and_four_endpoints_cost_what_the_table_says() -> None:
    bill = price(world(), PRICES, PROD)
    assert cents(usd_of(bill, "EKS control plane")) == Decimal("73.00")
    nodes = (2 * 730 + PROD["autoscaled_node_hours"]) * PRICES["ec2.t3.medium.hour"]
    assert cents(usd_of(bill, "nodes on demand")) == cents(nodes)
    assert cents(usd_of(bill, "interface endpoints, hours")) == cents(4 * 730 * Decimal("0.013"))


def test_the_bill_is_the_sum_of_its_positions() -> None:
    bill = price(world(), PRICES, PROD)
    assert bill.total == sum(line.usd for line in bill.lines) == sum(bill.by_group().values())


@pytest.mark.parametrize("zones", [1, 2, 3])
def test_an_endpoint_is_paid_in_each_zone_that_a_variable_of_the_environment_says(zones: int) -> None:
    bill = price(world(zones=zones), PRICES, PROD)
    assert cents(usd_of(bill, "interface endpoints, hours")) == cents(zones * 4 * 730 * Decimal("0.013"))


def test_a_service_with_zones_of_its_own_is_paid_for_those() -> None:
    plan = planned(plan_json(*RESOURCES, endpoint_az_overrides={"sts": 3}))
    bill = price(plan, PRICES, PROD)
    assert cents(usd_of(bill, "interface endpoints, hours")) == cents(6 * 730 * Decimal("0.013"))


def test_an_endpoint_whose_zones_nobody_knows_is_not_guessed() -> None:
    plan = replace(world(), arguments={})
    with pytest.raises(CloudError, match=r"in how many zones .*ecr\.api"):
        price(plan, PRICES, PROD)


def test_a_type_that_is_neither_priced_nor_free_fails_by_its_name() -> None:
    strange = [resource("aws_redshift_cluster.a"), resource("aws_neptune_cluster.b")]
    with pytest.raises(CloudError, match="aws_neptune_cluster, aws_redshift_cluster"):
        price(world(*strange), PRICES, PROD)


def test_no_type_is_both_priced_and_free() -> None:
    free = [kind for kinds in REASONS.values() for kind in kinds]
    assert not set(free) & set(PRICED)
    assert len(free) == len(set(free))


def test_a_missing_price_names_the_row_to_add() -> None:
    with pytest.raises(CloudError, match=r"no price 'ec2\.x9\.huge\.hour'"):
        price(world(group("more", size=1, kind="x9.huge")), PRICES, PROD)


def test_a_plan_without_resources_has_no_price() -> None:
    with pytest.raises(CloudError, match="no resources"):
        planned(plan_json())


def test_a_plan_that_is_something_else_is_refused() -> None:
    with pytest.raises(CloudError, match="no planned_values"):
        planned({"format_version": "1.2"})


def test_spot_of_several_types_is_priced_as_the_dearest() -> None:
    spot = group("batch", size=1, capacity="SPOT")
    spot["values"]["instance_types"] = ["t3a.medium", "m5.large"]
    bill = price(planned(plan_json(spot)), PRICES, PROD)
    hours = 730 + PROD["batch_node_hours"]
    assert usd_of(bill, "nodes spot") == hours * PRICES["ec2.m5.large.hour"] * PRICES["ec2.spot_share"]


def test_a_node_has_the_disk_of_its_own_launch_template() -> None:
    def template(name: str, size: int) -> dict[str, Any]:
        disks = [{"ebs": [{"volume_size": size}]}]
        return resource(f'aws_launch_template.node["{name}"]', block_device_mappings=disks)

    nodes = group("api", size=2)
    del nodes["values"]["disk_size"]
    bill = price(planned(plan_json(nodes, template("api", 30), template("batch", 500))), PRICES, PROD)
    hours = 2 * 730 + PROD["autoscaled_node_hours"]
    assert usd_of(bill, "root volumes") == 30 * hours / 730 * PRICES["ebs.gp3_gb_month"]


def test_a_log_group_without_retention_costs_more_than_one_with() -> None:
    kept = resource("aws_cloudwatch_log_group.a", name="/x/application", retention_in_days=7)
    for_ever = resource("aws_cloudwatch_log_group.a", name="/x/application", retention_in_days=0)
    short, long = (price(planned(plan_json(found)), PRICES, PROD) for found in (kept, for_ever))
    assert short.total < long.total


def test_observations_are_paid_where_the_add_on_is_only() -> None:
    addon = resource("aws_eks_addon.insights", addon_name="amazon-cloudwatch-observability")
    assert "Container Insights" not in price(world(), PRICES, PROD).by_group()
    assert price(world(addon), PRICES, PROD).by_group()["Container Insights"] > 5


class TestSchedules:
    """Nodes on average."""

    def test_from_nine_to_seven_on_working_days_is_fifty_of_168_hours(self) -> None:
        on = [Change(minute, 2) for minute in minutes_of_week("0 9 * * MON-FRI")]
        off = [Change(minute, 0) for minute in minutes_of_week("0 19 * * 1-5")]
        assert average(2, on + off) == Decimal(2 * 50) / 168

    def test_without_schedules_the_desired_size_holds(self) -> None:
        assert average(3, []) == 3

    def test_a_week_that_ends_off_begins_off(self) -> None:
        assert average(5, [Change(60, 1), Change(120, 0)]) == Decimal(1) / 168

    def test_a_week_that_ends_on_begins_on(self) -> None:
        assert average(0, [Change(60, 0), Change(180, 3)]) == Decimal(3 * (168 - 2)) / 168

    @pytest.mark.parametrize(("field", "days"), [("SAT-MON", 3), ("*", 7), ("?", 7), ("0,6", 2), ("MON,WED-THU", 3)])
    def test_days_of_the_week(self, field: str, days: int) -> None:
        assert len(minutes_of_week(f"30 8 * * {field}")) == days

    @pytest.mark.parametrize("cron", ["*/5 * * * *", "0 9 1 * *", "0 9 * *", "0 9 * 2 MON"])
    def test_what_cannot_be_priced_is_said(self, cron: str) -> None:
        with pytest.raises(CloudError, match="cannot price the schedule"):
            minutes_of_week(cron)

    def test_an_autoscaling_schedule_belongs_to_the_group_of_its_key(self) -> None:
        when = {"up": ("0 9 * * MON-FRI", 2), "down": ("0 19 * * MON-FRI", 0)}
        found = [
            resource(f'module.c.aws_autoscaling_schedule.this["api-{way}"]', recurrence=cron, desired_capacity=size)
            for way, (cron, size) in when.items()
        ]
        plan = world(*found)
        api, batch = plan.of("aws_eks_node_group")
        assert average_nodes(api, plan) == Decimal(100) / 168
        assert average_nodes(batch, plan) == 0

    def test_a_call_of_the_scheduler_belongs_to_the_group_that_it_names(self) -> None:
        call = '{"NodegroupName": "mlops-prod-api", "ScalingConfig": {"DesiredSize": 0}}'
        off = resource(
            "aws_scheduler_schedule.off", schedule_expression="cron(0 0 ? * 1-7 *)", target=[{"input": call}]
        )
        text = resource("aws_scheduler_schedule.text", schedule_expression="rate(1 day)", target=[{"input": "<id>"}])
        plan = world(off, text)
        assert average_nodes(plan.of("aws_eks_node_group")[0], plan) == 0


class TestMeasures:
    """Before and after."""

    def test_a_taken_measure_ends_at_the_bill_and_another_begins_there(self) -> None:
        total = price(world(), PRICES, PROD).total
        for effect in effects(world(), PRICES, PROD):
            assert (effect.with_it if effect.taken else effect.without) == total, effect.name

    def test_one_nat_gateway_is_honestly_cheaper_than_thirteen_endpoints(self) -> None:
        plan = world(*(resource(f'aws_vpc_endpoint.more["{n}"]', vpc_endpoint_type="Interface") for n in range(9)))
        found = {effect.name: effect for effect in effects(plan, PRICES, PROD)}
        assert found["endpoints instead of a single NAT gateway"].saved < 0
        assert found["endpoints in few zones"].saved == 13 * 2 * 730 * Decimal("0.013")

    @pytest.mark.parametrize("name", ["spot for batch nodes and training jobs", "lifecycle of raw data and logs"])
    def test_a_measure_saves(self, name: str) -> None:
        found = {effect.name: effect for effect in effects(world(), PRICES, PROD)}
        assert found[name].saved > 0


class TestReports:
    """What is read of a bill."""

    def test_five_hundred_is_not_below_five_hundred(self) -> None:
        def bill(amount: str, environment: str = "prod") -> Bill:
            return Bill(environment, (Line("nodes", "nodes", "", Decimal(1), "x", Decimal(amount)),))

        assert over(bill("499.99")) is None
        assert "costs 500.00 USD" in (over(bill("500")) or "")
        assert over(bill("500", "dev")) is None

    def test_the_document_has_every_position_and_measure(self) -> None:
        bill = price(world(), PRICES, PROD)
        saved = effects(world(), PRICES, PROD)
        written = document(bill, saved, PRICES)
        assert len(written["lines"]) == len(bill.lines)
        assert written["limit_usd"] == 500
        assert abs(sum(line["usd"] for line in written["lines"]) - written["usd"]) < 0.05
        assert 0 < written["from_memory_usd"] < written["usd"]
        assert "(not taken)" in tables(bill, saved)

    def test_the_chart_is_svg_with_a_bar_for_each_group(self) -> None:
        bill = price(world(), PRICES, PROD)
        drawn = chart([bill])
        bars = ET.fromstring(drawn).findall(".//{http://www.w3.org/2000/svg}rect/{http://www.w3.org/2000/svg}title")  # noqa: S314  # ours
        assert len(bars) == len(bill.by_group())
        assert drawn == chart([bill])
