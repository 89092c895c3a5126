# One environment: every module, wired. main.tf, variables.tf and outputs.tf are the same in each environment; what
# differs is in terraform.tfvars and backend.tf.

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

locals {
  cluster_name = "mlops-${var.environment}"
}

module "network" {
  source = "../../modules/network"

  environment          = var.environment
  endpoint_az_count    = var.endpoint_az_count
  readable_bucket_arns = []
}

module "lake" {
  source = "../../modules/lake"

  environment = var.environment
  deletable   = var.deletable
}

module "registry" {
  source = "../../modules/registry"

  environment = var.environment
}

module "alerts" {
  source = "../../modules/alerts"

  environment        = var.environment
  emails             = var.alert_emails
  monthly_budget_usd = var.monthly_budget_usd
  budget_by_tag      = var.budget_by_tag
  lake_bucket        = module.lake.lake_bucket
  models_bucket      = module.lake.models_bucket
  cluster_name       = local.cluster_name
}
