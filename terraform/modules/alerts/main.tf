# Whom an alarm tells: one topic for the environment, encrypted, open to the services that publish and to nobody else.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  prefix    = "mlops-${var.environment}"
  tags      = { Component = "alerts" }
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  topic_name = "${local.prefix}-alerts"
  topic_arn  = "arn:${local.partition}:sns:${local.region}:${local.account}:${local.topic_name}"

  # Each service with the ARNs that it publishes for; budgets are global and have no region.
  publishers = {
    "budgets.amazonaws.com"    = "arn:${local.partition}:budgets::${local.account}:*"
    "cloudwatch.amazonaws.com" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:*"
    "events.amazonaws.com"     = "arn:${local.partition}:events:${local.region}:${local.account}:rule/*"
  }

  key_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      # No aws:SourceAccount here: EventBridge does not send it to KMS, and its messages would be lost without a word.
      # The topic's policy asks for it.
      [for service in sort(keys(local.publishers)) : {
        Sid       = "Encrypt${title(split(".", service)[0])}"
        Effect    = "Allow"
        Principal = { Service = service }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
      }],
    )
  }

  topic_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [for service, source in local.publishers : {
        Sid       = "Publish${title(split(".", service)[0])}"
        Effect    = "Allow"
        Principal = { Service = service }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = source }
        }
      }],
      [{
        Sid       = "OnlyTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
    )
  }
}

# A key of our own: the services that publish cannot use the AWS managed key of SNS.
resource "aws_kms_key" "alerts" {
  description             = "Alerts of ${var.environment}: messages of the topic ${local.topic_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7 # alerts are kept nowhere else, so nothing is lost with the key
  policy                  = jsonencode(local.key_policy)

  tags = merge(local.tags, { Name = local.topic_name })
}

resource "aws_kms_alias" "alerts" {
  name          = "alias/${local.topic_name}"
  target_key_id = aws_kms_key.alerts.key_id
}

resource "aws_sns_topic" "alerts" {
  name              = local.topic_name
  display_name      = "Price sensitivity ${var.environment}"
  kms_master_key_id = aws_kms_key.alerts.arn

  tags = local.tags
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = jsonencode(local.topic_policy)
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}
