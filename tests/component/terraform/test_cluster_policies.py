"""What the programs that run the cluster may do and what not, who takes their roles, and what endpoints let through.

The tables are of `terraform/modules/cluster` and `network`, whose own tests say the account and the names.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest
from iam_policies import Decision, Request, decide
from planned_policies import Planned

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

ACCOUNT: Final = "123456789012"
REGION: Final = "ap-southeast-1"
AUTO_SCALING: Final = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:0a1b:autoScalingGroupName"
ELB: Final = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
BALANCER: Final = f"{ELB}:loadbalancer/app/k8s-mlops-ukgrocer-0a1b2c3d4e/50dc6c495c0c9188"
LISTENER: Final = f"{ELB}:listener/app/k8s-mlops-ukgrocer-0a1b2c3d4e/50dc6c495c0c9188/f2f7dc8efc522ab2"
RULE: Final = (
    f"{ELB}:listener-rule/app/k8s-mlops-ukgrocer-0a1b2c3d4e/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"
)
TARGETS: Final = f"{ELB}:targetgroup/k8s-mlops-ukgrocer-0a1b2c3d4e/6d0ecf831eec9f09"
SECURITY_GROUP: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-0123456789abcdef0"
LOGS: Final = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
VPC: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-0123456789abcdef0"
LINKED_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/elasticloadbalancing.amazonaws.com/linked"
ZONE: Final = "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ"

Context = Mapping[str, str | tuple[str, ...]]
Row = tuple[str, str] | tuple[str, str, Context]

OWNED: Final[Context] = MappingProxyType({"aws:ResourceTag/k8s.io/cluster-autoscaler/mlops-dev": "owned"})
OURS: Final[Context] = MappingProxyType({"aws:ResourceTag/elbv2.k8s.aws/cluster": "mlops-dev"})
THEIRS: Final[Context] = MappingProxyType({"aws:ResourceTag/elbv2.k8s.aws/cluster": "mlops-prod"})
FOR_US: Final[Context] = MappingProxyType({"aws:RequestTag/elbv2.k8s.aws/cluster": "mlops-dev"})
MADE: Final[Context] = MappingProxyType({**FOR_US, "elasticloadbalancing:CreateAction": "CreateTargetGroup"})
LINKED: Final[Context] = MappingProxyType({"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"})
FOR_THEM: Final[Context] = MappingProxyType({"aws:RequestTag/elbv2.k8s.aws/cluster": "mlops-prod"})

MUST: Final[Mapping[str, tuple[Row, ...]]] = {
    "cluster-autoscaler": (
        ("autoscaling:DescribeAutoScalingGroups", "*"),
        ("ec2:DescribeLaunchTemplateVersions", "*"),
        ("eks:DescribeNodegroup", f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/mlops-dev/mlops-dev-batch/0a1b"),
        ("autoscaling:SetDesiredCapacity", f"{AUTO_SCALING}/eks-mlops-dev-batch-0a1b", OWNED),
        ("autoscaling:TerminateInstanceInAutoScalingGroup", f"{AUTO_SCALING}/eks-mlops-dev-api-0a1b", OWNED),
    ),
    "load-balancer-controller": (
        ("ec2:DescribeSubnets", "*"),
        ("elasticloadbalancing:CreateLoadBalancer", BALANCER, FOR_US),
        ("elasticloadbalancing:CreateTargetGroup", TARGETS, FOR_US),
        ("ec2:GetSecurityGroupsForVpc", VPC),
        ("elasticloadbalancing:AddTags", TARGETS, MADE),
        ("elasticloadbalancing:AddTags", BALANCER, OURS),
        ("iam:CreateServiceLinkedRole", LINKED_ROLE, LINKED),
        ("elasticloadbalancing:CreateListener", BALANCER, OURS),
        ("elasticloadbalancing:CreateRule", LISTENER),
        ("elasticloadbalancing:AddTags", RULE),
        ("elasticloadbalancing:RegisterTargets", TARGETS, OURS),
        ("elasticloadbalancing:SetSecurityGroups", BALANCER, OURS),
        ("elasticloadbalancing:DeleteLoadBalancer", BALANCER, OURS),
        ("elasticloadbalancing:DeleteTargetGroup", TARGETS, OURS),
        ("elasticloadbalancing:DeleteListener", LISTENER),
        ("elasticloadbalancing:DeleteRule", RULE),
    ),
    "cloudwatch-agent": (
        ("logs:CreateLogStream", f"{LOGS}:/aws/containerinsights/mlops-dev/performance"),
        ("logs:PutLogEvents", f"{LOGS}:/aws/containerinsights/mlops-dev/predictor:log-stream:ip-10-0-0-1"),
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "ContainerInsights"}),
        ("ec2:DescribeTags", "*"),
    ),
    "external-dns": (
        ("route53:ListHostedZones", "*"),
        ("route53:ListResourceRecordSets", ZONE),
        ("route53:ChangeResourceRecordSets", ZONE, {"route53:ChangeResourceRecordSetsRecordTypes": ("A", "TXT")}),
    ),
}
MUST_NOT: Final[Mapping[str, tuple[Row, ...]]] = {
    "cluster-autoscaler": (
        ("autoscaling:SetDesiredCapacity", f"{AUTO_SCALING}/eks-mlops-dev-batch-0a1b"),
        ("autoscaling:SetDesiredCapacity", f"{AUTO_SCALING}/eks-mlops-prod-api-0a1b", OWNED),
        ("autoscaling:TerminateInstanceInAutoScalingGroup", f"{AUTO_SCALING}/somebody-elses", OWNED),
        ("autoscaling:UpdateAutoScalingGroup", f"{AUTO_SCALING}/eks-mlops-dev-api-0a1b", OWNED),
        ("eks:DescribeNodegroup", f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/mlops-prod/mlops-prod-api/0a1b"),
        ("ec2:RunInstances", "*"),
        ("ec2:TerminateInstances", "*"),
    ),
    "load-balancer-controller": (
        ("ec2:CreateSecurityGroup", SECURITY_GROUP),
        ("ec2:AuthorizeSecurityGroupIngress", SECURITY_GROUP),
        ("ec2:RevokeSecurityGroupIngress", SECURITY_GROUP),
        ("ec2:DeleteSecurityGroup", SECURITY_GROUP),
        ("ec2:CreateTags", SECURITY_GROUP),
        ("elasticloadbalancing:CreateLoadBalancer", BALANCER),
        ("elasticloadbalancing:CreateLoadBalancer", BALANCER, FOR_THEM),
        ("elasticloadbalancing:CreateLoadBalancer", BALANCER.replace("app/k8s-", "app/shop-"), FOR_US),
        ("elasticloadbalancing:CreateLoadBalancer", BALANCER.replace("/app/", "/net/"), FOR_US),
        ("elasticloadbalancing:CreateListener", BALANCER, THEIRS),
        ("elasticloadbalancing:DeleteLoadBalancer", BALANCER),
        ("elasticloadbalancing:DeleteLoadBalancer", BALANCER, THEIRS),
        ("elasticloadbalancing:RegisterTargets", TARGETS, THEIRS),
        ("elasticloadbalancing:AddTags", BALANCER, {**OURS, **FOR_THEM}),
        ("elasticloadbalancing:AddTags", BALANCER, FOR_US),
        ("elasticloadbalancing:SetWebAcl", BALANCER, OURS),
        ("ec2:GetSecurityGroupsForVpc", VPC.replace(REGION, "eu-west-1")),
        ("elasticloadbalancing:AddTags", TARGETS.replace("k8s-", "shop-"), MADE),
        ("elasticloadbalancing:AddTags", BALANCER.replace("k8s-", "shop-"), OURS),
        ("elasticloadbalancing:CreateListener", BALANCER.replace("k8s-", "shop-"), OURS),
        ("elasticloadbalancing:DeleteLoadBalancer", BALANCER.replace("k8s-", "shop-"), OURS),
        ("elasticloadbalancing:RegisterTargets", TARGETS.replace("k8s-", "shop-"), OURS),
        ("iam:CreateServiceLinkedRole", LINKED_ROLE),
        ("iam:CreateServiceLinkedRole", LINKED_ROLE.replace("elasticloadbalancing", "spot"), LINKED),
    ),
    "cloudwatch-agent": (
        ("logs:CreateLogGroup", f"{LOGS}:/aws/containerinsights/mlops-dev/other"),
        ("logs:PutLogEvents", f"{LOGS}:/aws/eks/mlops-dev/cluster:log-stream:kube-apiserver-audit"),
        ("logs:PutLogEvents", f"{LOGS}:/aws/containerinsights/mlops-prod/application:log-stream:ip-10-0-0-1"),
        ("logs:GetLogEvents", f"{LOGS}:/aws/containerinsights/mlops-dev/application:log-stream:ip-10-0-0-1"),
        ("logs:DeleteLogGroup", f"{LOGS}:/aws/containerinsights/mlops-dev/application"),
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "PSM/Predictor"}),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/AmazonCloudWatch-agent"),
    ),
    "external-dns": (
        ("route53:ChangeResourceRecordSets", ZONE, {"route53:ChangeResourceRecordSetsRecordTypes": ("A", "NS")}),
        ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/ZOTHER"),
        ("route53:ListResourceRecordSets", "arn:aws:route53:::hostedzone/ZOTHER"),
        ("route53:CreateHostedZone", "*"),
        ("route53:DeleteHostedZone", ZONE),
    ),
}
NEVER: Final[tuple[Row, ...]] = (
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/mlops-dev-node"),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/mlops-dev-operator"),
    ("s3:GetObject", f"arn:aws:s3:::mlops-dev-lake-{ACCOUNT}/raw/baskets.jsonl"),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:mlops-dev-x"),
    ("eks:DescribeCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-prod"),
)
PODS: Final = {
    "cloudwatch-agent": ("amazon-cloudwatch", "cloudwatch-agent"),
    "cluster-autoscaler": ("kube-system", "cluster-autoscaler"),
    "external-dns": ("external-dns", "external-dns"),
    "load-balancer-controller": ("kube-system", "aws-load-balancer-controller"),
    "vpc-cni": ("kube-system", "aws-node"),
}


def asked(row: Row) -> Request:
    """A row as a request."""
    return Request(row[0], row[1], row[2] if len(row) == 3 else {})


def allowed(policy: dict[str, Any], rows: tuple[Row, ...]) -> list[Row]:
    """Those of the rows that a policy allows."""
    return [row for row in rows if decide([policy], asked(row)) is Decision.ALLOWED]


@pytest.mark.parametrize("program", MUST)
def test_a_program_may_do_its_work_and_nothing_that_does_harm(planned: Mapping[str, Planned], program: str) -> None:
    policy = planned["cluster"].policy(f'aws_iam_role_policy.pod["{program}"]')
    assert allowed(policy, MUST[program]) == list(MUST[program])
    assert allowed(policy, (*MUST_NOT[program], *NEVER)) == []


def test_every_program_has_its_rows(planned: Mapping[str, Planned]) -> None:
    """A new role is nobody's until it is said what it must and must not do."""
    addresses = planned["cluster"].resources
    policies = {address.split('"')[1] for address in addresses if address.startswith("aws_iam_role_policy.pod[")}
    roles = {address.split('"')[1] for address in addresses if address.startswith("aws_iam_role.pod[")}
    assert policies == set(MUST) == set(MUST_NOT)
    assert roles == set(PODS)


