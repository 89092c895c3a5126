# The execution role of jobs and pipelines (docs/training-on-aws.md, --role): what a training pod may, the folder of jobs,
# the images, and the jobs that a pipeline starts with the same role.

locals {
  sagemaker_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "SageMaker"
        Effect    = "Allow"
        Principal = { Service = "sagemaker.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })

  # SageMaker names a pipeline's jobs pipelines-<execution>-<step>-<random>; people name theirs as everything here
  job_names = ["pipelines-*", "${local.prefix}-*"]
  jobs = flatten([
    for name in local.job_names : [
      for kind in ["hyper-parameter-tuning-job", "model", "processing-job", "training-job", "transform-job"] :
      "${local.sagemaker}:${kind}/${name}"
    ]
  ])

  run_jobs_statements = [
    {
      Sid    = "RunJobs"
      Effect = "Allow"
      Action = [
        "sagemaker:AddTags",
        "sagemaker:CreateHyperParameterTuningJob",
        "sagemaker:CreateModel",
        "sagemaker:CreateProcessingJob",
        "sagemaker:CreateTrainingJob",
        "sagemaker:CreateTransformJob",
        "sagemaker:DescribeHyperParameterTuningJob",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:DescribeTransformJob",
        "sagemaker:StopHyperParameterTuningJob",
        "sagemaker:StopProcessingJob",
        "sagemaker:StopTrainingJob",
        "sagemaker:StopTransformJob",
      ]
      Resource = local.jobs
    },
    {
      Sid       = "GiveJobsTheirRole"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.iam}:role/${local.role_names["sagemaker"]}"
      Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
    },
  ]

  sagemaker_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        local.read_raw_statement,
        local.list_buckets_statement,
        merge(local.keep_lake_statement, {
          Resource = [for folder in ["feature-store", "lake", "training"] : "${var.lake_bucket_arn}/${folder}/*"]
        }),
        local.write_models_statement,
        merge(local.use_key_statement, { Action = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"] }),
        {
          # volumes of jobs (--kms-key); SageMaker grants itself what it needs
          Sid       = "EncryptVolumes"
          Effect    = "Allow"
          Action    = "kms:CreateGrant"
          Resource  = var.lake_key_arn
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
        {
          Sid      = "PullImages"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [for name in ["mlops/api-price-sensitivity", "mlops/train-price-sensitivity"] : var.repository_arns[name]]
        },
        {
          Sid      = "LogInToTheRegistry"
          Effect   = "Allow"
          Action   = "ecr:GetAuthorizationToken"
          Resource = "*" # the action knows no resources
        },
        {
          Sid    = "WriteLogs"
          Effect = "Allow"
          Action = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = [
            "${local.logs}:log-group:/aws/sagemaker/*",
            "${local.logs}:log-group:/aws/sagemaker/*:log-stream:*",
          ]
        },
        {
          Sid       = "WriteMetrics"
          Effect    = "Allow"
          Action    = "cloudwatch:PutMetricData"
          Resource  = "*" # the action knows no resources
          Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "PSM/Training"] } }
        },
      ],
      local.registry_write_statements,
      local.run_jobs_statements,
    )
  })
}
