"""A small environment as `terraform show -json` says it, to be changed by tests."""

import copy
from decimal import Decimal
from typing import Any

from psm_cloud.cost.prices import Prices, load_prices
from psm_cloud.cost.resources import Planned, planned
from psm_cloud.cost.usage import Usage, load_usage

PRICES: Prices = load_prices()
PROD: Usage = load_usage("prod")


def resource(address: str, **values: Any) -> dict[str, Any]:
    """Return one resource of planned_values."""
    return {
        "address": address,
        "type": address.split("[", maxsplit=1)[0].split(".")[-2],
        "mode": "managed",
        "values": values,
    }


def group(name: str, *, size: int, kind: str = "t3.medium", capacity: str = "ON_DEMAND") -> dict[str, Any]:
    """Return a node group."""
    return resource(
        f'module.cluster.aws_eks_node_group.this["{name}"]',
        node_group_name=f"mlops-prod-{name}",
        capacity_type=capacity,
        instance_types=[kind],
        disk_size=20,
        scaling_config=[{"desired_size": size, "min_size": 0, "max_size": 4}],
    )


def endpoint(service: str) -> dict[str, Any]:
    """Return an interface endpoint whose subnets are new, as in a first plan."""
    return resource(f'module.network.aws_vpc_endpoint.interface["{service}"]', vpc_endpoint_type="Interface")


RESOURCES = (
    resource("module.cluster.aws_eks_cluster.this", name="mlops-prod"),
    group("api", size=2),
    group("batch", size=0, kind="t3a.large", capacity="SPOT"),
    *(endpoint(service) for service in ("ecr.api", "ecr.dkr", "logs", "sts")),
    resource("module.network.aws_vpc_endpoint.s3", vpc_endpoint_type="Gateway"),
    resource("module.network.aws_vpc.this"),
    resource("module.network.aws_cloudwatch_log_group.flow_logs", name="/aws/vpc/x", retention_in_days=14),
    resource("module.lake.aws_s3_bucket.lake", bucket="mlops-prod-lake-1"),
    resource("module.lake.aws_s3_bucket.logs", bucket="mlops-prod-logs-1"),
    resource("module.lake.aws_kms_key.lake"),
)


def plan_json(*resources: dict[str, Any], zones: int = 1, **arguments: Any) -> dict[str, Any]:
    """Return a plan of these resources, half of them in a child module."""
    module = {"resources": list(resources), "address": "module.any"}
    expressions = {name: {"constant_value": value} for name, value in arguments.items()}
    expressions["endpoint_az_count"] = {"references": ["var.endpoint_zones"]}
    return copy.deepcopy(
        {
            "planned_values": {"root_module": {"resources": [], "child_modules": [module]}},
            "variables": {"endpoint_zones": {"value": zones}},
            "configuration": {"root_module": {"module_calls": {"network": {"expressions": expressions}}}},
        }
    )


def world(*more: dict[str, Any], zones: int = 1) -> Planned:
    """Return the small environment, with more resources."""
    return planned(plan_json(*RESOURCES, *more, zones=zones))


def cents(amount: Decimal) -> Decimal:
    """Return it as a price tag has it."""
    return amount.quantize(Decimal("0.01"))
