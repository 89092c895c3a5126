"""Leftovers of an environment in the emulator, of every kind, with things of others beside them that must survive."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from psm_cloud.teardown.scope import PROJECT

REGION = "ap-southeast-1"
SERVICES = ("ec2", "elbv2", "s3", "ecr", "logs", "cloudwatch", "kms", "secretsmanager")
DASHBOARD = json.dumps({"widgets": []})


@dataclass
class Planted:
    """Clients of the emulator, and what was put there by a short name."""

    clients: dict[str, Any]
    ids: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, service: str) -> Any:
        """Return the client of a service."""
        try:
            return self.clients[service]
        except KeyError:
            raise AttributeError(service) from None


@contextmanager
def garden() -> Iterator[Planted]:
    """Open clients of whatever the environment names, and close them."""
    with ExitStack() as stack:
        clients = {name: boto3.client(name, region_name=REGION) for name in SERVICES}
        for client in clients.values():
            stack.callback(client.close)
        yield Planted(clients)


def tags(environment: str, **more: str) -> dict[str, str]:
    """Return what everything of an environment carries."""
    return {"Project": PROJECT, "Environment": environment, **more}


def listed(found: dict[str, str]) -> list[dict[str, str]]:
    """Return tags as most services write them."""
    return [{"Key": key, "Value": value} for key, value in found.items()]


def specified(kind: str, found: dict[str, str]) -> list[dict[str, Any]]:
    """Return tags as EC2 takes them."""
    return [{"ResourceType": kind, "Tags": listed(found)}]


def plant_network(at: Planted, name: str, carried: dict[str, str]) -> None:
    """Put a load balancer, its target group, an interface and two security groups that name each other into a VPC."""
    ec2, elb = at.ec2, at.elbv2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    groups = [
        ec2.create_security_group(
            GroupName=f"{name}-{side}",
            Description=side,
            VpcId=vpc,
            TagSpecifications=specified("security-group", carried),
        )["GroupId"]
        for side in ("front", "back")
    ]
    for one, other in (groups, reversed(groups)):
        rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": other}]}
        ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=[rule])
    balancer = elb.create_load_balancer(Name=name, Subnets=subnets, SecurityGroups=groups, Tags=listed(carried))
    target = elb.create_target_group(Name=f"{name}-t", Protocol="HTTP", Port=80, VpcId=vpc, Tags=listed(carried))
    at.ids[f"{name}.balancer"] = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    at.ids[f"{name}.target"] = target["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(
        LoadBalancerArn=at.ids[f"{name}.balancer"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": at.ids[f"{name}.target"]}],
    )
    interface = ec2.create_network_interface(
        SubnetId=subnets[0], TagSpecifications=specified("network-interface", carried)
    )
    at.ids[f"{name}.interface"] = interface["NetworkInterface"]["NetworkInterfaceId"]
    at.ids[f"{name}.front"], at.ids[f"{name}.back"] = groups


def plant_disks(at: Planted, name: str, carried: dict[str, str]) -> None:
    """Put a volume and its snapshot there."""
    volume = at.ec2.create_volume(
        AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=specified("volume", carried)
    )["VolumeId"]
    snapshot = at.ec2.create_snapshot(VolumeId=volume, TagSpecifications=specified("snapshot", carried))
    at.ids[f"{name}.volume"], at.ids[f"{name}.snapshot"] = volume, snapshot["SnapshotId"]


def plant_bucket(at: Planted, bucket: str, carried: dict[str, str], objects: int = 3) -> None:
    """Put a versioned bucket there with objects, older versions, a delete marker and an unfinished upload."""
    at.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    at.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if carried:
        at.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": listed(carried)})
    for n in range(objects):
        at.s3.put_object(Bucket=bucket, Key=f"object-{n}", Body=b"new")
    at.s3.put_object(Bucket=bucket, Key="object-0", Body=b"newer")
    at.s3.delete_object(Bucket=bucket, Key="object-0")
    at.s3.create_multipart_upload(Bucket=bucket, Key="unfinished")


def plant_images(at: Planted, repository: str, carried: dict[str, str]) -> None:
    """Put a repository with two images there, one of them without a tag."""
    at.ecr.create_repository(repositoryName=repository, tags=listed(carried))
    for size in (1, 2):
        layer = {"digest": "sha256:" + str(size) * 64, "size": size, "mediaType": "layer"}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": layer, "layers": [layer]})  # fmt: skip
        at.ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=f"0.{size}")


def plant_watching(at: Planted, environment: str, model: str) -> None:
    """Put a model's dashboard and alarm there as the operator does, and a log group of an agent."""
    name = f"mlops-{environment}-mlops-{model}-0a1b2c3d"
    at.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=DASHBOARD)
    at.cloudwatch.put_metric_alarm(
        AlarmName=f"{name}-latency",
        MetricName="latency",
        Namespace="PSM",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
        Tags=listed({"Project": PROJECT, "ManagedBy": "psm-operator", "Model": model}),
    )
    at.logs.create_log_group(logGroupName=f"/mlops/{environment}/agent", tags=tags(environment))


