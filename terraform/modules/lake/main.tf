# Three buckets: lake (raw/, lake/, training/, feature-store/, athena/), models (registered artifacts) and logs (who read
# what, and the account's trail). Silver, gold and models are encrypted with one key of our own.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  prefix    = "mlops-${var.environment}"
  tags      = { Component = "lake" }

  names = { for key in ["lake", "models", "logs"] : key => "${local.prefix}-${key}-${local.account}" }
  # spelled out, so that policies can be read from a plan
  arns = { for key, name in local.names : key => "arn:${local.partition}:s3:::${name}" }
  data = toset(["lake", "models"])
}

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_144: one region; what is lost with it is trained again from raw files, whose owner keeps them
  # checkov:skip=CKV2_AWS_62: nobody waits for objects; registered versions are told by events of the registry
  # checkov:skip=CKV_AWS_18: lake and models are logged to logs; a log of reading logs would log itself
  # checkov:skip=CKV_AWS_145: lake and models have a key of ours; S3 delivers access logs only to buckets with its own keys
  for_each = local.names

  bucket        = each.value
  force_destroy = var.deletable
  tags          = local.tags
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced" # no ACLs: policies alone decide
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.names

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = contains(local.data, each.key) # one call of KMS for many objects

    apply_server_side_encryption_by_default {
      sse_algorithm     = contains(local.data, each.key) ? "aws:kms" : "AES256"
      kms_master_key_id = contains(local.data, each.key) ? aws_kms_key.lake.arn : null
    }
  }
}

resource "aws_s3_bucket_logging" "this" {
  for_each = local.data

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "s3-access/${each.key}/"

  depends_on = [aws_s3_bucket_policy.this]
}
