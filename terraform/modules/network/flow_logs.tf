# Who talked to whom, in CloudWatch Logs, encrypted by a key of their own.

locals {
  flow_log_group     = "/aws/vpc/${local.prefix}-network"
  flow_log_group_arn = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.flow_log_group}"

  flow_log_key_policy = jsonencode({
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
        Sid       = "FlowLogs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = { ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = local.flow_log_group_arn } }
      },
    ]
  })

  flow_log_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FlowLogsOfTheAccount"
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ec2:${local.region}:${local.account}:vpc-flow-log/*" }
      }
    }]
  })

  flow_log_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WriteFlowLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = [local.flow_log_group_arn, "${local.flow_log_group_arn}:log-stream:*"]
    }]
  })
}

resource "aws_kms_key" "flow_logs" {
  description             = "Flow logs of ${local.prefix}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.flow_log_key_policy

  tags = merge(local.tags, { Name = "${local.prefix}-flow-logs" })
}

resource "aws_kms_alias" "flow_logs" {
  name          = "alias/${local.prefix}-flow-logs"
  target_key_id = aws_kms_key.flow_logs.key_id
}

resource "aws_cloudwatch_log_group" "flow_logs" {
  # checkov:skip=CKV_AWS_338:how long traffic is kept is the environment's to decide and pay; the trail of API calls is kept by the audit module
  name              = local.flow_log_group
  retention_in_days = var.flow_log_retention_days
  kms_key_id        = aws_kms_key.flow_logs.arn

  tags = local.tags
}

resource "aws_iam_role" "flow_logs" {
  name               = "${local.prefix}-flow-logs"
  description        = "VPC flow logs of ${local.prefix} to CloudWatch Logs"
  assume_role_policy = local.flow_log_trust

  tags = local.tags
}

resource "aws_iam_role_policy" "flow_logs" {
  name   = "${local.prefix}-flow-logs"
  role   = aws_iam_role.flow_logs.id
  policy = local.flow_log_policy
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = var.flow_log_traffic
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow_logs.arn
  iam_role_arn             = aws_iam_role.flow_logs.arn
  max_aggregation_interval = 600 # seconds; the longest there is, and so the fewest records to pay for

  tags = merge(local.tags, { Name = "${local.prefix}-network" })
}
