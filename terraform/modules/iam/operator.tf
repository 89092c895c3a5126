# What operator/src/psm_operator/adapters call; docs/aws-access.md says why each. spec.monitoring.cloudWatch is the only
# thing that it writes, and only below this environment's names.

locals {
  operator_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.registry_read_statements,
      [
        {
          Sid      = "ReadArtifactsAndEvaluations"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = local.models
        },
        {
          # a HEAD of a missing object asks for it and tells no prefix, so there is no condition
          Sid      = "TellMissingFromForbidden"
          Effect   = "Allow"
          Action   = "s3:ListBucket"
          Resource = var.models_bucket_arn
        },
        {
          Sid      = "DecryptArtifacts"
          Effect   = "Allow"
          Action   = "kms:Decrypt"
          Resource = var.lake_key_arn
        },
        {
          Sid      = "ReadMetrics"
          Effect   = "Allow"
          Action   = "cloudwatch:GetMetricData"
          Resource = "*" # the action knows no resources
        },
        {
          Sid      = "TakeRegistryEvents"
          Effect   = "Allow"
          Action   = ["sqs:DeleteMessage", "sqs:ReceiveMessage"]
          Resource = var.events_queue_arn
        },
      ],
      local.operator_cloudwatch_statements,
      [for id in var.model_package_account_ids : {
        Sid      = "AssumeReaderOf${id}"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = "arn:${local.partition}:iam::${id}:role/${local.prefix}-registry-reader"
      }],
    )
  })

  registry_read_statements = [
    {
      Sid      = "ReadModelPackageGroups"
      Effect   = "Allow"
      Action   = "sagemaker:DescribeModelPackageGroup"
      Resource = local.groups
    },
    {
      # a list of a group is about its versions, says AWS's reference
      Sid      = "ReadModelPackages"
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
      Resource = local.packages
    },
  ]

  operator_cloudwatch_statements = [
    {
      # a model may name no other action: neither another topic nor an instance to stop
      Sid       = "WriteAlarmsOfModels"
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricAlarm"
      Resource  = "${local.cloudwatch}:alarm:${local.prefix}-*"
      Condition = { "ForAllValues:StringEquals" = { "cloudwatch:AlarmActions" = [var.alerts_topic_arn] } }
    },
    {
      Sid      = "TagAlarmsOfModels"
      Effect   = "Allow"
      Action   = ["cloudwatch:ListTagsForResource", "cloudwatch:TagResource"]
      Resource = "${local.cloudwatch}:alarm:${local.prefix}-*"
    },
    {
      Sid       = "DeleteOwnAlarms"
      Effect    = "Allow"
      Action    = "cloudwatch:DeleteAlarms"
      Resource  = "${local.cloudwatch}:alarm:${local.prefix}-*"
      Condition = { StringEquals = { "aws:ResourceTag/ManagedBy" = "psm-operator" } }
    },
    {
      # what Terraform declares has a Component, and names of the same environment
      Sid       = "LeaveAlarmsOfThePlatform"
      Effect    = "Deny"
      Action    = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"]
      Resource  = "*"
      Condition = { Null = { "aws:ResourceTag/Component" = "false" } }
    },
    {
      Sid      = "ReadAlarms"
      Effect   = "Allow"
      Action   = "cloudwatch:DescribeAlarms"
      Resource = "${local.cloudwatch}:alarm:*" # asked by a prefix of names, which is judged as all of them
    },
    {
      Sid      = "KeepDashboardsOfModels"
      Effect   = "Allow"
      Action   = ["cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"]
      Resource = "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${local.prefix}-*"
    },
    {
      Sid      = "SeeWhetherTheTopicIsThere"
      Effect   = "Allow"
      Action   = "sns:GetTopicAttributes"
      Resource = var.alerts_topic_arn
    },
  ]
}
