# The bucket with Terraform's state of one environment. It comes before everything else, with its own state in a local
# file that then moves into it. A state holds what its resources are made of: the bucket is versioned, encrypted and
# answers through TLS only.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = "PriceSensitivityMLOps"
      Environment = var.environment
      Owner       = "DataTeam"
      CostCenter  = "ML-Platform"
    }
  }
}

data "aws_partition" "current" {}

locals {
  tags       = { Component = "bootstrap" }
  name       = "mlops-${var.environment}-terraform-state-${var.account_id}"
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${local.name}"
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:Who reads the state is in the trail of module audit; access logs would need a bucket before this one.
  #checkov:skip=CKV_AWS_144:One region is what the environment has; a lost state can be imported again.
  #checkov:skip=CKV2_AWS_62:Nobody waits for a state to change.
  bucket = local.name

  tags = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

# S3's use of the account's own key aws/s3: who may read the bucket may read the state, and each read of a key of our
# own would be paid for.
resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket_versioning.state.bucket

  rule {
    id     = "older-states"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.state]
}
