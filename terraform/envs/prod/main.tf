# What shops are answered by.

provider "aws" {
  region              = "ap-southeast-1"
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = "PriceSensitivityMLOps"
      Environment = "prod"
      Owner       = "DataTeam"
      CostCenter  = "ML-Platform"
    }
  }
}

module "account" {
  source = "../../modules/account"

  environment          = "prod"
  alert_emails         = var.alert_emails
  admin_principal_arns = var.admin_principal_arns
  github_repository    = var.github_repository
  github_ids           = var.github_ids

  image_reader_account_ids = var.image_reader_account_ids

  monthly_budget_usd = 500

  node_groups = {
    api = {
      instance_types = ["t3.medium"]
      min_size       = 2
      max_size       = 4
      desired_size   = 2
    }
    batch = {
      instance_types = ["m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge", "m5a.2xlarge"]
      capacity_type  = "SPOT"
      min_size       = 0
      max_size       = 2
      desired_size   = 0
      disk_gib       = 50
      dedicated      = true
    }
  }

  log_retention_days = 30
  training_schedule  = "cron(0 3 ? * MON *)"
}
