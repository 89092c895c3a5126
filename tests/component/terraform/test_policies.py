"""What each role may do and what not, asked of the policies that Terraform plans; AWS's own list knows their words.

The evaluator is `tests/iam_policies.py`; which actions, resources and condition keys there are, policy_sentry knows from
AWS's service authorization reference.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import pytest
from iam_policies import Decision, Request, allowed_pairs, decide, listed, statements
from planned_policies import Planned, planned_by
from policy_sentry.analysis.expand import expand
from policy_sentry.querying.actions import get_action_data

from psm_cloud.offline import offline
from psm_cloud.settings import read_settings
from psm_cloud.terraform import Terraform

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

ACCOUNT: Final = "111111111111"
REGION: Final = "ap-southeast-1"
RUNS: Final = {"iam": "roles", "lake": "buckets", "events": "schedules", "audit": "trail", "secrets": "secrets"}
"""Module -> the run of its tests whose plan is asked."""

MODELS: Final = f"arn:aws:s3:::mlops-dev-models-{ACCOUNT}"
LAKE: Final = f"arn:aws:s3:::mlops-dev-lake-{ACCOUNT}"
LOGS: Final = f"arn:aws:s3:::mlops-dev-logs-{ACCOUNT}"
STATE: Final = f"arn:aws:s3:::mlops-terraform-state-{ACCOUNT}"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000001"
OTHER_KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-00000000ffff"
SAGEMAKER: Final = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
GROUP: Final = f"{SAGEMAKER}:model-package-group/price-sensitivity"
PACKAGE: Final = f"{SAGEMAKER}:model-package/price-sensitivity/17"
UPPER_CASE_GROUP: Final = f"{SAGEMAKER}:model-package/weekly-uk/3"
ALARM: Final = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:mlops-dev-mlops-uk-grocery-0a1b2c3d-errors"
PROD_ALARM: Final = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:mlops-prod-mlops-uk-grocery-0a1b2c3d-errors"
DASHBOARD: Final = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/mlops-dev-mlops-uk-grocery-0a1b2c3d"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:mlops-dev-alerts"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:mlops-dev-registry-events"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role"
ECR: Final = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
TO_TOPIC: Final = MappingProxyType({"cloudwatch:AlarmActions": (TOPIC,)})
TO_SAGEMAKER: Final = MappingProxyType({"iam:PassedToService": "sagemaker.amazonaws.com"})
IN_REGION: Final = MappingProxyType({"aws:RequestedRegion": REGION})

Context = Mapping[str, str | tuple[str, ...]]
Row = tuple[str, str] | tuple[str, str, Context]

REGISTRY_READS: Final[tuple[Row, ...]] = (
    ("sagemaker:ListModelPackages", PACKAGE),
    ("sagemaker:DescribeModelPackageGroup", GROUP),
    ("sagemaker:DescribeModelPackage", PACKAGE),
    ("sagemaker:DescribeModelPackage", UPPER_CASE_GROUP),
)
REGISTRY_WRITES: Final[tuple[Row, ...]] = (
    ("sagemaker:CreateModelPackageGroup", GROUP),
    ("sagemaker:CreateModelPackage", GROUP),
    ("sagemaker:CreateModelPackage", PACKAGE),
    ("sagemaker:UpdateModelPackage", PACKAGE),
    ("s3:PutObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
    ("s3:PutObject", f"{MODELS}/price-sensitivity/approval.lease"),
    ("s3:GetObject", f"{MODELS}/price-sensitivity/approval.lease"),
)

MUST: Final[Mapping[str, tuple[Row, ...]]] = {
    "operator": (
        *REGISTRY_READS,
        ("s3:GetObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
        ("s3:GetObject", f"{MODELS}/price-sensitivity/3f2a/evaluation.json"),
        ("s3:ListBucket", MODELS),
        ("kms:Decrypt", KEY),
        ("cloudwatch:GetMetricData", "*"),
        ("sqs:ReceiveMessage", QUEUE),
        ("sqs:DeleteMessage", QUEUE),
        ("sts:AssumeRole", "arn:aws:iam::222222222222:role/mlops-dev-registry-reader"),
        ("cloudwatch:PutMetricAlarm", ALARM, TO_TOPIC),
        ("cloudwatch:TagResource", ALARM, {"aws:ResourceTag/ManagedBy": "psm-operator"}),
        ("cloudwatch:ListTagsForResource", ALARM),
        ("cloudwatch:DeleteAlarms", ALARM, {"aws:ResourceTag/ManagedBy": "psm-operator"}),
        ("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"),
        ("cloudwatch:PutDashboard", DASHBOARD),
        ("cloudwatch:GetDashboard", DASHBOARD),
        ("cloudwatch:DeleteDashboards", DASHBOARD),
        ("sns:GetTopicAttributes", TOPIC),
    ),
    "predictor": (
        ("s3:GetObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
        ("s3:ListBucket", MODELS),
        ("kms:Decrypt", KEY),
    ),
    "training": (
        *REGISTRY_READS,
        *REGISTRY_WRITES,
        ("s3:GetObject", f"{LAKE}/raw/source-files/200801.csv"),
        ("s3:PutObject", f"{LAKE}/lake/silver/SHOP_WEEK=200801/STORE_REGION=E01/0a.parquet"),
        ("s3:DeleteObject", f"{LAKE}/lake/silver/_weeks/200801.json"),
        ("s3:ListBucket", LAKE),
        ("kms:GenerateDataKey", KEY),
        ("kms:Decrypt", KEY),
        ("sagemaker:CreateFeatureGroup", f"{SAGEMAKER}:feature-group/household-history"),
        ("sagemaker:DescribeFeatureGroup", f"{SAGEMAKER}:feature-group/basket-features-v2"),
        ("sagemaker:PutRecord", f"{SAGEMAKER}:feature-group/basket-features-v2"),
        ("sagemaker:BatchGetRecord", f"{SAGEMAKER}:feature-group/basket-features-v2"),
        ("sagemaker:DeleteRecord", f"{SAGEMAKER}:feature-group/basket-features-v2"),
        ("iam:PassRole", f"{ROLE}/mlops-dev-sagemaker", TO_SAGEMAKER),
    ),
    "etl": (
        ("s3:GetObject", f"{LAKE}/raw/source-files/200801.csv"),
        ("s3:PutObject", f"{LAKE}/lake/gold/SHOP_WEEK=200801/STORE_REGION=E01/0a.parquet"),
        ("s3:ListBucket", LAKE),
        ("kms:GenerateDataKey", KEY),
        ("glue:GetTable", f"arn:aws:glue:{REGION}:{ACCOUNT}:table/mlops_dev/silver"),
        ("athena:StartQueryExecution", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/mlops-dev-lake"),
        ("s3:PutObject", f"{LAKE}/athena/0a.csv"),
    ),
    "sagemaker": (
        *REGISTRY_READS,
        *REGISTRY_WRITES,
        ("s3:GetObject", f"{LAKE}/raw/source-files/200801.csv"),
        ("s3:PutObject", f"{LAKE}/training/3f/validate/source.json"),
        ("s3:PutObject", f"{LAKE}/feature-store/{ACCOUNT}/sagemaker/0a.parquet"),
        ("kms:CreateGrant", KEY, {"kms:GrantIsForAWSResource": "true"}),
        ("ecr:BatchGetImage", f"{ECR}/mlops/train-price-sensitivity"),
        ("ecr:BatchGetImage", f"{ECR}/mlops/api-price-sensitivity"),
        ("ecr:GetAuthorizationToken", "*"),
        ("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/ProcessingJobs:log-stream:a"),
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}),
        ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/pipelines-abc-Train-def"),
        ("sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/pipelines-abc-Validate-def"),
        ("iam:PassRole", f"{ROLE}/mlops-dev-sagemaker", TO_SAGEMAKER),
    ),
    "github_plan": (
        ("s3:GetObject", f"{STATE}/dev/terraform.tfstate"),
        ("s3:ListBucket", STATE),
        ("ec2:DescribeVpcs", "*"),
        ("iam:GetRolePolicy", f"{ROLE}/mlops-dev-operator"),
        ("s3:GetBucketPolicy", LAKE),
    ),
    "github_apply": (
        ("s3:PutObject", f"{STATE}/dev/terraform.tfstate"),
        ("s3:DeleteObject", f"{STATE}/dev/terraform.tfstate.tflock"),
        ("s3:CreateBucket", MODELS),
        ("s3:PutBucketPolicy", LAKE),
        ("s3:PutLifecycleConfiguration", LAKE),
        ("s3:PutEncryptionConfiguration", LAKE),
        ("iam:CreateRole", f"{ROLE}/mlops-dev-operator"),
        ("iam:PutRolePolicy", f"{ROLE}/mlops-dev-operator"),
        ("iam:PassRole", f"{ROLE}/mlops-dev-scheduler", {"iam:PassedToService": "scheduler.amazonaws.com"}),
        (
            "iam:CreateOpenIDConnectProvider",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/A",
        ),
        ("eks:CreateCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-dev"),
        ("kms:CreateKey", "*", IN_REGION),
        ("ec2:CreateVpc", f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/*", IN_REGION),
        ("sqs:CreateQueue", QUEUE),
        ("sns:CreateTopic", TOPIC),
        ("glue:CreateTable", f"arn:aws:glue:{REGION}:{ACCOUNT}:table/mlops_dev/silver"),
        ("states:CreateStateMachine", f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:mlops-dev-training-missing"),
    ),
    "github_release": (
        ("ecr:GetAuthorizationToken", "*"),
        ("ecr:PutImage", f"{ECR}/mlops/psm-operator"),
        ("ecr:InitiateLayerUpload", f"{ECR}/mlops/api-price-sensitivity"),
        ("ecr:UploadLayerPart", f"{ECR}/mlops/train-price-sensitivity"),
        ("ecr:CompleteLayerUpload", f"{ECR}/mlops/train-price-sensitivity"),
        ("ecr:DescribeImageScanFindings", f"{ECR}/mlops/train-price-sensitivity"),
    ),
    "github_model": (
        *REGISTRY_READS,
        *REGISTRY_WRITES,
        ("sagemaker:UpdatePipeline", f"{SAGEMAKER}:pipeline/mlops-dev-training"),
        ("sagemaker:StartPipelineExecution", f"{SAGEMAKER}:pipeline/mlops-dev-training"),
        ("sagemaker:DescribePipelineExecution", f"{SAGEMAKER}:pipeline/mlops-dev-training/execution/abc"),
        ("iam:PassRole", f"{ROLE}/mlops-dev-sagemaker", TO_SAGEMAKER),
        ("eks:DescribeCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-dev"),
    ),
}
"""What a role that lacks it cannot do its work without."""

WRITES_OF_THE_REGISTRY: Final[tuple[Row, ...]] = (
    ("sagemaker:CreateModelPackage", GROUP),
    ("sagemaker:UpdateModelPackage", PACKAGE),
    ("sagemaker:DeleteModelPackage", PACKAGE),
    ("s3:PutObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
)

NEVER: Final[tuple[Row, ...]] = (
    ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/mlops-dev-x"),
    ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/mlops-dev-x"),
    ("iam:PutRolePolicy", f"{ROLE}/mlops-dev-github-apply"),
    ("iam:UpdateAssumeRolePolicy", f"{ROLE}/mlops-dev-github-apply"),
    ("iam:AttachRolePolicy", f"{ROLE}/admin"),
    ("iam:PassRole", f"{ROLE}/admin", TO_SAGEMAKER),
    ("iam:PassRole", f"{ROLE}/mlops-dev-sagemaker", {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("sts:AssumeRole", "arn:aws:iam::222222222222:role/admin"),
    ("sts:AssumeRole", f"{ROLE}/mlops-dev-github-apply"),
    ("s3:GetObject", "arn:aws:s3:::somebody-elses-bucket/key"),
    ("s3:GetObject", f"{LOGS}/cloudtrail/AWSLogs/a.json.gz"),
    ("s3:DeleteObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
    ("s3:DeleteObject", f"{LAKE}/raw/source-files/200801.csv"),
    ("s3:PutObject", f"{LAKE}/raw/source-files/200801.csv"),
    ("s3:PutObject", f"{MODELS}/other/model.tar.gz"),
    ("s3:GetObject", f"{STATE}/prod/terraform.tfstate"),
    ("s3:DeleteBucketPolicy", STATE),
    ("kms:Decrypt", OTHER_KEY),
    ("kms:CreateGrant", KEY),
    ("sagemaker:DescribeModelPackage", f"{SAGEMAKER}:model-package/churn/1"),
    ("sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/churn/1"),
    ("sagemaker:DeleteModelPackageGroup", GROUP),
    ("sagemaker:ListModelPackages", f"{SAGEMAKER}:model-package/churn/1"),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:mlops-dev-pager-abcdef"),
    ("cloudwatch:PutMetricAlarm", PROD_ALARM, TO_TOPIC),
    ("cloudtrail:StopLogging", f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/other"),
    ("ecr:PutImage", f"{ECR}/other/image"),
    ("ec2:RunInstances", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*"),
    ("ec2:CreateVpc", f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/*", {"aws:RequestedRegion": "us-east-1"}),
    ("eks:DeleteCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-prod"),
    ("organizations:LeaveOrganization", "*"),
)
"""What no role may, whatever its work."""

MUST_NOT: Final[Mapping[str, tuple[Row, ...]]] = {
    "operator": (
        *WRITES_OF_THE_REGISTRY,
        ("cloudwatch:PutMetricAlarm", ALARM, {"cloudwatch:AlarmActions": ("arn:aws:automate:x:ec2:stop",)}),
        ("cloudwatch:PutMetricAlarm", ALARM, {**TO_TOPIC, "aws:ResourceTag/Component": "events"}),
        ("cloudwatch:DeleteAlarms", ALARM),
        ("cloudwatch:DeleteAlarms", ALARM, {"aws:ResourceTag/Component": "events"}),
        ("cloudwatch:DeleteAlarms", PROD_ALARM, {"aws:ResourceTag/ManagedBy": "psm-operator"}),
        ("cloudwatch:SetAlarmState", ALARM),
        ("cloudwatch:DisableAlarmActions", ALARM),
        ("cloudwatch:PutCompositeAlarm", ALARM),
        ("cloudwatch:PutDashboard", f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/finance"),
        ("sns:Publish", TOPIC),
        ("sqs:SendMessage", QUEUE),
        ("sqs:ReceiveMessage", f"{QUEUE}-dead"),
        ("kms:GenerateDataKey", KEY),
        ("s3:GetObject", f"{LAKE}/raw/source-files/200801.csv"),
        ("sts:AssumeRole", f"{ROLE}/mlops-dev-training"),
        ("iam:PassRole", f"{ROLE}/mlops-dev-sagemaker", TO_SAGEMAKER),
    ),
    "predictor": (
        *WRITES_OF_THE_REGISTRY,
        *REGISTRY_READS,
        ("cloudwatch:PutMetricData", "*"),
        ("s3:ListBucket", LAKE),
        ("s3:GetObject", f"{LAKE}/lake/gold/a.parquet"),
        ("kms:GenerateDataKey", KEY),
    ),
    "training": (
        ("sagemaker:DeleteModelPackage", PACKAGE),
        ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/mlops-dev-1"),
        ("sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/a"),
        ("sqs:ReceiveMessage", QUEUE),
        ("cloudwatch:PutMetricAlarm", ALARM, TO_TOPIC),
        ("sagemaker:PutRecord", f"{SAGEMAKER}:feature-group/customers"),
    ),
    "etl": (
        *WRITES_OF_THE_REGISTRY,
        *REGISTRY_READS,
        ("glue:DeleteTable", f"arn:aws:glue:{REGION}:{ACCOUNT}:table/mlops_dev/silver"),
        ("glue:GetTable", f"arn:aws:glue:{REGION}:{ACCOUNT}:table/finance/ledger"),
        ("athena:StartQueryExecution", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/primary"),
    ),
    "sagemaker": (
        ("sagemaker:DeleteModelPackage", PACKAGE),
        ("ecr:PutImage", f"{ECR}/mlops/train-price-sensitivity"),
        ("ecr:BatchGetImage", f"{ECR}/mlops/psm-operator"),
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/Billing"}),
        ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/somebody-elses"),
        ("sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/a"),
    ),
    "github_plan": (
        *WRITES_OF_THE_REGISTRY,
        ("s3:PutObject", f"{STATE}/dev/terraform.tfstate"),
        ("s3:GetObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
        ("s3:GetObject", f"{LAKE}/raw/source-files/200801.csv"),
        ("sqs:ReceiveMessage", QUEUE),
        ("logs:GetLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/a:log-stream:b"),
        ("athena:GetQueryResults", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/mlops-dev-lake"),
        ("iam:PassRole", f"{ROLE}/mlops-dev-sagemaker", TO_SAGEMAKER),
    ),
    "github_apply": (
        *WRITES_OF_THE_REGISTRY,
        ("s3:GetObject", f"{MODELS}/price-sensitivity/3f2a/model.tar.gz"),
        ("iam:CreateRole", f"{ROLE}/mlops-prod-operator"),
        (
            "iam:DeleteOpenIDConnectProvider",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
        ),
        ("sns:DeleteTopic", f"arn:aws:sns:{REGION}:{ACCOUNT}:mlops-prod-alerts"),
        ("s3:DeleteBucket", f"arn:aws:s3:::mlops-prod-models-{ACCOUNT}"),
    ),
    "github_release": (
        *WRITES_OF_THE_REGISTRY,
        ("ecr:DeleteRepository", f"{ECR}/mlops/psm-operator"),
        ("ecr:BatchDeleteImage", f"{ECR}/mlops/psm-operator"),
        ("ecr:PutImageTagMutability", f"{ECR}/mlops/psm-operator"),
        ("s3:GetObject", f"{STATE}/dev/terraform.tfstate"),
    ),
    "github_model": (
        ("sagemaker:StartPipelineExecution", f"{SAGEMAKER}:pipeline/mlops-prod-training"),
        ("eks:DeleteCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-dev"),
        ("s3:GetObject", f"{STATE}/dev/terraform.tfstate"),
        ("cloudwatch:PutMetricAlarm", ALARM, TO_TOPIC),
    ),
}
"""What a role could do harm with, or another one's work."""

