# Storage classes and ends of life. Whatever the bucket: a version that was replaced goes, and so do uploads that broke off.

locals {
  rules = {
    lake = [
      { id = "raw", prefix = "raw/", tier_days = var.raw_tiering_days, glacier_days = null, expiry_days = var.raw_expiry_days },
      { id = "jobs", prefix = "training/", tier_days = null, glacier_days = null, expiry_days = var.job_output_days },
      { id = "athena", prefix = "athena/", tier_days = null, glacier_days = null, expiry_days = 14 }, # asked again in seconds
    ]
    models = []
    logs = [
      { id = "logs", prefix = "", tier_days = null, glacier_days = var.log_glacier_days, expiry_days = var.log_expiry_days },
    ]
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
  }

  dynamic "rule" {
    for_each = local.rules[each.key]

    content {
      id     = rule.value.id
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      dynamic "transition" {
        for_each = rule.value.tier_days == null ? [] : [rule.value.tier_days]

        content {
          days          = transition.value
          storage_class = "INTELLIGENT_TIERING"
        }
      }

      dynamic "transition" {
        for_each = rule.value.glacier_days == null ? [] : [rule.value.glacier_days]

        content {
          days          = transition.value
          storage_class = "GLACIER"
        }
      }

      dynamic "expiration" {
        for_each = rule.value.expiry_days == null ? [] : [rule.value.expiry_days]

        content {
          days = expiration.value
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
