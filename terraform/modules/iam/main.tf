data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  prefix    = "mlops-${var.environment}"
  tags      = { Component = "iam" }

  # ARNs by service, as far as the account: "${local.sagemaker}:model-package/..."
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account}"
  cloudwatch = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}"
  iam        = "arn:${local.partition}:iam::${local.account}"
  logs       = "arn:${local.partition}:logs:${local.region}:${local.account}"

  groups = [for name in var.model_package_groups : "${local.sagemaker}:model-package-group/${name}"]
  # reports differ on whether SageMaker writes the group's name as it is or in lower case in the ARN of a version
  packages = flatten([
    for name in var.model_package_groups : [for spelt in distinct([name, lower(name)]) : "${local.sagemaker}:model-package/${spelt}/*"]
  ])
  # psm-train register puts everything of a group below its name
  models = [for name in var.model_package_groups : "${var.models_bucket_arn}/${name}/*"]

  # what a role may do, and who may take it; the files of the roles say why
  policies = {
    operator       = local.operator_policy
    predictor      = local.predictor_policy
    training       = local.training_policy
    etl            = local.etl_policy
    sagemaker      = local.sagemaker_policy
    github_plan    = local.github_plan_policy
    github_apply   = local.github_apply_policy
    github_release = local.github_release_policy
    github_model   = local.github_model_policy
  }

  trusts = {
    operator       = local.pod_trusts["operator"]
    predictor      = local.predictor_trust
    training       = local.pod_trusts["training"]
    etl            = local.pod_trusts["etl"]
    sagemaker      = local.sagemaker_trust
    github_plan    = local.github_trusts["github_plan"]
    github_apply   = local.github_trusts["github_apply"]
    github_release = local.github_trusts["github_release"]
    github_model   = local.github_trusts["github_model"]
  }

  descriptions = {
    operator       = "psm-operator: reads the model registry, writes alarms and dashboards of models"
    predictor      = "predictor pods: read artifacts of models"
    training       = "training pods: read the lake, write and register models"
    etl            = "ETL pods: raw files to silver and gold"
    sagemaker      = "jobs and pipelines of SageMaker: what training and ETL may, and running jobs"
    github_plan    = "workflows that plan: read what Terraform declares, nothing else"
    github_apply   = "workflows that apply after approval"
    github_release = "workflows that release: push images"
    github_model   = "workflows that train: start the pipeline, register and approve models"
  }

  role_names = { for key in keys(local.descriptions) : key => "${local.prefix}-${replace(key, "_", "-")}" }
}

resource "aws_iam_role" "this" {
  for_each = local.role_names

  name               = each.value
  description        = local.descriptions[each.key]
  assume_role_policy = local.trusts[each.key]
  # a workflow that waits hours for an approval asks for six (.github/workflows/model.yml); a test compares
  max_session_duration = each.key == "github_model" ? 21600 : 3600
  tags                 = local.tags
}

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_355: actions that know no resources, and those of Terraform's own roles; test_policies.py lists which
  for_each = local.role_names

  name   = each.value
  role   = aws_iam_role.this[each.key].name
  policy = local.policies[each.key]
}