OPEN_RESOURCES: Final = {
    ("github_plan", "SeeHowThingsAre"),
    ("github_apply", "SeeHowThingsAre"),
    ("github_apply", "KeepKeysAndNetworkOfTheRegion"),
}
"""Statements about every resource although their actions know some: role and Sid; why is written beside them."""


@pytest.fixture(scope="module")
def planned() -> Iterator[Mapping[str, Planned]]:
    """What the modules plan, by module."""
    with offline(Terraform.found(read_settings())) as terraform:
        yield {module: planned_by(terraform, module, run) for module, run in RUNS.items()}


def rights(planned: Mapping[str, Planned], role: str) -> dict[str, Any]:
    """The policy of a role of module iam."""
    return planned["iam"].policy(f'aws_iam_role_policy.this["{role}"]')


def request_of(row: Row) -> Request:
    """A row of the tables above."""
    return Request(row[0], row[1], row[2] if len(row) == 3 else {})  # with a context


@pytest.mark.parametrize("role", MUST)
def test_a_role_may_do_its_work(planned: Mapping[str, Planned], role: str) -> None:
    asked = map(request_of, MUST[role])
    assert not [asking for asking in asked if decide([rights(planned, role)], asking) is not Decision.ALLOWED]


@pytest.mark.parametrize("role", MUST)
def test_a_role_may_do_nothing_that_does_harm(planned: Mapping[str, Planned], role: str) -> None:
    asked = map(request_of, (*NEVER, *MUST_NOT[role]))
    assert not [asking for asking in asked if decide([rights(planned, role)], asking) is Decision.ALLOWED]


