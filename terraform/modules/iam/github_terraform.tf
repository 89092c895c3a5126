# Workflows that run Terraform. Plan reads how things are, never what is in them. Apply may change what carries this
# environment's name; kinds of things whose ARN has no name are held to this region.

locals {
  state_files = "${var.state_bucket_arn}/${var.environment}/*"

  state_key_statements = var.state_key_arn == null ? [] : [
    {
      Sid      = "DecryptState"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.state_key_arn
    },
  ]

  read_state_statements = [
    {
      Sid      = "FindState"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = var.state_bucket_arn
    },
    {
      Sid      = "ReadState"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = local.state_files
    },
  ]

  describe_statement = {
    Sid    = "SeeHowThingsAre"
    Effect = "Allow"
    Action = [
      "athena:GetWorkGroup",
      "athena:List*",
      "autoscaling:Describe*",
      "budgets:Describe*",
      "budgets:ListTagsForResource",
      "budgets:ViewBudget",
      "cloudtrail:Describe*",
      "cloudtrail:GetEventSelectors",
      "cloudtrail:GetInsightSelectors",
      "cloudtrail:GetTrail*",
      "cloudtrail:List*",
      "cloudwatch:Describe*",
      "cloudwatch:GetDashboard",
      "cloudwatch:List*",
      "ec2:DescribeAddress*",
      "ec2:DescribeAvailabilityZones",
      "ec2:DescribeFlowLogs",
      "ec2:DescribeInternetGateways",
      "ec2:DescribeLaunchTemplate*",
      "ec2:DescribeManagedPrefixLists",
      "ec2:DescribeNatGateways",
      "ec2:DescribeNetwork*",
      "ec2:DescribePrefixLists",
      "ec2:DescribeRouteTables",
      "ec2:DescribeSecurityGroup*",
      "ec2:DescribeSubnets",
      "ec2:DescribeTags",
      "ec2:DescribeVpc*",
      "ec2:GetManagedPrefixListEntries",
      "ecr:Describe*",
      "ecr:GetLifecyclePolicy",
      "ecr:GetRepositoryPolicy",
      "ecr:ListTagsForResource",
      "eks:Describe*",
      "eks:List*",
      "elasticloadbalancing:Describe*",
      "events:Describe*",
      "events:List*",
      "glue:GetDatabase*",
      "glue:GetPartitionIndexes",
      "glue:GetTable*",
      "glue:GetTags",
      "iam:GetOpenIDConnectProvider",
      "iam:GetPolicy*",
      "iam:GetRole*",
      "iam:GetInstanceProfile",
      "iam:ListAttachedRolePolicies",
      "iam:ListInstanceProfilesForRole",
      "iam:ListOpenIDConnectProviders",
      "iam:ListPolicyVersions",
      "iam:ListRolePolicies",
      "kms:DescribeKey",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListAliases",
      "kms:ListResourceTags",
      "logs:Describe*",
      "logs:ListTagsForResource",
      "s3:GetAccelerateConfiguration",
      "s3:GetBucket*",
      "s3:GetEncryptionConfiguration",
      "s3:GetIntelligentTieringConfiguration",
      "s3:GetLifecycleConfiguration",
      "s3:GetMetricsConfiguration",
      "s3:GetReplicationConfiguration",
      "scheduler:Get*",
      "scheduler:ListTagsForResource",
      "secretsmanager:DescribeSecret",
      "secretsmanager:GetResourcePolicy",
      "sns:GetSubscriptionAttributes",
      "sns:GetTopicAttributes",
      "sns:ListSubscriptionsByTopic",
      "sns:ListTagsForResource",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ListQueueTags",
      "states:DescribeStateMachine",
      "states:ListStateMachineVersions",
      "states:ListTagsForResource",
      "states:ValidateStateMachineDefinition",
    ]
    Resource = "*" # most of them know no resources, and a plan must see that a name is not taken
  }

  # whether a bucket is there is asked as HeadBucket, which is judged as a list of its objects
  find_buckets_statement = {
    Sid      = "SeeThatBucketsAreThere"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = "arn:${local.partition}:s3:::${local.prefix}-*"
  }

  github_plan_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.read_state_statements,
      local.state_key_plan_statements,
      [local.describe_statement, local.find_buckets_statement],
    )
  })

  state_key_plan_statements = [for statement in local.state_key_statements : merge(statement, { Action = ["kms:Decrypt"] })]

  # names of this environment, service by service
  own = [
    for name in [
      "athena:${local.region}:${local.account}:workgroup/${local.prefix}-*",
      "budgets::${local.account}:budget/${local.prefix}-*",
      "cloudtrail:${local.region}:${local.account}:trail/${local.prefix}-*",
      "cloudwatch::${local.account}:dashboard/${local.prefix}-*",
      "cloudwatch:${local.region}:${local.account}:alarm:${local.prefix}-*",
      "ecr:${local.region}:${local.account}:repository/mlops/*",
      "eks:${local.region}:${local.account}:access-entry/${local.prefix}/*",
      "eks:${local.region}:${local.account}:addon/${local.prefix}/*",
      "eks:${local.region}:${local.account}:cluster/${local.prefix}",
      "eks:${local.region}:${local.account}:nodegroup/${local.prefix}/*",
      "eks:${local.region}:${local.account}:podidentityassociation/${local.prefix}/*",
      "events:${local.region}:${local.account}:rule/${local.prefix}-*",
      "glue:${local.region}:${local.account}:catalog",
      "glue:${local.region}:${local.account}:database/${local.database}",
      "glue:${local.region}:${local.account}:table/${local.database}/*",
      "logs:${local.region}:${local.account}:log-group:/aws/*/${local.prefix}*",
      "logs:${local.region}:${local.account}:log-group:${local.prefix}-*",
      "logs:${local.region}:${local.account}:log-group:/mlops/${var.environment}/*",
      "scheduler:${local.region}:${local.account}:schedule-group/${local.prefix}",
      "scheduler:${local.region}:${local.account}:schedule/${local.prefix}/*",
      "secretsmanager:${local.region}:${local.account}:secret:${local.prefix}-*",
      "secretsmanager:${local.region}:${local.account}:secret:mlops/${var.environment}/*",
      "sns:${local.region}:${local.account}:${local.prefix}-*",
      "sqs:${local.region}:${local.account}:${local.prefix}-*",
      "states:${local.region}:${local.account}:stateMachine:${local.prefix}-*",
    ] : "arn:${local.partition}:${name}"
  ]

  github_apply_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.read_state_statements, local.state_key_statements, [
      local.describe_statement,
      {
        Sid      = "WriteState"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:PutObject"]
        Resource = local.state_files
      },
      {
        Sid    = "KeepOwnThings"
        Effect = "Allow"
        Action = [
          "athena:*", "budgets:*", "cloudtrail:*", "cloudwatch:*", "ecr:*", "eks:*", "events:*", "glue:*", "logs:*",
          "scheduler:*", "secretsmanager:*", "sns:*", "sqs:*", "states:*",
        ]
        Resource = local.own
      },
      {
        Sid      = "KeepOwnBuckets"
        Effect   = "Allow"
        Action   = ["s3:CreateBucket", "s3:DeleteBucket*", "s3:PutBucket*", "s3:Put*Configuration", "s3:ListBucket*"]
        Resource = "arn:${local.partition}:s3:::${local.prefix}-*"
      },
      {
        # ids of keys, networks and launch templates are random
        Sid       = "KeepKeysAndNetworkOfTheRegion"
        Effect    = "Allow"
        Action    = local.regional_actions
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
      },
      {
        Sid    = "KeepOwnRoles"
        Effect = "Allow"
        Action = [
          "iam:AttachRolePolicy", "iam:CreatePolicy*", "iam:CreateRole", "iam:DeletePolicy*", "iam:DeleteRole*",
          "iam:DetachRolePolicy", "iam:PutRolePolicy", "iam:Tag*", "iam:Untag*", "iam:UpdateAssumeRolePolicy",
          "iam:UpdateRole*",
        ]
        Resource = [for kind in ["policy", "role"] : "${local.iam}:${kind}/${local.prefix}*"]
      },
      {
        Sid       = "GiveRolesToServices"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "${local.iam}:role/${local.prefix}*"
        Condition = { StringEquals = { "iam:PassedToService" = local.services } }
      },
      {
        Sid      = "KeepProvidersOfClusters"
        Effect   = "Allow"
        Action   = ["iam:*OpenIDConnectProvider*"]
        Resource = "${local.iam}:oidc-provider/oidc.eks.${local.region}.amazonaws.com/id/*"
      },
      {
        Sid       = "LetServicesMakeTheirRoles"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "${local.iam}:role/aws-service-role/*"
        Condition = { StringLike = { "iam:AWSServiceName" = ["*.eks.amazonaws.com", "*eks*.amazonaws.com", "autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com"] } }
      },
      {
        # who may run as whom on GitHub is a person's to change; otherwise an approved plan could widen its own role
        Sid    = "LeaveTheRolesOfWorkflows"
        Effect = "Deny"
        Action = ["iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:Put*", "iam:Tag*", "iam:Untag*", "iam:Update*"]
        Resource = [
          "${local.iam}:role/mlops-*-github-*",
          "${local.iam}:oidc-provider/${local.github_issuer}",
        ]
      },
      {
        # the bucket's own root module changes it; its name may begin as this environment's do
        Sid      = "LeaveTheStatesBucket"
        Effect   = "Deny"
        Action   = ["s3:DeleteBucket*", "s3:PutBucket*", "s3:Put*Configuration", "s3:DeleteObjectVersion"]
        Resource = [var.state_bucket_arn, "${var.state_bucket_arn}/*"]
      },
      {
        Sid      = "LeaveWhatSecretsHold"
        Effect   = "Deny"
        Action   = ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "secretsmanager:PutSecretValue"]
        Resource = "*"
      },
    ])
  })

  services = [
    "ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com", "scheduler.amazonaws.com",
    "vpc-flow-logs.amazonaws.com", "events.amazonaws.com", "states.amazonaws.com",
  ]

  regional_actions = [
    "autoscaling:*ScheduledAction*", "autoscaling:PutScheduledUpdateGroupAction", "autoscaling:*Tags",
    "ec2:*Address*", "ec2:*FlowLogs", "ec2:*InternetGateway", "ec2:*LaunchTemplate*", "ec2:*NetworkAcl*", "ec2:*Route*",
    "ec2:*SecurityGroup*", "ec2:*Subnet*", "ec2:*Tags", "ec2:*Vpc*", "ec2:RunInstances",
    "kms:*Alias", "kms:CreateKey", "kms:EnableKey*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
    "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription", "kms:CreateGrant",
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DeleteQueryDefinition", "logs:PutQueryDefinition", "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "cloudwatch:TagResource", "scheduler:TagResource",
    "eks:CreateCluster", # AWS's reference knows no resource of it
  ]
}
