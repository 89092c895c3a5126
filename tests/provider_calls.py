"""What the AWS provider (5.100) calls for types that the emulator cannot take, as the provider's own source has them.

Types that the emulator takes are not here: their calls are recorded while Terraform runs (test_terraform_emulator.py).
"""

from collections.abc import Mapping
from typing import Final

_TAGS_OF_SERVICES: Final = {"events": "events:ListTagsForResource", "sqs": "sqs:ListQueueTags"}

READS: Final[Mapping[str, tuple[str, ...]]] = {
    "aws_autoscaling_group_tag": ("autoscaling:DescribeTags",),
    "aws_autoscaling_schedule": ("autoscaling:DescribeScheduledActions",),
    "aws_budgets_budget": (
        "budgets:DescribeBudget", "budgets:DescribeNotificationsForBudget", "budgets:DescribeSubscribersForNotification",
        "budgets:ListTagsForResource",
    ),
    "aws_cloudwatch_event_rule": ("events:DescribeRule", _TAGS_OF_SERVICES["events"]),
    "aws_cloudwatch_event_target": ("events:ListTargetsByRule",),
    "aws_cloudwatch_metric_alarm": ("monitoring:DescribeAlarms", "monitoring:ListTagsForResource"),
    "aws_cloudwatch_query_definition": ("logs:DescribeQueryDefinitions",),
    "aws_eks_access_entry": ("eks:DescribeAccessEntry",),
    "aws_eks_access_policy_association": ("eks:ListAssociatedAccessPolicies",),
    "aws_eks_addon": ("eks:DescribeAddon",),
    "aws_eks_cluster": ("eks:DescribeCluster",),
    "aws_eks_node_group": ("eks:DescribeNodegroup",),
    "aws_eks_pod_identity_association": ("eks:DescribePodIdentityAssociation",),
    "aws_iam_role_policy_attachment": ("iam:ListAttachedRolePolicies",),
    "aws_launch_template": ("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"),
    "aws_s3_bucket_lifecycle_configuration": ("s3:GetBucketLifecycleConfiguration",),
    "aws_s3_bucket_logging": ("s3:GetBucketLogging",),
    "aws_s3_bucket_metric": ("s3:GetBucketMetricsConfiguration",),
    "aws_scheduler_schedule": ("scheduler:GetSchedule",),
    "aws_scheduler_schedule_group": ("scheduler:GetScheduleGroup", "scheduler:ListTagsForResource"),
    "aws_sfn_state_machine": (
        "states:DescribeStateMachine", "states:ListStateMachineVersions", "states:ListTagsForResource",
        "states:ValidateStateMachineDefinition",
    ),
    "aws_sqs_queue": ("sqs:GetQueueAttributes", _TAGS_OF_SERVICES["sqs"]),
    "aws_sqs_queue_policy": ("sqs:GetQueueAttributes",),
}  # fmt: skip
"""Called by every plan of a state that has one."""

WRITES: Final[Mapping[str, tuple[str, ...]]] = {
    "aws_autoscaling_group_tag": ("autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags"),
    "aws_autoscaling_schedule": ("autoscaling:PutScheduledUpdateGroupAction", "autoscaling:DeleteScheduledAction"),
    "aws_budgets_budget": ("budgets:CreateBudget", "budgets:CreateNotification", "budgets:DeleteBudget"),
    "aws_cloudwatch_event_rule": ("events:PutRule", "events:DeleteRule"),
    "aws_cloudwatch_event_target": ("events:PutTargets", "events:RemoveTargets"),
    "aws_cloudwatch_metric_alarm": ("monitoring:PutMetricAlarm", "monitoring:DeleteAlarms"),
    "aws_cloudwatch_query_definition": ("logs:PutQueryDefinition", "logs:DeleteQueryDefinition"),
    "aws_eks_access_entry": ("eks:CreateAccessEntry", "eks:UpdateAccessEntry", "eks:DeleteAccessEntry"),
    "aws_eks_access_policy_association": ("eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy"),
    "aws_eks_addon": ("eks:CreateAddon", "eks:UpdateAddon", "eks:DeleteAddon", "eks:DescribeUpdate"),
    "aws_eks_cluster": (
        "eks:CreateCluster", "eks:UpdateClusterConfig", "eks:UpdateClusterVersion", "eks:DescribeUpdate", "eks:DeleteCluster",
    ),
    "aws_eks_node_group": (
        "eks:CreateNodegroup", "eks:UpdateNodegroupConfig", "eks:UpdateNodegroupVersion", "eks:DescribeUpdate",
        "eks:DeleteNodegroup",
    ),
    "aws_eks_pod_identity_association": (
        "eks:CreatePodIdentityAssociation", "eks:UpdatePodIdentityAssociation", "eks:DeletePodIdentityAssociation",
    ),
    "aws_iam_role_policy_attachment": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "aws_launch_template": (
        "ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate", "ec2:DeleteLaunchTemplate",
        "ec2:RunInstances",  # EKS tries the template with the caller's rights
    ),
    "aws_s3_bucket_lifecycle_configuration": ("s3:PutBucketLifecycleConfiguration", "s3:DeleteBucketLifecycle"),
    "aws_s3_bucket_logging": ("s3:PutBucketLogging",),
    "aws_s3_bucket_metric": ("s3:PutBucketMetricsConfiguration", "s3:DeleteBucketMetricsConfiguration"),
    "aws_scheduler_schedule": ("scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"),
    "aws_scheduler_schedule_group": ("scheduler:CreateScheduleGroup", "scheduler:DeleteScheduleGroup"),
    "aws_sfn_state_machine": ("states:CreateStateMachine", "states:UpdateStateMachine", "states:DeleteStateMachine"),
    "aws_sqs_queue": ("sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:DeleteQueue"),
    "aws_sqs_queue_policy": ("sqs:SetQueueAttributes",),
}  # fmt: skip
"""Called by an apply that makes, changes or removes one."""
