"""What an environment pays for that no plan shows: the Ingress' load balancer, jobs, per-model alarms, bytes."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from psm_cloud.cost.bill import HOURS, Facts, Line

KIB_PER_GB: Final = Decimal(1024 * 1024)
LCU_GB_PER_HOUR: Final = Decimal(1)
LCU_NEW_CONNECTIONS: Final = Decimal(25)


def lines(facts: Facts) -> Iterator[Line]:
    """Yield every position beside the plan; most are nothing where there is no cluster."""
    if facts.plan.of("aws_eks_cluster"):
        yield from _load_balancer(facts)
        yield from _transfer(facts)
        yield from _insights(facts)
        yield from _models(facts)
    yield from _training(facts)


def _load_balancer(facts: Facts) -> Iterator[Line]:
    usage = facts.usage
    hours = usage["load_balancer_hours"]
    yield facts.line("network", "load balancer of the Ingress, hours", "", hours, "alb.hour")
    addresses = usage["load_balancer_zones"] * hours
    yield facts.line("network", "public IPv4 addresses of the load balancer", "", addresses, "ipv4.hour")
    yield facts.line("network", "load balancer, capacity units", "", capacity_units(facts), "alb.lcu_hour")


def capacity_units(facts: Facts) -> Decimal:
    """Return LCU hours a month: of the dimensions, the one that asks for most."""
    usage = facts.usage
    gigabytes = usage.requests * (usage["request_kib"] + usage["response_kib"]) / KIB_PER_GB
    connections = usage["requests_per_second"] / usage["requests_per_connection"] * usage["shop_hours"]
    return max(gigabytes / LCU_GB_PER_HOUR, connections / LCU_NEW_CONNECTIONS)


def _transfer(facts: Facts) -> Iterator[Line]:
    usage = facts.usage
    out = usage.requests * usage["response_kib"] / KIB_PER_GB
    # the 100 GB that an account has free may be somebody else's: no free tier is deducted anywhere
    yield facts.line("network", "bytes to the internet", "", out, "transfer.out_gb")
    yield facts.line("network", "bytes between zones, both ways", "", usage["zone_gb"] * 2, "transfer.zone_gb")
    if not facts.plan.of("aws_nat_gateway"):
        yield facts.line("network", "interface endpoints, data", "", usage["endpoint_gb"], "endpoint.gb")


def _insights(facts: Facts) -> Iterator[Line]:
    addons = [found.values.get("addon_name") for found in facts.plan.of("aws_eks_addon")]
    if "amazon-cloudwatch-observability" not in addons:
        return
    usage = facts.usage
    minute = (
        usage["insights_of_cluster"]
        + usage["insights_of_node"] * usage["insights_nodes"]
        + usage["insights_of_pod"] * usage["insights_pods"]
    )
    millions = minute * 60 * usage["insights_hours"] / 1_000_000
    yield facts.line("Container Insights", "observations, millions", "", millions, "cloudwatch.observations_million")


def _models(facts: Facts) -> Iterator[Line]:
    usage = facts.usage
    models = usage["models"]
    group = "alarms and dashboards"
    yield facts.line(group, "dashboards of models", "", models, "cloudwatch.dashboard_month")
    yield facts.line(group, "alarms of models", "", models * usage["alarms_of_model"], "cloudwatch.alarm_month")
    yield facts.line(group, "metrics of models", "", models * usage["metrics_of_model"], "cloudwatch.metric_month")
    yield facts.line(
        group, "metrics that the operator asks for", "", usage["asked_metrics"], "cloudwatch.queried_metric"
    )


def _training(facts: Facts) -> Iterator[Line]:
    usage = facts.usage
    runs = usage["training_runs"]
    spot = facts.prices["sagemaker.spot_share"] if usage["training_on_spot"] else Decimal(1)
    trained = runs * usage["training_hours"]
    hour = facts.prices["sagemaker.ml.m5.xlarge.hour"] * spot
    yield Line("training", "training jobs, ml.m5.xlarge", "", trained, "sagemaker.ml.m5.xlarge.hour", trained * hour)
    processed = runs * usage["processing_hours"]
    yield facts.line("training", "processing jobs, ml.m5.xlarge", "", processed, "sagemaker.ml.m5.xlarge.hour")
    gigabyte_months = runs * usage["job_disk_gb"] * (usage["training_hours"] + usage["processing_hours"]) / HOURS
    yield facts.line("training", "disks of jobs", "", gigabyte_months, "sagemaker.gp2_gb_month")
    yield facts.line("training", "Athena, TB scanned", "", usage["athena_tb"], "athena.tb")