def test_every_role_has_its_rows(planned: Mapping[str, Planned]) -> None:
    """A new role is nobody's until it is said what it must and must not do."""
    roles = {address.split('"')[1] for address in planned["iam"].resources if address.startswith("aws_iam_role.this[")}
    assert roles == set(MUST) == set(MUST_NOT)


@cache
def known(action: str) -> tuple[dict[str, Any], ...]:
    """What AWS's reference says of an action: a row per kind of resource; none for an action that there is not."""
    service, _, name = action.partition(":")
    found = get_action_data(service, name)
    return tuple(found[service]) if found else ()


def role_policies(planned: Mapping[str, Planned]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy that gives rights, by the role's name: a policy of a resource has no resources of its own kind."""
    for module in planned.values():
        for address in module.resources:
            if address.startswith("aws_iam_role_policy."):
                yield address.removeprefix("aws_iam_role_policy.this").strip('[]"'), module.policy(address)


def test_every_action_exists(planned: Mapping[str, Planned]) -> None:
    """AWS accepts a misspelt action without a word, and the right is missing."""
    documents = {name: found for module in planned.values() for name, found in module.documents().items()}
    actions = {
        (name, action)
        for name, document in documents.items()
        for statement in statements(document)
        for action in listed(statement["Action"])
    }
    assert not {(name, action) for name, action in actions if action != "*" and not expanded(action)}


@cache
def expanded(action: str) -> tuple[str, ...]:
    """The actions that a pattern names; none if there are none."""
    found = [action] if "*" not in action else [name for name in expand(action) if "*" not in name]
    return tuple(name for name in found if known(name))


def test_every_action_can_be_about_its_resources(planned: Mapping[str, Planned]) -> None:
    """A right on an ARN of the wrong kind gives nothing; each action fits a resource of its statement and the reverse."""
    idle = []
    for role, policy in role_policies(planned):
        by_statement: dict[str, list[tuple[str, str]]] = {}
        for sid, action, resource in allowed_pairs(policy):
            by_statement.setdefault(sid, []).append((action, resource))
        for sid, pairs in by_statement.items():
            fitting = [(action, resource) for action, resource in pairs if is_about(action, resource)]
            idle += [(role, sid, action) for action in {a for a, _ in pairs} - {a for a, _ in fitting}]
            idle += [(role, sid, resource) for resource in {r for _, r in pairs} - {r for _, r in fitting}]
    assert not idle, "\n".join(map(str, sorted(idle)))


def is_about(action: str, resource: str) -> bool:
    """Whether some action that a pattern names knows resources of this kind."""
    if resource == "*":
        return True
    formats = {row["resource_arn_format"] for name in expanded(action) for row in known(name)}
    paths = [
        resource + "/*" * depth for depth in range(5 if resource.endswith("*") else 1)
    ]  # a star reaches over slashes
    return any(re.fullmatch(_pattern(found), path) for found in formats - {"*"} for path in paths)


def _pattern(arn_format: str) -> str:
    """A format of AWS's reference as an expression; of all names only that of a bucket is followed by a slash that counts."""
    text = re.escape(arn_format).replace(re.escape("${BucketName}"), "[^/]+")
    return re.sub(r"\\\$\\\{\w+\\\}", ".+", text)


def test_every_resource_only_where_the_action_knows_none(planned: Mapping[str, Planned]) -> None:
    """Or where a statement is on the list of those that say why."""
    wide = {
        (role, sid, action)
        for role, policy in role_policies(planned)
        for sid, action, resource in allowed_pairs(policy)
        if resource == "*"
        and (role, sid) not in OPEN_RESOURCES
        and any(row["resource_arn_format"] != "*" for name in expanded(action) for row in known(name))
    }
    assert not wide


def test_nothing_is_everything(planned: Mapping[str, Planned]) -> None:
    """No role may do *, and only the role that applies may do all of a service, to what has its environment's name."""
    wide = {
        (role, action)
        for role, policy in role_policies(planned)
        for _, action, resource in allowed_pairs(policy)
        if action.endswith(":*") and (role != "github_apply" or resource == "*")
    }
    assert not wide


def test_planning_only_reads(planned: Mapping[str, Planned]) -> None:
    """By AWS's own levels; what a role reads of data is asked above."""
    writing = {
        name
        for sid, action, _ in allowed_pairs(rights(planned, "github_plan"))
        for name in expanded(action)
        if {row["access_level"] for row in known(name)} - {"Read", "List"} and sid != "DecryptState"
    }
    assert not writing


POD_TRUSTS: Final = {
    "operator": ("psm-system", "psm-operator"),
    "training": ("mlops", "psm-training"),
    "etl": ("mlops", "psm-etl"),
    "predictor": ("mlops", "uk-grocery"),
}
ISSUER: Final = f"oidc.eks.{REGION}.amazonaws.com/id/ABCDEF"
GITHUB: Final = "token.actions.githubusercontent.com"


def taken_by_token(policy: dict[str, Any], issuer: str, subject: str, audience: str = "sts.amazonaws.com") -> bool:
    """Whether a bearer of a token takes a role."""
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    context = {f"{issuer}:sub": subject, f"{issuer}:aud": audience}
    asking = Request("sts:AssumeRoleWithWebIdentity", "*", context, ("Federated", provider))
    return decide([policy], asking) is Decision.ALLOWED


@pytest.mark.parametrize("role", POD_TRUSTS)
def test_only_its_service_account_takes_a_role_of_pods(planned: Mapping[str, Planned], role: str) -> None:
    trust = planned["iam"].trust(f'aws_iam_role.this["{role}"]')
    namespace, name = POD_TRUSTS[role]
    assert taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}:{name}")
    assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:default:{name}")
    assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}-2:{name}")
    assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}:{name}", audience="kubernetes")
    assert not taken_by_token(
        trust, f"oidc.eks.{REGION}.amazonaws.com/id/OTHER", f"system:serviceaccount:{namespace}:{name}"
    )
    if role != "predictor":  # whose accounts are named after models
        assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}:other")


