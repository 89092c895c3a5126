"""The cluster, its nodes, their disks."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from psm_cloud.cost.bill import HOURS, Facts, Line
from psm_cloud.cost.prices import Prices
from psm_cloud.cost.resources import Resource, key_of
from psm_cloud.cost.schedules import average_nodes
from psm_cloud.errors import CloudError

DEFAULT_DISK_GB: Final = Decimal(20)
"""What EKS gives a node whose group says nothing."""


def cluster(found: Resource, facts: Facts) -> Iterator[Line]:
    """The control plane, as long as its version is in standard support."""
    yield facts.line("control plane", "EKS control plane", found.address, HOURS, "eks.cluster_hour")


def node_group(found: Resource, facts: Facts) -> Iterator[Line]:
    """Nodes by their type and kind of capacity, and a disk for each; a batch group has what its jobs use."""
    spot = found.values.get("capacity_type") == "SPOT"
    hours = average_nodes(found, facts.plan) * HOURS + facts.usage[extra_hours(found)]
    group = "nodes, spot" if spot else "nodes"
    usd = node_hour(found, facts.prices)
    label = f"{'spot' if spot else 'on demand'}, {'/'.join(found.values['instance_types'])}"
    yield Line(group, f"nodes {label}", found.address, hours, "ec2", hours * usd)
    gigabytes = disk_gb(found, facts) * hours / HOURS
    yield facts.line(group, "root volumes gp3", found.address, gigabytes, "ebs.gp3_gb_month")


def extra_hours(group: Resource) -> str:
    """Return the amount of the usage that says how many node hours an autoscaler adds to this group."""
    name = f"{group.address} {group.values.get('node_group_name') or ''}"
    return "batch_node_hours" if "batch" in name else "autoscaled_node_hours"


def node_hour(group: Resource, prices: Prices) -> Decimal:
    """Return an hour's price: of several types the dearest, since nobody knows which AWS will choose."""
    types = group.values.get("instance_types") or ()
    if not types:
        message = f"{group.address} has no instance_types in the plan: name them, so that they can be priced"
        raise CloudError(message)
    if group.values.get("capacity_type") != "SPOT":
        return max(prices[f"ec2.{kind}.hour"] for kind in types)
    return max(_spot_hour(kind, prices) for kind in types)


def _spot_hour(kind: str, prices: Prices) -> Decimal:
    if f"ec2.{kind}.spot_hour" in prices:
        return prices[f"ec2.{kind}.spot_hour"]
    return prices[f"ec2.{kind}.hour"] * prices["ec2.spot_share"]


def disk_gb(group: Resource, facts: Facts) -> Decimal:
    """Return a node's disk: of the group, else of the launch template with its key or the only one, else EKS' default."""
    if size := group.values.get("disk_size"):
        return Decimal(size)
    templates = facts.plan.of("aws_launch_template")
    own = [one for one in templates if key_of(one.address) == key_of(group.address)] or templates
    sizes = [
        Decimal(disk["volume_size"])
        for template in own
        for mapping in template.values.get("block_device_mappings") or ()
        for disk in mapping.get("ebs") or ()
        if disk.get("volume_size")
    ]
    return max(sizes, default=DEFAULT_DISK_GB)


RULES: Final[Mapping[str, Any]] = {"aws_eks_cluster": cluster, "aws_eks_node_group": node_group}
