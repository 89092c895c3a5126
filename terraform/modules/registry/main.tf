# Repositories of images and of charts as OCI artifacts. Tags are immutable: what was approved is what runs. Names have no
# environment, since an image is promoted and not built again: environments that share an account share one registry.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  tags = { Component = "registry" }

  names = toset([
    "mlops/api-price-sensitivity",
    "mlops/train-price-sensitivity",
    "mlops/psm-operator",
    "mlops/charts/psm-crds",
    "mlops/charts/psm-operator",
    "mlops/charts/psm-training",
  ])

  registry = "${data.aws_caller_identity.current.account_id}.dkr.ecr.${data.aws_region.current.name}.amazonaws.com"

  lifecycle_policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "what a failed push left"
        selection = {
          tagStatus   = "untagged"
          countType   = "sinceImagePushed"
          countUnit   = "days"
          countNumber = var.untagged_days
        }
        action = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "all but the newest ${var.kept_images}"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.kept_images }
        action       = { type = "expire" }
      },
    ]
  })

  readers_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PullFromOtherAccounts"
        Effect    = "Allow"
        Principal = { AWS = [for id in var.reader_account_ids : "arn:${data.aws_partition.current.partition}:iam::${id}:root"] }
        Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      },
    ]
  })
}

resource "aws_ecr_repository" "this" {
  # checkov:skip=CKV_AWS_136: images hold no data; var.key_arn encrypts them with a key of one's own where rules ask for it
  for_each = local.names

  name                 = each.value
  image_tag_mutability = "IMMUTABLE"
  tags                 = local.tags

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = var.key_arn == null ? "AES256" : "KMS"
    kms_key         = var.key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = local.names

  repository = aws_ecr_repository.this[each.value].name
  policy     = local.lifecycle_policy
}

resource "aws_ecr_repository_policy" "readers" {
  for_each = length(var.reader_account_ids) > 0 ? local.names : toset([])

  repository = aws_ecr_repository.this[each.value].name
  policy     = local.readers_policy
}