@pytest.mark.parametrize("program", PODS)
def test_only_its_service_account_takes_a_role(planned: Mapping[str, Planned], program: str) -> None:
    trust = planned["cluster"].trust(f'aws_iam_role.pod["{program}"]')
    namespace, account = PODS[program]
    right = {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-dev",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }
    pods = ("Service", "pods.eks.amazonaws.com")

    def taken(context: Mapping[str, str], principal: tuple[str, str] = pods) -> bool:
        return all(
            decide([trust], Request(action, "*", context, principal)) is Decision.ALLOWED
            for action in ("sts:AssumeRole", "sts:TagSession")
        )

    assert taken(right)
    assert not taken(right, ("AWS", f"arn:aws:iam::{ACCOUNT}:root"))
    assert not [key for key in right if taken({**right, key: "another"})]
    assert not [key for key in right if taken({name: value for name, value in right.items() if name != key})]


def through(planned: Mapping[str, Planned], endpoint: str, action: str, resource: str, **context: str) -> bool:
    """Whether an endpoint lets a request pass; context by its keys without `aws:`."""
    keys = {f"aws:{name}": value for name, value in context.items()}
    policy = planned["network"].policy(f"aws_vpc_endpoint.{endpoint}")
    return decide([policy], Request(action, resource, keys, ("AWS", "*"))) is Decision.ALLOWED


GUARDED: Final = (
    ("sqs", "sqs:SendMessage", f"arn:aws:sqs:{REGION}:999999999999:theirs"),
    ("logs", "logs:PutLogEvents", f"arn:aws:logs:{REGION}:999999999999:log-group:theirs:log-stream:x"),
    ("sts", "sts:AssumeRole", "arn:aws:iam::999999999999:role/theirs"),
    ("ecr.api", "ecr:PutImage", f"arn:aws:ecr:{REGION}:999999999999:repository/theirs"),
    ("monitoring", "cloudwatch:PutMetricData", "*"),
    ("sagemaker.api", "sagemaker:CreateModelPackage", "*"),
)


@pytest.mark.parametrize(("service", "action", "resource"), GUARDED, ids=[row[0] for row in GUARDED])
def test_an_endpoint_lets_this_account_pass_and_no_other(
    planned: Mapping[str, Planned], service: str, action: str, resource: str
) -> None:
    """Credentials of another account cannot carry data out through it."""
    endpoint = f'interface["{service}"]'
    assert through(planned, endpoint, action, resource, PrincipalAccount=ACCOUNT)
    assert not through(planned, endpoint, action, resource, PrincipalAccount="999999999999")
    assert not through(planned, endpoint, action, resource)


def test_pods_get_roles_of_this_account_only(planned: Mapping[str, Planned]) -> None:
    """A service account's token comes without an identity of AWS."""
    endpoint, action = 'interface["sts"]', "sts:AssumeRoleWithWebIdentity"
    assert through(planned, endpoint, action, f"arn:aws:iam::{ACCOUNT}:role/mlops-dev-operator")
    assert not through(planned, endpoint, action, "arn:aws:iam::999999999999:role/theirs")


def test_s3_is_this_account_and_the_layers_of_images(planned: Mapping[str, Planned]) -> None:
    """Other buckets are read if they are named, and never written."""
    mine = "arn:aws:s3:::mlops-dev-lake-123456789012/x"
    layers = f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/x"
    theirs = "arn:aws:s3:::their-models/x"
    assert through(planned, "s3", "s3:PutObject", mine, ResourceAccount=ACCOUNT, PrincipalAccount=ACCOUNT)
    assert through(planned, "s3", "s3:GetObject", layers, ResourceAccount="999999999999")
    assert not through(planned, "s3", "s3:PutObject", layers, ResourceAccount="999999999999")
    assert through(planned, "s3", "s3:GetObject", theirs, ResourceAccount="999999999999", PrincipalAccount=ACCOUNT)
    assert not through(planned, "s3", "s3:PutObject", theirs, ResourceAccount="999999999999", PrincipalAccount=ACCOUNT)
    stranger = "arn:aws:s3:::unheard-of/x"
    assert not through(
        planned, "s3", "s3:PutObject", stranger, ResourceAccount="999999999999", PrincipalAccount=ACCOUNT
    )
    assert not through(
        planned, "s3", "s3:GetObject", stranger, ResourceAccount="999999999999", PrincipalAccount=ACCOUNT
    )
