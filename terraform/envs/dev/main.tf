# Where changes are tried: small, asleep at night, and nothing in it is missed.

provider "aws" {
  region              = "ap-southeast-1"
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = "PriceSensitivityMLOps"
      Environment = "dev"
      Owner       = "DataTeam"
      CostCenter  = "ML-Platform"
    }
  }
}

module "account" {
  source = "../../modules/account"

  environment          = "dev"
  alert_emails         = var.alert_emails
  admin_principal_arns = var.admin_principal_arns
  github_repository    = var.github_repository
  github_ids           = var.github_ids
  image_account_ids    = var.image_account_ids
  monthly_budget_usd   = 300

  node_groups = {
    api = {
      instance_types = ["t3.medium"]
      min_size       = 1
      max_size       = 2
      desired_size   = 1
    }
    batch = {
      instance_types = ["m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge", "m5a.2xlarge"]
      capacity_type  = "SPOT"
      min_size       = 0
      max_size       = 1
      desired_size   = 0
      disk_gib       = 50
      dedicated      = true
    }
  }

  # Nobody works with dev at night or on Saturday and Sunday.
  off_hours = {
    time_zone = "Asia/Singapore"
    begins    = "0 20 * * MON-FRI"
    ends      = "0 8 * * MON-FRI"
    nodes     = { api = 0 }
  }

  log_retention_days = 7
  request_metrics    = false
  deletable          = true
}
