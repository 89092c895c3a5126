"""Load balancers, target groups, network interfaces and security groups that controllers in the cluster made."""

from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from psm_cloud.teardown.adapters import tags_of, unless_gone
from psm_cloud.teardown.decide import Found, Kind
from psm_cloud.teardown.scope import Scope

TAGS_AT_ONCE: Final = 20
"""elasticloadbalancing:DescribeTags takes no more names."""


class LoadBalancers:
    """Of the AWS Load Balancer Controller."""

    kind = Kind.LOAD_BALANCER

    def __init__(self, elb: Any) -> None:
        """Ask this elbv2 client."""
        self._elb = elb

    def find(self) -> Iterator[Found]:
        """Yield every load balancer with its tags."""
        pages = self._elb.get_paginator("describe_load_balancers").paginate()
        named = {one["LoadBalancerArn"]: one["LoadBalancerName"] for page in pages for one in page["LoadBalancers"]}
        yield from _tagged(self._elb, self.kind, named)

    def remove(self, found: Found) -> None:
        """Delete it and wait until it is gone, since its interfaces and security groups are in use until then."""
        try:
            self._elb.modify_load_balancer_attributes(
                LoadBalancerArn=found.id, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
            )
            self._elb.delete_load_balancer(LoadBalancerArn=found.id)
        except ClientError as err:
            unless_gone(err)
        self._elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[found.id])


class TargetGroups:
    """What a load balancer sent to."""

    kind = Kind.TARGET_GROUP

    def __init__(self, elb: Any) -> None:
        """Ask this elbv2 client."""
        self._elb = elb

    def find(self) -> Iterator[Found]:
        """Yield every target group with its tags."""
        pages = self._elb.get_paginator("describe_target_groups").paginate()
        named = {one["TargetGroupArn"]: one["TargetGroupName"] for page in pages for one in page["TargetGroups"]}
        yield from _tagged(self._elb, self.kind, named)

    def remove(self, found: Found) -> None:
        """Delete it."""
        try:
            self._elb.delete_target_group(TargetGroupArn=found.id)
        except ClientError as err:
            unless_gone(err)


def _tagged(elb: Any, kind: Kind, named: dict[str, str]) -> Iterator[Found]:
    arns = sorted(named)
    for start in range(0, len(arns), TAGS_AT_ONCE):
        told = elb.describe_tags(ResourceArns=arns[start : start + TAGS_AT_ONCE])["TagDescriptions"]
        for one in told:
            arn = one["ResourceArn"]
            yield Found(kind, arn, named[arn], tags_of(one["Tags"]))


def _filters(scope: Scope) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in scope.tags.items()]


class NetworkInterfaces:
    """What the VPC's network plugin and load balancers left in subnets."""

    kind = Kind.NETWORK_INTERFACE

    def __init__(self, ec2: Any, scope: Scope) -> None:
        """Ask this ec2 client."""
        self._ec2, self._scope = ec2, scope

    def find(self) -> Iterator[Found]:
        """Yield the environment's interfaces that AWS does not manage itself and that nothing uses."""
        pages = self._ec2.get_paginator("describe_network_interfaces").paginate(Filters=_filters(self._scope))
        for page in pages:
            for one in page["NetworkInterfaces"]:
                if one.get("Status") != "available" or one.get("RequesterManaged"):
                    continue  # goes with what it is attached to
                name = one.get("Description") or one["NetworkInterfaceId"]
                yield Found(self.kind, one["NetworkInterfaceId"], name, tags_of(one.get("TagSet")))

    def remove(self, found: Found) -> None:
        """Delete it."""
        try:
            self._ec2.delete_network_interface(NetworkInterfaceId=found.id)
        except ClientError as err:
            unless_gone(err)


class SecurityGroups:
    """Of load balancers and of their targets; they name one another, so rules go first."""

    kind = Kind.SECURITY_GROUP

    def __init__(self, ec2: Any, scope: Scope) -> None:
        """Ask this ec2 client."""
        self._ec2, self._scope = ec2, scope

    def find(self) -> Iterator[Found]:
        """Yield the environment's groups, but those that EKS deletes with its cluster."""
        pages = self._ec2.get_paginator("describe_security_groups").paginate(Filters=_filters(self._scope))
        for page in pages:
            for one in page["SecurityGroups"]:
                tags = tags_of(one.get("Tags"))
                if one["GroupName"] != "default" and "aws:eks:cluster-name" not in tags:
                    yield Found(self.kind, one["GroupId"], one["GroupName"], tags)

    def remove(self, found: Found) -> None:
        """Take back rules of other groups that name it, and its own, then delete it."""
        try:
            self._forget(found.id)
            self._ec2.delete_security_group(GroupId=found.id)
        except ClientError as err:
            unless_gone(err)

    def _forget(self, group: str) -> None:
        named = [{"Name": "ip-permission.group-id", "Values": [group]}]
        for page in self._ec2.get_paginator("describe_security_groups").paginate(Filters=named):
            for other in page["SecurityGroups"]:
                if not self._scope.owns(tags_of(other.get("Tags"))):
                    continue  # a rule of somebody else's group is theirs; AWS refuses, and the run says so
                rules = [
                    {**rule, "UserIdGroupPairs": pairs, "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}
                    for rule in other["IpPermissions"]
                    if (pairs := [pair for pair in rule["UserIdGroupPairs"] if pair.get("GroupId") == group])
                ]
                if rules:
                    self._ec2.revoke_security_group_ingress(GroupId=other["GroupId"], IpPermissions=rules)
