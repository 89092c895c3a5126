# Places for secrets. Terraform never knows a value, so none is in its state: a person writes it with put-secret-value.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  prefix    = "mlops-${var.environment}"
  tags      = { Component = "secrets" }

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
    ]
  })

  stranger_statements = [
    {
      Sid       = "NobodyOfAnotherAccount"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:*"
      Resource  = "*"
      Condition = { StringNotEquals = { "aws:PrincipalAccount" = local.account } }
    },
    {
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:*"
      Resource  = "*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
  ]

  reader_statements = {
    for name in keys(var.names) : name => [for arns in [lookup(var.reader_arns, name, [])] : {
      Sid       = "ReadersOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"]
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = arns } }
    } if length(arns) > 0]
  }
}

resource "aws_kms_key" "secrets" {
  description             = "${local.prefix}: secrets"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_policy
  tags                    = local.tags
}

resource "aws_kms_alias" "secrets" {
  name          = "alias/${local.prefix}-secrets"
  target_key_id = aws_kms_key.secrets.key_id
}

resource "aws_secretsmanager_secret" "this" {
  # checkov:skip=CKV2_AWS_57: values come from other companies (chat, paging), whose own pages rotate them
  for_each = var.names

  name                    = "${local.prefix}-${each.key}"
  description             = each.value
  kms_key_id              = aws_kms_key.secrets.arn
  recovery_window_in_days = var.recovery_days
  tags                    = local.tags
}

resource "aws_secretsmanager_secret_policy" "this" {
  for_each = var.names

  secret_arn          = aws_secretsmanager_secret.this[each.key].arn
  block_public_policy = true
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.stranger_statements, local.reader_statements[each.key])
  })
}