@pytest.mark.parametrize("role", POD_TRUSTS)
def test_only_its_service_account_takes_a_role_by_pod_identity(planned: Mapping[str, Planned], role: str) -> None:
    trust = planned["iam"].trust(f'aws_iam_role.this["{role}"]')
    namespace, name = POD_TRUSTS[role]
    tags = {
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-dev",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": name,
    }

    def taken(action: str = "sts:AssumeRole", **other: str) -> bool:
        changed = {key: other.get(key.rpartition("/")[2].replace("-", "_"), value) for key, value in tags.items()}
        asking = Request(action, "*", changed, ("Service", "pods.eks.amazonaws.com"))
        return decide([trust], asking) is Decision.ALLOWED

    assert taken() == (role != "predictor")
    assert taken("sts:TagSession") == (role != "predictor")
    assert not taken(kubernetes_namespace="default")
    assert not taken(kubernetes_service_account="other")
    assert not taken(eks_cluster_arn=f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-prod")


SUBJECTS: Final = {
    "github_plan": {"pull_request", "ref:refs/heads/main"},
    "github_apply": {"environment:dev"},
    "github_release": {"environment:release"},
    "github_model": {"environment:dev-models"},
}
STRANGERS: Final = (
    "repo:example/psm-operator:ref:refs/heads/feature",
    "repo:example/psm-operator:ref:refs/tags/v1",
    "repo:example/psm-operator:environment:prod",
    "repo:example/psm-operator-fork:environment:dev",
    "repo:somebody/psm-operator:pull_request",
    "repo:somebody/psm-operator:environment:dev",
    "repo:example/psm-operator:environment:dev-models:and-more",
)


@pytest.mark.parametrize("role", SUBJECTS)
def test_only_our_repository_takes_a_role_of_workflows(planned: Mapping[str, Planned], role: str) -> None:
    """And of it only the branch or the environment that the role is for."""
    trust = planned["iam"].trust(f'aws_iam_role.this["{role}"]')
    everybody = {f"repo:example/psm-operator:{subject}" for found in SUBJECTS.values() for subject in found}
    ours = {f"repo:example/psm-operator:{subject}" for subject in SUBJECTS[role]}
    assert {subject for subject in {*everybody, *STRANGERS} if taken_by_token(trust, GITHUB, subject)} == ours
    assert not any(taken_by_token(trust, GITHUB, subject, audience="https://github.com/example") for subject in ours)


def test_nobody_takes_a_role_without_a_condition(planned: Mapping[str, Planned]) -> None:
    """A service's roles are taken for this account only, which keeps other customers of the service out."""
    bare = [
        (name, statement["Sid"])
        for module in planned.values()
        for name, document in module.documents().items()
        if name.endswith(".assume_role_policy")
        for statement in statements(document)
        if not statement.get("Condition") or statement["Principal"] == "*"
    ]
    assert not bare


SERVICE_ROLES: Final = {
    "scheduler": ("scheduler.amazonaws.com", {"aws:SourceArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/mlops-dev"}),
    "machine": ("states.amazonaws.com", {"aws:SourceArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:mlops-dev-training-missing"}),
    "starter": ("events.amazonaws.com", {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/mlops-dev-training-succeeded"}),
}  # fmt: skip


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_only_its_source_takes_a_role_of_a_service(planned: Mapping[str, Planned], role: str) -> None:
    service, source = SERVICE_ROLES[role]
    trust = planned["events"].trust(f"aws_iam_role.{role}")

    def taken(account: str, name: str, **other: str) -> bool:
        context = {"aws:SourceAccount": account, **source, **{f"aws:{key}": value for key, value in other.items()}}
        return decide([trust], Request("sts:AssumeRole", "*", context, ("Service", name))) is Decision.ALLOWED

    assert taken(ACCOUNT, service)
    assert not taken("999999999999", service)
    assert not taken(ACCOUNT, "ec2.amazonaws.com")
    assert not taken(ACCOUNT, service, SourceArn=f"{source['aws:SourceArn']}-2")


TLS: Final = MappingProxyType({"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"})


@pytest.mark.parametrize("bucket", ["lake", "models", "logs"])
def test_buckets_refuse_what_is_not_encrypted_on_its_way(planned: Mapping[str, Planned], bucket: str) -> None:
    policy = planned["lake"].policy(f'aws_s3_bucket_policy.this["{bucket}"]')
    arn = f"arn:aws:s3:::mlops-dev-{bucket}-{ACCOUNT}/a"
    assert decide([policy], Request("s3:GetObject", arn, TLS)) is Decision.SILENT
    for wrong in ({"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}):
        assert decide([policy], Request("s3:GetObject", arn, {**TLS, **wrong})) is Decision.DENIED


@pytest.mark.parametrize("bucket", ["lake", "models"])
def test_buckets_refuse_other_keys(planned: Mapping[str, Planned], bucket: str) -> None:
    """Who names nothing gets the bucket's own key."""
    policy = planned["lake"].policy(f'aws_s3_bucket_policy.this["{bucket}"]')
    header = "s3:x-amz-server-side-encryption"
    cases: dict[tuple[tuple[str, str], ...], Decision] = {
        (): Decision.SILENT,
        ((header, "aws:kms"),): Decision.SILENT,
        ((header, "aws:kms"), (f"{header}-aws-kms-key-id", KEY)): Decision.SILENT,
        ((header, "aws:kms"), (f"{header}-aws-kms-key-id", OTHER_KEY)): Decision.DENIED,
        ((header, "AES256"),): Decision.DENIED,
    }
    for sent, expected in cases.items():
        asking = Request("s3:PutObject", f"arn:aws:s3:::mlops-dev-{bucket}-{ACCOUNT}/a", {**TLS, **dict(sent)})
        assert decide([policy], asking) is expected, sent


def test_the_trail_writes_its_logs_and_nobody_removes_them(planned: Mapping[str, Planned]) -> None:
    policy = planned["lake"].policy('aws_s3_bucket_policy.this["logs"]')
    trail = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/mlops-dev-audit"
    file = f"{LOGS}/cloudtrail/AWSLogs/{ACCOUNT}/a.json.gz"
    sent = {**TLS, "aws:SourceArn": trail, "s3:x-amz-acl": "bucket-owner-full-control"}
    service = ("Service", "cloudtrail.amazonaws.com")
    assert decide([policy], Request("s3:PutObject", file, sent, service)) is Decision.ALLOWED
    other = {**sent, "aws:SourceArn": f"{trail}-2"}
    assert decide([policy], Request("s3:PutObject", file, other, service)) is Decision.SILENT
    removing = Request("s3:DeleteObject", file, {**TLS, "aws:PrincipalIsAWSService": "false"}, ("AWS", f"{ROLE}/admin"))
    assert decide([policy], removing) is Decision.DENIED


def test_only_the_rule_sends_to_the_queue(planned: Mapping[str, Planned]) -> None:
    policy = planned["events"].policy('aws_sqs_queue_policy.this["queue"]')
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/mlops-dev-registry-events"
    tls = {"aws:SecureTransport": "true"}

    def sent(source: str, service: str = "events.amazonaws.com", action: str = "sqs:SendMessage") -> Decision:
        return decide([policy], Request(action, QUEUE, {**tls, "aws:SourceArn": source}, ("Service", service)))

    assert sent(rule) is Decision.ALLOWED
    assert sent(f"{rule}-2") is Decision.SILENT
    assert sent(rule, "sns.amazonaws.com") is Decision.SILENT
    assert sent(rule, action="sqs:ReceiveMessage") is Decision.SILENT


def test_a_secret_is_its_readers_only(planned: Mapping[str, Planned]) -> None:
    policy = planned["secrets"].policy('aws_secretsmanager_secret_policy.this["pager"]')

    def read(role: str, account: str = ACCOUNT) -> Decision:
        context = {
            "aws:PrincipalArn": f"arn:aws:iam::{account}:role/{role}",
            "aws:PrincipalAccount": account,
            "aws:SecureTransport": "true",
        }
        return decide([policy], Request("secretsmanager:GetSecretValue", "*", context, ("AWS", f"{ROLE}/{role}")))

    assert read("mlops-dev-operator") is Decision.SILENT  # its own rights decide
    assert read("admin") is Decision.DENIED
    assert read("mlops-dev-operator", "222222222222") is Decision.DENIED