def plant_vault(at: Planted, name: str, carried: dict[str, str]) -> None:
    """Put a key and a secret there."""
    key = at.kms.create_key(Tags=[{"TagKey": one["Key"], "TagValue": one["Value"]} for one in listed(carried)])
    at.ids[f"{name}.key"] = key["KeyMetadata"]["KeyId"]
    at.ids[f"{name}.secret"] = at.secretsmanager.create_secret(Name=name, SecretString="x", Tags=listed(carried))["ARN"]


def plant_environment(at: Planted, environment: str) -> None:
    """Put one leftover of every kind there."""
    ours = tags(environment)
    plant_network(at, f"k8s-{environment}", ours)
    plant_disks(at, environment, ours)
    plant_bucket(at, f"mlops-{environment}-lake-123456789012", {**ours, "Component": "lake"})
    plant_bucket(at, f"mlops-{environment}-logs-123456789012", {**ours, "Component": "lake"})
    plant_images(at, f"mlops/{environment}/api", {**ours, "Component": "registry"})
    plant_watching(at, environment, "uk-grocery")
    plant_vault(at, f"mlops-{environment}-secret", ours)


def inventory(at: Planted) -> dict[str, list[str]]:
    """Return everything that there is, by kind."""
    ec2, s3, kms = at.ec2, at.s3, at.kms
    buckets = {one["Name"]: s3.list_object_versions(Bucket=one["Name"]) for one in s3.list_buckets()["Buckets"]}
    repositories = [one["repositoryName"] for one in at.ecr.describe_repositories()["repositories"]]
    keys = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    return {
        "balancers": [one["LoadBalancerArn"] for one in at.elbv2.describe_load_balancers()["LoadBalancers"]],
        "targets": [one["TargetGroupArn"] for one in at.elbv2.describe_target_groups()["TargetGroups"]],
        "interfaces": [one["NetworkInterfaceId"] for one in ec2.describe_network_interfaces()["NetworkInterfaces"]],
        "groups": [
            one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"
        ],
        "volumes": [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]],
        "snapshots": [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]],
        "objects": [
            f"{name}/{one['Key']}"
            for name, told in buckets.items()
            for one in (*told.get("Versions", ()), *told.get("DeleteMarkers", ()))
        ],
        "uploads": [
            f"{name}/{one['Key']}"
            for name in buckets
            for one in s3.list_multipart_uploads(Bucket=name).get("Uploads", ())
        ],
        "images": [
            f"{name}/{one['imageDigest']}"
            for name in repositories
            for one in at.ecr.list_images(repositoryName=name)["imageIds"]
        ],
        "dashboards": [one["DashboardName"] for one in at.cloudwatch.list_dashboards()["DashboardEntries"]],
        "alarms": [one["AlarmName"] for one in at.cloudwatch.describe_alarms()["MetricAlarms"]],
        "log groups": [one["logGroupName"] for one in at.logs.describe_log_groups()["logGroups"]],
        "keys": [one["KeyId"] for one in keys if one["KeyState"] == "Enabled"],
        "secrets": [
            one["Name"] for one in at.secretsmanager.list_secrets()["SecretList"] if not one.get("DeletedDate")
        ],
    }
