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
        {
          # as AWS's policy AmazonSageMakerFeatureStoreAccess has it
          Sid      = "FindWhoOwnsTheOfflineStore"
          Effect   = "Allow"
          Action   = "s3:GetBucketAcl"
          Resource = var.lake_bucket_arn
        },
        {
          Sid      = "GiveTheOfflineStoreToItsBucket"
          Effect   = "Allow"
          Action   = "s3:PutObjectAcl"
          Resource = "${var.lake_bucket_arn}/feature-store/*"
        },
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
          Sid    = "PullImages"
          Effect = "Allow"
          Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = flatten([for name in ["mlops/api-price-sensitivity", "mlops/train-price-sensitivity"] : concat(
            [var.repository_arns[name]],
            [for id in var.image_account_ids : "arn:${local.partition}:ecr:${local.region}:${id}:repository/${name}"],
          )])
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
      local.vpc_statements,
    )
  })

  ec2 = "arn:${local.partition}:ec2:${local.region}:${local.account}"

  # jobs in the VPC (psm-train's --subnet): the role itself brings their network interfaces and takes them away
  vpc_statements = [
    {
      Sid      = "SeeTheNetworkOfJobs"
      Effect   = "Allow"
      Action   = [for kind in ["DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs"] : "ec2:Describe${kind}"]
      Resource = "*" # the actions know no resources
    },
    {
      Sid      = "BringInterfacesOfJobs"
      Effect   = "Allow"
      Action   = "ec2:CreateNetworkInterface"
      Resource = [for kind in ["network-interface", "security-group", "subnet"] : "${local.ec2}:${kind}/*"]
    },
    {
      Sid      = "LendAndRemoveInterfacesOfJobs"
      Effect   = "Allow"
      Action   = ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"]
      Resource = "${local.ec2}:network-interface/*"
    },
  ]
}
