# Everything that one account has around the operator: every other module, wired. An environment calls this one with what
# differs between environments.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  cluster_name      = "mlops-${var.environment}"
  training_pipeline = "mlops-${var.environment}-training"
  state_bucket_arn  = "arn:${data.aws_partition.current.partition}:s3:::mlops-${var.environment}-terraform-state-${data.aws_caller_identity.current.account_id}"
}

module "network" {
  source = "../network"

  environment                 = var.environment
  endpoint_az_count           = var.endpoint_az_count
  endpoint_az_overrides       = var.endpoint_az_overrides
  route53_endpoint            = length(var.hosted_zone_ids) > 0
  readable_bucket_arns        = var.readable_bucket_arns
  registry_account_ids        = var.model_package_account_ids
  load_balancer_ingress_cidrs = var.load_balancer_ingress_cidrs
  flow_log_retention_days     = var.log_retention_days
  flow_log_traffic            = var.flow_log_traffic
}

module "cluster" {
  source = "../cluster"

  environment                     = var.environment
  vpc_id                          = module.network.vpc_id
  private_subnet_ids              = module.network.private_subnet_ids
  load_balancer_security_group_id = module.network.load_balancer_security_group_id
  load_balancer_target_port       = module.network.load_balancer_target_port
  endpoint_public_access_cidrs    = var.endpoint_public_access_cidrs
  endpoint_private_access_cidrs   = var.endpoint_private_access_cidrs
  kubernetes_version              = var.kubernetes_version
  hosted_zone_ids                 = var.hosted_zone_ids
  admin_principal_arns            = var.admin_principal_arns
  node_groups                     = var.node_groups
  off_hours                       = var.off_hours
  container_insights              = var.container_insights
  log_retention_days              = var.log_retention_days

  # The role binding of psm-release lies in the cluster: docs/ci.md.
  access_entries = {
    github_model = {
      principal_arn     = module.iam.role_arns["github_model"]
      kubernetes_groups = ["psm-release"]
    }
  }
}

module "iam" {
  source = "../iam"

  environment               = var.environment
  cluster_name              = local.cluster_name
  oidc_provider_arn         = module.cluster.oidc_provider_arn
  oidc_issuer               = module.cluster.oidc_issuer
  lake_bucket_arn           = module.lake.lake_bucket_arn
  models_bucket_arn         = module.lake.models_bucket_arn
  lake_key_arn              = module.lake.key_arn
  model_package_groups      = var.model_package_groups
  model_package_account_ids = var.model_package_account_ids
  events_queue_arn          = module.events.queue_arn
  alerts_topic_arn          = module.alerts.topic_arn
  repository_arns           = module.registry.repository_arns
  github_repository         = var.github_repository
  github_ids                = var.github_ids
  image_account_ids         = var.image_account_ids
  github_oidc_provider_arn  = var.github_oidc_provider_arn
  state_bucket_arn          = local.state_bucket_arn
}

module "lake" {
  source = "../lake"

  environment = var.environment
  deletable   = var.deletable
}

module "registry" {
  source = "../registry"

  reader_account_ids = var.image_reader_account_ids
}

module "alerts" {
  source = "../alerts"

  environment        = var.environment
  emails             = var.alert_emails
  monthly_budget_usd = var.monthly_budget_usd
  budget_by_tag      = var.budget_by_tag
  lake_bucket        = module.lake.lake_bucket
  models_bucket      = module.lake.models_bucket
  cluster_name       = local.cluster_name
  training_pipeline  = local.training_pipeline
  request_metrics    = var.request_metrics
}

module "events" {
  source = "../events"

  environment          = var.environment
  alerts_topic_arn     = module.alerts.topic_arn
  alerts_key_arn       = module.alerts.key_arn
  model_package_groups = var.model_package_groups
  training_pipeline    = local.training_pipeline
  schedule_expression  = var.training_schedule

  etl = var.etl_image == null ? null : {
    image      = var.etl_image
    role_arn   = module.iam.role_arns["sagemaker"]
    data_url   = "s3://${module.lake.lake_bucket}/raw/source-files"
    output_url = "s3://${module.lake.lake_bucket}/training/etl"
    key_arn    = module.lake.key_arn
  }
}

module "audit" {
  source = "../audit"

  environment       = var.environment
  logs_bucket       = module.lake.logs_bucket
  models_bucket_arn = module.lake.models_bucket_arn
  lake_bucket_arn   = module.lake.lake_bucket_arn
}

module "secrets" {
  source = "../secrets"

  environment   = var.environment
  names         = var.secrets
  recovery_days = var.deletable ? 0 : 30
}
