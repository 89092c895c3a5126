# Who did what in the account: one trail of all regions, sealed by digests, encrypted with a key of its own, and who read or
# wrote which artifact. AWS Config is left out: it bills every change of every resource, and plans already show drift.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  name      = "mlops-${var.environment}-audit"
  tags      = { Component = "audit" }

  # spelled out: the key's policy names the trail, which names the key
  trail_arn = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${local.name}"

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # IAM decides within the account; without this statement nobody could ever change the key
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "TrailEncrypts"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "kms:GenerateDataKey*"
        Resource  = "*"
        Condition = {
          StringEquals = { "aws:SourceArn" = local.trail_arn }
          StringLike   = { "kms:EncryptionContext:aws:cloudtrail:arn" = "arn:${local.partition}:cloudtrail:*:${local.account}:trail/*" }
        }
      },
      {
        Sid       = "TrailLooksAtTheKey"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "kms:DescribeKey"
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
    ]
  })
}

resource "aws_kms_key" "audit" {
  description             = "${local.name}: the account's trail"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_policy
  tags                    = local.tags
}

resource "aws_kms_alias" "audit" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.audit.key_id
}

resource "aws_cloudtrail" "this" {
  # checkov:skip=CKV2_AWS_10: a copy in CloudWatch Logs costs 0.70 dollars a gigabyte; Athena asks the bucket when somebody asks
  # checkov:skip=CKV_AWS_252: a message per file delivered is read by nobody
  name                          = local.name
  s3_bucket_name                = var.logs_bucket
  s3_key_prefix                 = "cloudtrail"
  kms_key_id                    = aws_kms_key.audit.arn
  enable_log_file_validation    = true
  include_global_service_events = true
  is_multi_region_trail         = true
  tags                          = local.tags

  advanced_event_selector {
    name = "what is done to the account"

    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  advanced_event_selector {
    name = "every read and write of artifacts"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }

    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }

    field_selector {
      field       = "resources.ARN"
      starts_with = ["${var.models_bucket_arn}/"]
    }
  }

  advanced_event_selector {
    name = "writes and deletions of raw files"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }

    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }

    field_selector {
      field  = "readOnly"
      equals = ["false"]
    }

    field_selector {
      field       = "resources.ARN"
      starts_with = ["${var.lake_bucket_arn}/raw/"]
    }
  }
}
