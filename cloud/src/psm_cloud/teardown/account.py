"""An AWS account as the run needs it: one shelf for each kind, the tagging API, and who we are."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config

from psm_cloud.teardown.adapters.disks import Snapshots, Volumes
from psm_cloud.teardown.adapters.network import LoadBalancers, NetworkInterfaces, SecurityGroups, TargetGroups
from psm_cloud.teardown.adapters.stores import AT_ONCE, Buckets, Repositories
from psm_cloud.teardown.adapters.vault import Keys, Secrets
from psm_cloud.teardown.adapters.watching import Alarms, Dashboards, LogGroups
from psm_cloud.teardown.ports import Shelf
from psm_cloud.teardown.scope import Scope

PATIENT: Final = Config(retries={"mode": "adaptive", "total_max_attempts": 12}, max_pool_connections=2 * AT_ONCE)
"""Throttling is waited out: botocore slows down by itself and asks up to eleven times again."""

SERVICES: Final = (
    "ec2",
    "elbv2",
    "s3",
    "ecr",
    "logs",
    "cloudwatch",
    "secretsmanager",
    "kms",
    "resourcegroupstaggingapi",
)


@dataclass(frozen=True)
class Account:
    """What the run may ask."""

    shelves: tuple[Shelf, ...]
    tagging: Any
    kms: Any
    secrets: Any


@contextmanager
def account(scope: Scope, config: Config = PATIENT) -> Iterator[Account]:
    """Open clients for the scope's region, and close them."""
    session = _session(scope.region)
    with ExitStack() as stack:
        clients = {name: session.client(name, config=config) for name in SERVICES}
        for client in clients.values():
            stack.callback(client.close)
        ec2, elb, cloudwatch = clients["ec2"], clients["elbv2"], clients["cloudwatch"]
        shelves: tuple[Shelf, ...] = (
            LoadBalancers(elb),
            TargetGroups(elb),
            NetworkInterfaces(ec2, scope),
            SecurityGroups(ec2, scope),
            Dashboards(cloudwatch, scope),
            Alarms(cloudwatch, scope),
            Buckets(clients["s3"], scope),
            Repositories(clients["ecr"]),
            LogGroups(clients["logs"], scope),
            Snapshots(ec2, scope),
            Volumes(ec2, scope),
            Secrets(clients["secretsmanager"]),
            Keys(clients["kms"]),
        )
        yield Account(shelves, clients["resourcegroupstaggingapi"], clients["kms"], clients["secretsmanager"])


def whose(region: str) -> str:
    """Return the number of the account that the credentials are of."""
    client = _session(region).client("sts", config=PATIENT)
    try:
        number: str = client.get_caller_identity()["Account"]
    finally:
        client.close()
    return number


@cache
def _session(region: str) -> boto3.Session:
    """One for the process: it has read the descriptions of the services, which takes longer than most requests."""
    return boto3.Session(region_name=region)
