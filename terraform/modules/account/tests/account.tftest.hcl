# The wiring, by a provider that is mocked: what each resource asks of AWS is in the tests of its own module.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"] }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { name = "ap-southeast-1" }
  }
}

variables {
  environment          = "dev"
  alert_emails         = ["team@example.com"]
  monthly_budget_usd   = 300
  github_repository    = "example/price-sensitivity"
  admin_principal_arns = ["arn:aws:iam::123456789012:role/admin"]
  node_groups = {
    api = { instance_types = ["t3.medium"], min_size = 1, max_size = 2, desired_size = 1 }
  }
}

run "wired" {
  command = plan

  assert {
    condition     = output.alerts_topic_arn == "arn:aws:sns:ap-southeast-1:123456789012:mlops-dev-alerts"
    error_message = "The topic's ARN is known before it exists, so that policies that name it can be read in a plan."
  }
  assert {
    condition     = output.training_pipeline == "mlops-dev-training"
    error_message = "Schedule, dashboard and psm-train pipeline mean the same pipeline."
  }
  assert {
    condition     = output.lake_bucket == "mlops-dev-lake-123456789012" && output.models_bucket == "mlops-dev-models-123456789012"
    error_message = "Buckets are named by environment and account."
  }
}

run "a_nightly_job_once_there_is_an_image" {
  command = plan

  variables {
    etl_image         = "123456789012.dkr.ecr.ap-southeast-1.amazonaws.com/mlops/train-price-sensitivity:v1"
    training_schedule = "cron(0 3 ? * MON *)"
    off_hours = {
      time_zone = "Asia/Singapore"
      begins    = "0 20 * * MON-FRI"
      ends      = "0 8 * * MON-FRI"
      nodes     = { api = 0 }
    }
  }
}

run "wrong_values" {
  command = plan

  variables {
    environment                   = "prod"
    deletable                     = true
    alert_emails                  = []
    monthly_budget_usd            = 0
    github_repository             = "everybody"
    github_oidc_provider_arn      = "arn:aws:iam::123456789012:oidc-provider/example.com"
    admin_principal_arns          = ["root"]
    endpoint_public_access_cidrs  = ["0.0.0.0/0"]
    load_balancer_ingress_cidrs   = []
    readable_bucket_arns          = ["their-models"]
    endpoint_az_count             = 4
    log_retention_days            = 8
    flow_log_traffic              = "NONE"
    kubernetes_version            = "latest"
    endpoint_private_access_cidrs = ["0.0.0.0/0"]
    hosted_zone_ids               = ["example.com"]
    endpoint_az_overrides         = { sts = 4 }
    model_package_groups          = []
    model_package_account_ids     = ["1"]
    image_account_ids             = ["3"]
    image_reader_account_ids      = ["4"]
    github_ids                    = { owner = "0", repository = "name" }
    training_schedule             = "weekly"
    etl_image                     = "image"
    off_hours                     = { time_zone = "UTC", begins = "0 20 * * *", ends = "0 8 * * *", nodes = { nobody = 0 } }
  }

  expect_failures = [
    var.deletable, var.alert_emails, var.monthly_budget_usd, var.github_repository, var.github_oidc_provider_arn,
    var.admin_principal_arns, var.endpoint_public_access_cidrs, var.load_balancer_ingress_cidrs, var.readable_bucket_arns,
    var.endpoint_az_count, var.log_retention_days, var.flow_log_traffic, var.kubernetes_version, var.endpoint_private_access_cidrs,
    var.hosted_zone_ids, var.endpoint_az_overrides,
    var.image_account_ids, var.image_reader_account_ids, var.github_ids,
    var.model_package_groups, var.model_package_account_ids, var.training_schedule, var.etl_image, var.off_hours,
  ]
}

run "names_that_do_not_fit" {
  command = plan

  variables {
    environment = "Dev"
    node_groups = { batch = { instance_types = ["t3.medium"], min_size = 1, max_size = 2, desired_size = 1 } }
  }

  expect_failures = [var.environment, var.node_groups]
}
