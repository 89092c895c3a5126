"""What each role of `terraform/modules/iam` must be able to do, and what it must not: the tables of the policy tests.

The accounts, buckets and groups are those of the modules' own tests.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from iam_policies import Request

ACCOUNT: Final = "111111111111"
REGION: Final = "ap-southeast-1"
MODELS: Final = f"arn:aws:s3:::mlops-dev-models-{ACCOUNT}"
LAKE: Final = f"arn:aws:s3:::mlops-dev-lake-{ACCOUNT}"
LOGS: Final = f"arn:aws:s3:::mlops-dev-logs-{ACCOUNT}"
STATE: Final = f"arn:aws:s3:::mlops-terraform-state-{ACCOUNT}"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000001"
OTHER_KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-00000000ffff"
SAGEMAKER: Final = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
GROUP: Final = f"{SAGEMAKER}:model-package-group/price-sensitivity"
PACKAGE: Final = f"{SAGEMAKER}:model-package/price-sensitivity/17"
UPPER_CASE_GROUP: Final = f"{SAGEMAKER}:model-package/Weekly-UK/3"
LOWERED_GROUP: Final = f"{SAGEMAKER}:model-package/weekly-uk/3"
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

EC2: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
NETWORK_READS: Final = (
    "DescribeDhcpOptions", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs",
)  # fmt: skip
INTERFACE_WRITES: Final = (
    "CreateNetworkInterfacePermission", "DeleteNetworkInterface", "DeleteNetworkInterfacePermission",
)  # fmt: skip
"""Of jobs in a VPC, as SageMaker's developer guide lists them ("Give SageMaker AI Access to Resources in your Amazon VPC")."""

Context = Mapping[str, str | tuple[str, ...]]
Row = tuple[str, str] | tuple[str, str, Context]

REGISTRY_READS: Final[tuple[Row, ...]] = (
    ("sagemaker:ListModelPackages", PACKAGE),
    ("sagemaker:DescribeModelPackageGroup", GROUP),
    ("sagemaker:DescribeModelPackage", PACKAGE),
    ("sagemaker:DescribeModelPackage", UPPER_CASE_GROUP),
    ("sagemaker:DescribeModelPackage", LOWERED_GROUP),
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
        ("s3:GetBucketAcl", LAKE),
        ("s3:PutObjectAcl", f"{LAKE}/feature-store/{ACCOUNT}/sagemaker/0a.parquet"),
        *((f"ec2:{action}", "*") for action in NETWORK_READS),
        *(
            ("ec2:CreateNetworkInterface", f"{EC2}:{kind}/a")
            for kind in ("network-interface", "security-group", "subnet")
        ),
        *((f"ec2:{action}", f"{EC2}:network-interface/eni-1") for action in INTERFACE_WRITES),
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
        ("s3:ListBucket", LAKE),
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
        ("eks:CreateCluster", "*", IN_REGION),
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
        ("sagemaker:CreatePipeline", f"{SAGEMAKER}:pipeline/mlops-dev-training"),
        ("sagemaker:DescribePipeline", f"{SAGEMAKER}:pipeline/mlops-dev-training"),
        ("sagemaker:UpdatePipeline", f"{SAGEMAKER}:pipeline/mlops-dev-training"),
        ("sagemaker:StartPipelineExecution", f"{SAGEMAKER}:pipeline/mlops-dev-training"),
        ("sagemaker:DescribePipelineExecution", f"{SAGEMAKER}:pipeline/mlops-dev-training/execution/abc"),
        (
            "cloudwatch:PutMetricAlarm",
            f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:mlops-dev-training-failed",
            TO_TOPIC,
        ),
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


def request_of(row: Row) -> Request:
    """A row of the tables above."""
    return Request(row[0], row[1], row[2] if len(row) == 3 else {})  # with a context
