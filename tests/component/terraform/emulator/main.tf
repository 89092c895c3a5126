# What modules/account wires, without cluster and events: an environment for the emulator, which lacks too much of those,
# copied beside envs/dev by test_terraform_emulator.py. The provider tries a few times, for a connection that
# broke off, and not the 25 times of its default.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  backend "s3" {
    key          = "emulator/terraform.tfstate"
    region       = "ap-southeast-1"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = "ap-southeast-1"
  allowed_account_ids = ["123456789012"]
  max_retries         = 4

  default_tags {
    tags = {
      Project     = "PriceSensitivityMLOps"
      Environment = "emulator"
      Owner       = "DataTeam"
      CostCenter  = "ML-Platform"
    }
  }
}

locals {
  environment = "emulator"
}

module "network" {
  source = "../../modules/network"

  environment = local.environment
}

module "lake" {
  source = "../../modules/lake"

  environment = local.environment
  deletable   = true
}

module "registry" {
  source = "../../modules/registry"
}

module "alerts" {
  source = "../../modules/alerts"

  environment        = local.environment
  emails             = ["team@example.com"]
  monthly_budget_usd = 300
  lake_bucket        = module.lake.lake_bucket
  models_bucket      = module.lake.models_bucket
  cluster_name       = "mlops-emulator"
}

module "iam" {
  source = "../../modules/iam"

  environment       = local.environment
  cluster_name      = "mlops-emulator"
  oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF"
  oidc_issuer       = "https://oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF"
  lake_bucket_arn   = module.lake.lake_bucket_arn
  models_bucket_arn = module.lake.models_bucket_arn
  lake_key_arn      = module.lake.key_arn
  events_queue_arn  = "arn:aws:sqs:ap-southeast-1:123456789012:mlops-emulator-registry-events"
  alerts_topic_arn  = module.alerts.topic_arn
  repository_arns   = module.registry.repository_arns
  github_repository = "example/price-sensitivity"
  state_bucket_arn  = "arn:aws:s3:::mlops-emulator-terraform-state-123456789012"
}

module "audit" {
  source = "../../modules/audit"

  environment       = local.environment
  logs_bucket       = module.lake.logs_bucket
  models_bucket_arn = module.lake.models_bucket_arn
  lake_bucket_arn   = module.lake.lake_bucket_arn
}

module "secrets" {
  source = "../../modules/secrets"

  environment   = local.environment
  names         = { "registry-token" = "Of the registry that images are copied from." }
  recovery_days = 0
}
