"""Endpoints, gateways, addresses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from psm_cloud.cost.bill import HOURS, Facts, Line
from psm_cloud.cost.resources import Resource, key_of
from psm_cloud.errors import CloudError

GROUP: Final = "network"


def zones(endpoint: Resource, facts: Facts) -> int:
    """Return in how many zones an interface endpoint stands: subnets, a tag `Zones`, or what the module was told.

    Raises:
        CloudError: Neither says.
    """
    if said := str((endpoint.values.get("tags") or {}).get("Zones") or "").split():
        return len(said)
    subnets = endpoint.values.get("subnet_ids")
    if subnets:
        return len(subnets)
    arguments = facts.plan.arguments
    special = arguments.get("endpoint_az_overrides") or {}
    told = special.get(key_of(endpoint.address), arguments.get("endpoint_az_count"))
    if told is None:
        message = f"the plan does not say in how many zones {endpoint.address} stands: give endpoint_az_count"
        raise CloudError(message)
    return int(told)


def endpoint(found: Resource, facts: Facts) -> Iterator[Line]:
    """An interface endpoint is paid per zone and hour; a gateway endpoint is free."""
    if found.values.get("vpc_endpoint_type", "Gateway") != "Interface":
        return
    hours = HOURS * zones(found, facts)
    yield facts.line(GROUP, "interface endpoints, hours in each zone", found.address, hours, "endpoint.hour")


def nat_gateway(found: Resource, facts: Facts) -> Iterator[Line]:
    """A NAT gateway is paid per hour and byte; the bytes are shared among all."""
    count = len(facts.plan.of("aws_nat_gateway"))
    yield facts.line(GROUP, "NAT gateways, hours", found.address, HOURS, "nat.hour")
    share = facts.usage["endpoint_gb"] / count
    yield facts.line(GROUP, "NAT gateways, data", found.address, share, "nat.gb")


def address(found: Resource, facts: Facts) -> Iterator[Line]:
    """A public IPv4 address is paid per hour, used or not."""
    yield facts.line(GROUP, "public IPv4 addresses", found.address, HOURS, "ipv4.hour")


def load_balancer(found: Resource, facts: Facts) -> Iterator[Line]:
    """A load balancer of the plan itself; that of the Ingress is not in the plan."""
    yield facts.line(GROUP, "load balancer, hours", found.address, HOURS, "alb.hour")


def flow_log(found: Resource, facts: Facts) -> Iterator[Line]:
    """Flow logs to S3 are paid by the delivered gigabyte; those to CloudWatch by their log group."""
    if found.values.get("log_destination_type") == "s3":
        gigabytes = facts.usage["flow_log_gb"]
        yield facts.line("logs", "flow logs delivered to S3", found.address, gigabytes, "logs.to_s3_gb")


RULES: Final[Mapping[str, Any]] = {
    "aws_vpc_endpoint": endpoint,
    "aws_nat_gateway": nat_gateway,
    "aws_eip": address,
    "aws_lb": load_balancer,
    "aws_flow_log": flow_log,
}
