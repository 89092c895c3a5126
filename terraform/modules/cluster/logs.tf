# One key for the cluster's secrets and its logs, and the log groups, made here so that they do not keep everything for
# ever, as they would if EKS or the agent made them.

locals {
  logs          = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"
  control_plane = "/aws/eks/${local.name}/cluster"
  containers    = "/aws/containerinsights/${local.name}"

  # Names that the add-on's agents write to, and ours of the predictor's metrics.
  container_logs = var.container_insights ? toset(["application", "dataplane", "host", "performance", "predictor"]) : toset([])

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AccountByItsPolicies"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "LogsOfTheCluster"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = [
              "${local.logs}:${local.control_plane}",
              "${local.logs}:${local.containers}/*",
            ]
          }
        }
      },
    ]
  })
}

resource "aws_kms_key" "cluster" {
  description             = "Secrets and logs of the cluster ${local.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_policy

  tags = merge(local.tags, { Name = "${local.name}-cluster" })
}

resource "aws_kms_alias" "cluster" {
  name          = "alias/${local.name}-cluster"
  target_key_id = aws_kms_key.cluster.key_id
}

resource "aws_cloudwatch_log_group" "control_plane" {
  # checkov:skip=CKV_AWS_338:how long it is kept is the environment's to decide and pay; the trail of API calls is kept by the audit module
  name              = local.control_plane
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.cluster.arn

  tags = local.tags
}

resource "aws_cloudwatch_log_group" "containers" {
  # checkov:skip=CKV_AWS_338:how long it is kept is the environment's to decide and pay; the trail of API calls is kept by the audit module
  for_each = local.container_logs

  name              = "${local.containers}/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.cluster.arn

  tags = local.tags
}
