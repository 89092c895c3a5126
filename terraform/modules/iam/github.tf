# Workflows of one GitHub repository, without a stored key: GitHub signs who runs, and each role takes only what fits it.
# What may touch anything runs in a GitHub environment, whose reviewers approve it.

locals {
  github_issuer       = "token.actions.githubusercontent.com"
  github_provider_arn = coalesce(var.github_oidc_provider_arn, "${local.iam}:oidc-provider/${local.github_issuer}")

  # A repository made, renamed or transferred since mid-2026 signs with the ids of owner and repository too, which nobody
  # takes over with a name that became free.
  github_names = concat([var.github_repository], [
    for ids in var.github_ids[*] :
    format("%s@%s/%s@%s", split("/", var.github_repository)[0], ids.owner, split("/", var.github_repository)[1], ids.repository)
  ])

  github_subjects = {
    github_plan    = ["pull_request", "ref:refs/heads/${var.github_branch}"]
    github_apply   = ["environment:${var.environment}"]
    github_release = ["environment:release"]
    github_model   = ["environment:${var.environment}-models"]
  }

  github_trusts = {
    for role, subjects in local.github_subjects : role => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Workflows"
          Effect    = "Allow"
          Principal = { Federated = local.github_provider_arn }
          Action    = "sts:AssumeRoleWithWebIdentity"
          Condition = {
            StringEquals = {
              "${local.github_issuer}:aud" = "sts.amazonaws.com"
              "${local.github_issuer}:sub" = flatten([for name in local.github_names : [for subject in subjects : "repo:${name}:${subject}"]])
            }
          }
        },
      ]
    })
  }

  github_release_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "LogInToTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*" # the action knows no resources
      },
      {
        Sid    = "PushImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:DescribeImageScanFindings",
          "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = values(var.repository_arns)
      },
    ]
  })

  # validate -> train -> register -> approve -> wait until the cluster serves it
  github_model_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.registry_write_statements,
      local.run_jobs_statements,
      [
        local.write_models_statement,
        merge(local.list_buckets_statement, { Sid = "ListBuckets" }),
        merge(local.keep_lake_statement, { Sid = "KeepWhatJobsLeave", Resource = "${var.lake_bucket_arn}/training/*" }),
        local.read_raw_statement,
        local.use_key_statement,
        {
          Sid    = "KeepPipelines"
          Effect = "Allow"
          Action = [
            "sagemaker:CreatePipeline",
            "sagemaker:DescribePipeline",
            "sagemaker:DescribePipelineExecution",
            "sagemaker:ListPipelineExecutionSteps",
            "sagemaker:StartPipelineExecution",
            "sagemaker:StopPipelineExecution",
            "sagemaker:UpdatePipeline",
          ]
          Resource = ["${local.sagemaker}:pipeline/${local.prefix}-*", "${local.sagemaker}:pipeline/${local.prefix}-*/execution/*"]
        },
        {
          # psm-train pipeline --alarm-topic
          Sid       = "WriteAlarmsOfPipelines"
          Effect    = "Allow"
          Action    = "cloudwatch:PutMetricAlarm"
          Resource  = "${local.cloudwatch}:alarm:${local.prefix}-training*"
          Condition = { "ForAllValues:StringEquals" = { "cloudwatch:AlarmActions" = [var.alerts_topic_arn] } }
        },
        {
          Sid      = "FindTheCluster"
          Effect   = "Allow"
          Action   = "eks:DescribeCluster"
          Resource = local.cluster_arn
        },
      ],
    )
  })
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.github_issuer}"
  client_id_list = ["sts.amazonaws.com"]
  tags           = local.tags
}
