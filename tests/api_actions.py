"""Which rights an operation of an API is judged by: most have the operation's own name, and AWS's reference knows those.

Called by the tests of roles that Terraform runs as. The others are listed here by where AWS says so; an operation that is
neither in the reference nor here is an error, so that a new call of the provider cannot pass unasked.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from policy_sentry.querying.actions import get_action_data

PREFIXES: Final[Mapping[str, str]] = {"monitoring": "cloudwatch"}
"""Name in a signature -> prefix of actions, where they differ."""

NAMED_OTHERWISE: Final[Mapping[str, tuple[str, ...]]] = {
    # Amazon S3 user guide, "Required permissions for Amazon S3 API operations"
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketMetricsConfiguration": ("s3:PutMetricsConfiguration",),
    "s3:DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3:DeleteBucketTagging": ("s3:PutBucketTagging",),
    "s3:DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:GetBucketAccelerateConfiguration": ("s3:GetAccelerateConfiguration",),
    "s3:GetBucketCors": ("s3:GetBucketCORS",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketMetricsConfiguration": ("s3:GetMetricsConfiguration",),
    "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "s3:GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketMetricsConfiguration": ("s3:PutMetricsConfiguration",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    # AWS Cost Management user guide, "Using identity-based policies": budgets are viewed or modified
    "budgets:CreateBudget": ("budgets:ModifyBudget",),
    "budgets:DeleteBudget": ("budgets:ModifyBudget",),
    "budgets:DescribeBudget": ("budgets:ViewBudget",),
    "budgets:DescribeNotificationsForBudget": ("budgets:ViewBudget",),
    "budgets:DescribeSubscribersForNotification": ("budgets:ViewBudget",),
    "budgets:CreateNotification": ("budgets:ModifyBudget",),
    # needs no right (AWS STS API reference, GetCallerIdentity)
    "sts:GetCallerIdentity": (),
}

BY_TAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "athena:CreateWorkGroup": ("athena:TagResource",),
    "budgets:CreateBudget": ("budgets:TagResource",),
    "cloudtrail:CreateTrail": ("cloudtrail:AddTags",),
    "cloudwatch:PutMetricAlarm": ("cloudwatch:TagResource",),
    "ec2:CreateFlowLogs": ("ec2:CreateTags", "iam:PassRole"),
    "ec2:CreateLaunchTemplate": ("ec2:CreateTags",),
    "ec2:CreateSecurityGroup": ("ec2:CreateTags",),
    "ec2:CreateSubnet": ("ec2:CreateTags",),
    "ec2:CreateVpc": ("ec2:CreateTags",),
    "ec2:CreateVpcEndpoint": ("ec2:CreateTags",),
    "ecr:CreateRepository": ("ecr:TagResource",),
    "eks:CreateAddon": ("eks:TagResource", "iam:PassRole"),
    "eks:CreateCluster": ("eks:TagResource", "iam:PassRole"),
    "eks:CreateNodegroup": ("eks:TagResource", "iam:PassRole"),
    "eks:CreatePodIdentityAssociation": ("eks:TagResource", "iam:PassRole"),
    "events:PutRule": ("events:TagResource",),
    "events:PutTargets": ("iam:PassRole",),
    "glue:CreateDatabase": ("glue:TagResource",),
    "iam:CreateOpenIDConnectProvider": ("iam:TagOpenIDConnectProvider",),
    "iam:CreateRole": ("iam:TagRole",),
    "kms:CreateKey": ("kms:TagResource",),
    "logs:CreateLogGroup": ("logs:TagResource",),
    "scheduler:CreateSchedule": ("iam:PassRole",),
    "scheduler:CreateScheduleGroup": ("scheduler:TagResource",),
    "secretsmanager:CreateSecret": ("secretsmanager:TagResource",),
    "sns:CreateTopic": ("sns:TagResource",),
    "sqs:CreateQueue": ("sqs:TagQueue",),
    "states:CreateStateMachine": ("states:TagResource", "iam:PassRole"),
}
"""What an operation is judged by beside its own action, since everything of ours is tagged and some are given a role."""


def actions_of(operation: str) -> set[str]:
    """Return the rights that a call needs, from service and operation as the emulator notes them.

    Raises:
        LookupError: Nobody says which.
    """
    service, _, name = operation.partition(":")
    action = f"{PREFIXES.get(service, service)}:{name}"
    if action in NAMED_OTHERWISE:
        own = set(NAMED_OTHERWISE[action])
    elif is_action(action):
        own = {action}
    else:
        raise LookupError(f"{action} is no action of AWS's reference; say in tests/api_actions.py what it is judged by")
    return own | set(BY_TAGS.get(action, ()))


@cache
def is_action(action: str) -> bool:
    """Tell whether AWS's service authorization reference has an action."""
    service, _, name = action.partition(":")
    return bool(get_action_data(service, name))
