# Training as a pod (charts/psm-training) and ETL. The lake bucket's folders are raw/ (what came, never changed), lake/
# (silver, gold, quarantine), training/ (what jobs leave), feature-store/ (written by SageMaker) and athena/ (results).

locals {
  features = [for name in ["basket-features-*", "household-history"] : "${local.sagemaker}:feature-group/${name}"]

  read_raw_statement = {
    Sid      = "ReadRawFiles"
    Effect   = "Allow"
    Action   = "s3:GetObject"
    Resource = "${var.lake_bucket_arn}/raw/*"
  }

  list_buckets_statement = {
    Sid      = "ListBuckets"
    Effect   = "Allow"
    Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
    Resource = [var.lake_bucket_arn, var.models_bucket_arn]
  }

  keep_lake_statement = {
    Sid      = "KeepTheLake"
    Effect   = "Allow"
    Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    Resource = "${var.lake_bucket_arn}/lake/*"
  }

  # without deletion: what was registered stays, and so does the lease of approvals
  write_models_statement = {
    Sid      = "WriteModels"
    Effect   = "Allow"
    Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    Resource = local.models
  }

  use_key_statement = {
    Sid      = "UseTheKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.lake_key_arn
  }

  registry_write_statements = concat(local.registry_read_statements, [
    {
      Sid      = "MakeModelPackageGroups"
      Effect   = "Allow"
      Action   = "sagemaker:CreateModelPackageGroup"
      Resource = local.groups
    },
    {
      Sid      = "RegisterAndApprove"
      Effect   = "Allow"
      Action   = ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"]
      Resource = concat(local.groups, local.packages)
    },
  ])

  feature_store_statements = [
    {
      Sid    = "KeepFeatures"
      Effect = "Allow"
      Action = [
        "sagemaker:BatchGetRecord",
        "sagemaker:CreateFeatureGroup",
        "sagemaker:DeleteRecord",
        "sagemaker:DescribeFeatureGroup",
        "sagemaker:PutRecord",
      ]
      Resource = local.features
    },
    {
      Sid       = "LetSageMakerWriteTheOfflineStore"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.iam}:role/${local.role_names["sagemaker"]}"
      Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
    },
  ]

  training_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        local.read_raw_statement,
        local.list_buckets_statement,
        local.keep_lake_statement,
        local.write_models_statement,
        local.use_key_statement,
      ],
      local.registry_write_statements,
      local.feature_store_statements,
    )
  })

  etl_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.read_raw_statement,
      merge(local.list_buckets_statement, { Sid = "ListTheLake", Resource = [var.lake_bucket_arn] }),
      local.keep_lake_statement,
      local.use_key_statement,
      {
        Sid      = "ReadTheCatalog"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"]
        Resource = local.catalog
      },
      {
        Sid    = "AskAthena"
        Effect = "Allow"
        Action = [
          "athena:GetQueryExecution",
          "athena:GetQueryResults",
          "athena:GetWorkGroup",
          "athena:StartQueryExecution",
          "athena:StopQueryExecution",
        ]
        Resource = "arn:${local.partition}:athena:${local.region}:${local.account}:workgroup/${local.prefix}-lake"
      },
      {
        Sid      = "KeepResultsOfAthena"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = "${var.lake_bucket_arn}/athena/*"
      },
    ]
  })

  glue     = "arn:${local.partition}:glue:${local.region}:${local.account}"
  database = "mlops_${var.environment}"
  catalog = [
    "${local.glue}:catalog",
    "${local.glue}:database/${local.database}",
    "${local.glue}:table/${local.database}/*",
  ]
}
