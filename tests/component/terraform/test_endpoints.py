"""Who passes the private network's endpoints, and whether every service that is called has one."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from iam_policies import Decision, Request, decide
from planned_policies import Planned

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

ROOT: Final = Path(__file__).parents[3]
OWN: Final = "123456789012"
OTHER: Final = "222222222222"
READER: Final = f"arn:aws:iam::{OTHER}:role/mlops-dev-registry-reader"
ENDPOINTS: Final = {
    "cloudwatch": "monitoring",
    "sagemaker": "sagemaker.api",
    "sagemaker-featurestore-runtime": "sagemaker.featurestore-runtime",
}
"""Service as boto3 has it -> end of its endpoint's name, where they differ."""
OF_THE_CLUSTER: Final = {
    "autoscaling": "Cluster Autoscaler",
    "ec2": "the CNI, the load balancer controller, nodes that join",
    "ecr.api": "nodes log in to the registry",
    "ecr.dkr": "nodes pull images",
    "eks": "nodes ask for their cluster",
    "eks-auth": "Pod Identity's agent",
    "elasticloadbalancing": "the load balancer controller",
    "logs": "Fluent Bit, jobs of SageMaker",
    "sts": "roles of service accounts",
}
"""What is called without our code."""
IN_THE_VPC: Final = ("operator/src/psm_operator", "predictor/src/psm_predictor", "training/src/psm_training")
BY_WORKFLOWS: Final = {"training/src/psm_training/sagemaker/deploy.py"}


def services() -> Iterator[str]:
    """Every service that code in the VPC makes a client of."""
    known = set(botocore.session.get_session().get_available_services())
    for folder in IN_THE_VPC:
        for file in sorted((ROOT / folder).rglob("*.py")):
            if file.relative_to(ROOT).as_posix() in BY_WORKFLOWS:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "client":
                    words = [word.value for word in node.args if isinstance(word, ast.Constant)]
                    yield from (word for word in words if isinstance(word, str) and word in known)


def policy(planned: Mapping[str, Planned], address: str) -> dict[str, Any]:
    return planned["network"].policy(f"aws_vpc_endpoint.{address}")


def passes(policy: dict[str, Any], action: str, resource: str = "*", **context: str) -> bool:
    """Whether an endpoint lets a request through; context by the names of aws: keys."""
    asking = Request(action, resource, {f"aws:{key}": value for key, value in context.items()})
    return decide([policy], asking) is Decision.ALLOWED


def test_every_service_that_is_called_has_an_endpoint_and_no_other_is_paid(planned: Mapping[str, Planned]) -> None:
    made = {
        address.split('"')[1]
        for address in planned["network"].resources
        if address.startswith("aws_vpc_endpoint.interface[")
    }
    called = {ENDPOINTS.get(service, service) for service in services()} - {"s3"}
    assert {"monitoring", "sns", "sqs", "sagemaker.api"} <= called
    assert made == called | OF_THE_CLUSTER.keys()


READS: Final = (
    ("sagemaker.api", "sagemaker:DescribeModelPackage"),
    ("sagemaker.api", "sagemaker:DescribeModelPackageGroup"),
    ("sagemaker.api", "sagemaker:ListModelPackages"),
    ("monitoring", "cloudwatch:GetMetricData"),
)
"""What the operator does as the reader of spec.registry.roleARN (docs/aws-access.md)."""


@pytest.mark.parametrize(("service", "action"), READS)
def test_the_reader_of_another_registry_passes(planned: Mapping[str, Planned], service: str, action: str) -> None:
    """Whoever assumed a role is an identity of the role's account; another role of that account does not pass."""
    endpoint = policy(planned, f'interface["{service}"]')
    assert passes(endpoint, action, PrincipalAccount=OWN, PrincipalArn=f"arn:aws:iam::{OWN}:role/mlops-dev-operator")
    assert passes(endpoint, action, PrincipalAccount=OTHER, PrincipalArn=READER)
    assert not passes(endpoint, action, PrincipalAccount=OTHER, PrincipalArn=f"arn:aws:iam::{OTHER}:role/thief")
    assert not passes(
        endpoint, action, PrincipalAccount="999999999999", PrincipalArn=READER.replace(OTHER, "999999999999")
    )


def test_a_reader_only_reads(planned: Mapping[str, Planned]) -> None:
    endpoints = planned["network"].documents()
    for address, endpoint in endpoints.items():
        if "aws_vpc_endpoint.interface" in address:
            for action in (
                "sagemaker:CreateModelPackage",
                "cloudwatch:PutMetricData",
                "sqs:SendMessage",
                "logs:PutLogEvents",
            ):
                assert not passes(endpoint, action, PrincipalAccount=OTHER, PrincipalArn=READER), address


def test_models_of_another_account_are_read_by_us_and_by_the_reader(planned: Mapping[str, Planned]) -> None:
    """And written by nobody."""
    endpoint = policy(planned, "s3")
    theirs = "arn:aws:s3:::their-models/price-sensitivity/3f2a/model.tar.gz"
    for account in (OWN, OTHER):
        assert passes(endpoint, "s3:GetObject", theirs, PrincipalAccount=account, ResourceAccount=OTHER)
        assert not passes(endpoint, "s3:PutObject", theirs, PrincipalAccount=account, ResourceAccount=OTHER)
    assert not passes(endpoint, "s3:GetObject", theirs, PrincipalAccount="999999999999", ResourceAccount=OTHER)
