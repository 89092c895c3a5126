resource "aws_kms_key" "lake" {
  description             = "${local.prefix}: lake and models"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_policy
  tags                    = local.tags
}

resource "aws_kms_alias" "lake" {
  name          = "alias/${local.prefix}-lake"
  target_key_id = aws_kms_key.lake.key_id
}

locals {
  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          # IAM decides within the account; without this statement nobody could ever change the key
          Sid       = "Account"
          Effect    = "Allow"
          Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
          Action    = "kms:*"
          Resource  = "*"
        },
      ],
      length(var.key_reader_arns) == 0 ? [] : [
        {
          Sid       = "ReadersOfOtherAccounts"
          Effect    = "Allow"
          Principal = { AWS = var.key_reader_arns }
          Action    = "kms:Decrypt"
          Resource  = "*"
          Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
        },
      ],
    )
  })
}
